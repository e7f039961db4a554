"""Google Cloud Translation and LibreTranslate over real HTTP, in good days and bad ones."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_faults import translation_of
from translation_services import GoogleService, LibreService

from tongues.core.errors import EngineError, EngineUnavailableError, PreflightError
from tongues.core.languages import languages
from tongues.core.recipe import EndpointSection, GoogleEngine, LibreTranslateEngine
from tongues.inference.engine import Outcome
from tongues.translation.batch_service import BatchService
from tongues.translation.engines import build_engine, check_engine
from tongues.translation.google import GoogleTranslate, google_code
from tongues.translation.libretranslate import LibreTranslate

KINDS = {"google": (GoogleService, GoogleEngine), "libretranslate": (LibreService, LibreTranslateEngine)}
Connect = Callable[..., BatchService]


@pytest.fixture(params=sorted(KINDS))
def service(request):
    return KINDS[request.param][0]


@pytest.fixture
def connect() -> Connect:
    """Build an engine for a service; waits are short, so that retries take milliseconds."""

    def build(*services, **settings) -> BatchService:
        kind = "google" if isinstance(services[0], GoogleService) else "libretranslate"
        names = EndpointSection.model_fields.keys() & settings.keys()
        limits = {"max_in_flight": 8} | {name: settings.pop(name) for name in names}
        endpoints = tuple(EndpointSection(base_url=each.base_url, **limits) for each in services)
        settings = {"timeout_s": 5.0, "retries": 2} | settings
        section = KINDS[kind][1](kind=kind, endpoints=endpoints, **settings)
        engine = GoogleTranslate if kind == "google" else LibreTranslate
        return engine(section, first_wait_s=0.01)

    return build


def ask(engine: BatchService, *texts: str, target: str = "es") -> list[Outcome]:
    async def run():
        try:
            return await engine.answer(texts, "en", target)
        finally:
            await engine.aclose()

    return asyncio.run(run())


def sentences(count: int) -> list[str]:
    return [f"sentence number {i} Xq{i}q" for i in range(count)]


def test_batch_comes_back_in_order(service, connect):
    with service() as there:
        outcomes = ask(connect(there), *sentences(40))
        assert len(there.requests) == 1
    assert [o.text for o in outcomes] == [translation_of(text) for text in sentences(40)]


def test_text_is_sent_as_text_so_that_no_entities_come_back(service, connect):
    with service() as there:
        (outcome,) = ask(connect(there), 'if a < b & c > "d"')
        assert there.requests[0]["format"] == "text"
    assert outcome.text == translation_of('if a < b & c > "d"')


def test_request_goes_where_and_how_google_wants_it(connect, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    with GoogleService(key="s3cret") as there:
        ask(connect(there, api_key_env="MY_KEY"), "a house", target="zh-Hans")
        (request,) = there.requests
        assert there.headers[0]["x-goog-api-key"] == "s3cret"
    assert request == {"q": ["a house"], "source": "en", "target": "zh-CN", "format": "text", "model": "nmt"}


def test_request_goes_how_libretranslate_wants_it(connect, monkeypatch):
    monkeypatch.setenv("MY_KEY", "s3cret")
    with LibreService(key="s3cret") as there:
        ask(connect(there, api_key_env="MY_KEY"), "a house", target="no")
        (request,) = there.requests
        assert "authorization" not in there.headers[0]
    wanted = {"q": ["a house"], "source": "en", "target": "nb", "format": "text", "api_key": "s3cret"}
    assert request == wanted


def test_long_batches_are_cut_so_that_no_request_is_too_long(service, connect):
    texts = [f"{i} {'long ' * 300}".strip() for i in range(20)]
    with service() as there:
        outcomes = ask(connect(there), *texts)
        assert max(sum(map(len, request["q"])) for request in there.requests) <= 5_000
    assert [o.text for o in outcomes] == [translation_of(text) for text in texts]


@pytest.mark.parametrize(
    "fault", ["429", "500", "503", "broken", "half-json", "half-body", "html", "error-in-200", "latin-1"]
)
def test_fault_that_passes_is_retried(service, connect, fault):
    with service(lambda n, t: fault if n == 0 else "ok", retry_after="0.02") as there:
        engine = connect(there)
        outcomes = ask(engine, *sentences(5))
        assert engine.requests_sent == len(there.requests) == 2
    assert [o.text for o in outcomes] == [translation_of(text) for text in sentences(5)]


@pytest.mark.parametrize("fault", ["too-few", "too-many", "400", "500"])
def test_one_text_that_spoils_its_batch_fails_alone(service, connect, fault):
    texts = ["good one", "the culprit", "good two"]
    with service(lambda n, t: fault if "culprit" in t else "ok") as there:
        outcomes = ask(connect(there, retries=1), *texts)
    reasons = {"too-few": "wrong-count", "too-many": "wrong-count", "400": "refused-by-endpoint"}
    assert [o.text for o in outcomes] == [translation_of("good one"), None, translation_of("good two")]
    assert outcomes[1].reason == reasons.get(fault, "http-500")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("empty", "empty-answer"),
        ("null", "empty-answer"),
        ("surrogate", "not-unicode"),
        ("added-lines", "added-lines"),
    ],
)
def test_answer_that_is_no_translation_is_a_reason(service, connect, fault, reason):
    with service(lambda n, t: fault) as there:
        assert {o.reason for o in ask(connect(there), *sentences(3))} == {reason}


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_hanging_service_ends_at_the_deadline(service, connect, fault):
    with service(lambda n, t: fault) as there:
        outcomes = ask(connect(there, timeout_s=0.3, retries=1), *sentences(3))
        assert len(there.requests) == 2
    assert [(o.text, o.reason) for o in outcomes] == [(None, "timeout")] * 3


def test_answers_that_were_paid_for_are_kept_when_the_service_gives_out(service, connect):
    with service(lambda n, t: "400" if n == 0 else "ok") as there:
        outcomes = ask(connect(there, max_requests=4), *sentences(6))
    assert [o.reason for o in outcomes] == ["ok"] * 3 + ["no-endpoint"] * 3
    assert "max_requests are spent" in outcomes[-1].detail


def test_google_quota_of_a_minute_is_waited_for(connect):
    with GoogleService(lambda n, t: "quota" if n < 2 else "ok") as there:
        outcomes = ask(connect(there), "a house")
        assert len(there.requests) == 3
    assert outcomes[0].text == translation_of("a house")


def test_google_quota_of_a_day_stops_the_run_and_says_so(connect):
    with (
        GoogleService(lambda n, t: "daily") as there,
        pytest.raises(EngineError, match="Daily Limit Exceeded"),
    ):
        ask(connect(there), "a house")


def test_wrong_key_stops_the_run_and_is_not_told(service, connect, monkeypatch):
    monkeypatch.setenv("MY_KEY", "wr0ng")
    with service(key="s3cret") as there, pytest.raises(EngineError, match="API key") as caught:
        ask(connect(there, api_key_env="MY_KEY"), "a house")
    assert "wr0ng" not in str(caught.value)


def test_second_service_goes_on_when_one_is_put_out(service, connect, capsys):
    with service(lambda n, t: "404") as wrong, service() as right:
        outcomes = ask(connect(wrong, right), *sentences(3))
    assert [o.reason for o in outcomes] == ["ok"] * 3
    assert len(wrong.requests) <= 1
    assert "PUT OUT" in capsys.readouterr().err or not wrong.requests


def test_check_lists_every_missing_language_and_dead_endpoint(service, connect):
    with service() as gone:
        pass
    with service(known=("en", "es")) as there:
        section = connect(there, gone)._network
        with pytest.raises(PreflightError) as caught:
            check_engine(section, "en", ["es", "eu", "ht"])
        assert there.requests == []
    problems = caught.value.problems
    assert len(problems) == 3
    assert "no pair en-eu (English to Basque)" in problems[0]
    assert "no pair en-ht" in problems[1]
    assert problems[2].startswith(f"{gone.base_url}: no list comes from there")


def test_check_knows_languages_by_their_other_names(service, connect):
    with service(known=("en", "iw", "zh", "nb", "no", "he")) as there:
        check_engine(connect(there)._network, "en", ["he", "zh-Hans", "no"])


def test_check_something_else_at_the_address_is_said(connect):
    with LibreService() as there:
        google = GoogleEngine(kind="google", endpoints=(EndpointSection(base_url=there.base_url),))
        with pytest.raises(PreflightError, match="404"):
            check_engine(google, "en", ["es"])


def test_google_check_wrong_key_is_a_problem_without_the_key(monkeypatch):
    monkeypatch.setenv("MY_KEY", "wr0ng")
    with GoogleService(key="s3cret") as there:
        at = EndpointSection(base_url=there.base_url, api_key_env="MY_KEY")
        with pytest.raises(PreflightError, match="400") as caught:
            check_engine(GoogleEngine(kind="google", endpoints=(at,)), "en", ["es"])
    assert "wr0ng" not in str(caught.value)


def test_google_default_key_is_asked_for_by_name(monkeypatch):
    monkeypatch.delenv("GOOGLE_TRANSLATE_API_KEY", raising=False)
    with pytest.raises(EngineUnavailableError, match="GOOGLE_TRANSLATE_API_KEY is not set"):
        build_engine(GoogleEngine(kind="google"))
    monkeypatch.setenv("GOOGLE_TRANSLATE_API_KEY", "letters beyond ASCII: ñ")
    with pytest.raises(EngineUnavailableError, match="is no key") as caught:
        build_engine(GoogleEngine(kind="google"))
    assert "ñ" not in str(caught.value)


def test_libretranslate_pairs_are_what_the_server_lists(connect):
    with LibreService(known=("en", "es", "zh-Hans", "nb", "xx")) as there:
        engine = connect(there)
        assert engine.supports("en", "zh-Hans")
        assert engine.supports("es", "no")
        assert not engine.supports("en", "eu")
        assert len(engine.pairs()) == 12


def test_google_has_one_code_for_every_language():
    codes = [google_code(code) for code in languages()]
    assert len(set(codes)) == len(codes)
    assert {google_code("zh-Hans"), google_code("zh-Hant"), google_code("mni-Mtei")} == {
        "zh-CN",
        "zh-TW",
        "mni-Mtei",
    }


def test_worst_case_bounds_what_a_spoilt_batch_takes(service, connect):
    texts = sentences(6)
    with service(lambda n, t: "too-few") as there:
        engine = connect(there, retries=1, price={"per_million_characters": 20.0})
        ask(engine, *texts)
        worst = engine.at_most(texts)
        assert len(there.requests) <= worst.requests
        assert sum(len("".join(r["q"])) for r in there.requests) <= worst.characters
    assert worst.cost == pytest.approx(worst.characters * 20 / 1e6)


HOSTILE = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\n\r"), min_size=1)


@given(st.lists(HOSTILE.filter(lambda t: any(map(str.isalpha, t))), min_size=1, max_size=5))
def test_any_text_travels_there_and_back_whole(texts):
    engine = GoogleTranslate(GoogleEngine(kind="google", endpoints=(EndpointSection(base_url="http://x"),)))
    body = engine.body_of(texts, "en", "es")
    assert body["q"] == texts
    parts = list(engine._parts(texts))
    assert [text for part in parts for text in part] == texts
