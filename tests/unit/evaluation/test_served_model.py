"""The endpoint runner against the transformers runner, on one tiny model behind a real HTTP server."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from scoring import ScoringEndpoint

from tongues.core.errors import DataError, EngineError, EvaluationError
from tongues.core.recipe import EndpointSection, EvaluationSection, OpenAIEngine, SuiteSection
from tongues.core.scores import Scores
from tongues.data.language_id import RestrictedIdentifier
from tongues.evaluation.agreement import agreement, item_agreements, write_agreement
from tongues.evaluation.compare import by_task
from tongues.evaluation.items import AnswerItem
from tongues.evaluation.model import LocalModel
from tongues.evaluation.samples import Sample, read_samples
from tongues.evaluation.score import score_model
from tongues.evaluation.served import ServedModel
from tongues.evaluation.suite import Suite
from tongues.inference.ledger import Ledger

torch = pytest.importorskip("torch")

PROMPTS = ["At night we see", "Que é a lúa?", "¿Qué es? Dime todo lo que sabes"]
OPTIONS = [[" the stars", " plates"], [" unha estrela", " 🌞", " 太陽"], [" y", " nada de nada"]]


class Silent:
    def advance(self, done: int = 1, **facts: float | str) -> None:
        pass


@pytest.fixture(scope="module")
def local(tiny_model: Path) -> LocalModel:
    return LocalModel(tiny_model, batch_rows=4)


def endpoint(local: LocalModel, choose: Callable[[int, str], str] | None = None) -> ScoringEndpoint:
    """A server whose model is the local one, asked one text at a time."""

    def say(messages: list[dict[str, str]], limit: int) -> str:
        system = messages[0]["content"] if len(messages) == 2 else ""
        return local.generate([messages[-1]["content"]], systems=[system], max_new_tokens=limit)[0]

    def score(ids: Sequence[int]) -> list[float | None]:
        with torch.no_grad():
            logits = local.model(torch.tensor([list(ids)])).logits[0].log_softmax(-1)
        return [None, *(float(logits[at - 1, ids[at]]) for at in range(1, len(ids)))]

    return ScoringEndpoint(say, score, choose)


@contextmanager
def served(end: ScoringEndpoint, folder: Path, tokenizer: Path | None) -> Iterator[ServedModel]:
    address = (EndpointSection(base_url=end.base_url, max_in_flight=4),)
    section = OpenAIEngine(kind="openai", endpoints=address, model="tiny", retries=2, timeout_s=20)
    folder.mkdir(exist_ok=True)
    with Ledger(folder / "answers.sqlite") as ledger:
        yield ServedModel(section, ledger, tokenizer, first_wait_s=0.01)


def test_choice_loglikelihoods_through_an_endpoint_equal_those_of_transformers(
    local: LocalModel, tmp_path: Path
) -> None:
    here = local.choice_loglikelihoods(PROMPTS, OPTIONS)
    with endpoint(local) as end, served(end, tmp_path, local.folder) as runner:
        counts: list[int] = []
        there = runner.choice_loglikelihoods(PROMPTS, OPTIONS, done=counts.append)
    for a, b in zip(here, there, strict=True):
        assert [s.loglikelihood for s in a] == pytest.approx([s.loglikelihood for s in b], abs=1e-3)
        assert [(s.tokens, s.characters) for s in a] == [(s.tokens, s.characters) for s in b]
    assert sum(counts) == len(PROMPTS) == len(end.requests)  # all options of a prompt travel together


def test_generate_through_an_endpoint_equals_transformers_and_keeps_cut_answers(
    local: LocalModel, tmp_path: Path
) -> None:
    systems = ["", "Answer in Galician.", ""]
    here = local.generate(PROMPTS, systems=systems, max_new_tokens=9)
    assert here != local.generate(PROMPTS, max_new_tokens=9)
    with endpoint(local) as end, served(end, tmp_path, None) as runner:
        assert runner.generate(PROMPTS, systems=systems, max_new_tokens=9) == here
    assert {(r["temperature"], r["max_tokens"]) for r in end.requests} == {(0.0, 9)}


def suite(items: int = 6) -> Suite:
    questions = {
        lang: tuple(AnswerItem(f"m{n}", lang, f"{n} + {n}? ({lang})", (str(2 * n),)) for n in range(items))
        for lang in ("en", "es")
    }
    return Suite("tiny", "en", ("es",), math=questions)


def scored(folder: Path, out: Path, runner: ServedModel | None = None) -> Scores:
    section = EvaluationSection(suite=SuiteSection(math_uri="-"), max_new_tokens=6)
    return score_model(
        folder,
        role="base",
        name="tiny",
        model_sha256="a" * 64,
        suite=suite(),
        section=section,
        identify=RestrictedIdentifier(),
        out=out,
        progress=Silent(),
        served=None if runner is None else lambda: runner,
    )


def test_score_model_stopped_by_faults_goes_on_sample_by_sample(local: LocalModel, tmp_path: Path) -> None:
    whole = scored(local.folder, tmp_path / "local")
    rng = random.Random(5)
    with endpoint(
        local, lambda n, _: "401" if n == 5 else rng.choice(["ok", "ok", "429", "half-json"])
    ) as end:
        with served(end, tmp_path, None) as runner, pytest.raises(EngineError):
            scored(local.folder, tmp_path / "out", runner)
        assert not (tmp_path / "out" / "scores.json").exists()
        end.choose = lambda n, _: "ok"
        with served(end, tmp_path, None) as runner:
            again = scored(local.folder, tmp_path / "out", runner)
    assert again.measurements == whole.measurements
    assert set(end.acknowledged.values()) == {1}  # what was answered was not asked again
    assert len(end.acknowledged) == 12


def test_empty_answers_are_answers_and_are_not_asked_again(local: LocalModel, tmp_path: Path) -> None:
    with ScoringEndpoint(lambda messages, limit: " \n") as end:
        with served(end, tmp_path, None) as runner:
            assert runner.generate([str(n) for n in range(40)], max_new_tokens=4) == [""] * 40
        with served(end, tmp_path, None) as runner:
            runner.generate([str(n) for n in range(40)], max_new_tokens=4)
    assert len(end.requests) == 40


def test_item_that_the_endpoint_refuses_is_an_error_not_a_wrong_answer(tmp_path: Path) -> None:
    refuse = ScoringEndpoint(choose=lambda n, text: "400" if text == "long" else "ok")
    said = r"1 of 3 items were not answered.*maximum context length"
    with refuse as end, served(end, tmp_path, None) as runner, pytest.raises(EvaluationError, match=said):
        runner.generate(["a", "long", "b"], max_new_tokens=4)


def test_endpoint_that_cannot_score_prompts_is_told_apart(local: LocalModel, tmp_path: Path) -> None:
    for tokenizer, error, said in (
        (local.folder, EngineError, "no-prompt-loglikelihoods"),
        (None, EvaluationError, "needs the served model's tokenizer"),
    ):
        with ScoringEndpoint() as end, served(end, tmp_path, tokenizer) as runner:  # noqa: SIM117
            with pytest.raises(error, match=said):
                runner.choice_loglikelihoods(PROMPTS, OPTIONS)


def test_agreement_names_the_items_on_which_runners_differ(local: LocalModel, tmp_path: Path) -> None:
    scored(local.folder, tmp_path / "a")
    first = by_task(read_samples(tmp_path / "a" / "samples"))
    same = agreement(item_agreements(first, first))
    assert len(same) == len(first)
    assert all(one["same"].value == one["same_score"].value == 1.0 and not one["differing"] for one in same)
    a = Sample("choices", "es", "1", "?", "A", "A", True, options=("x", "y"), loglikelihoods=(-1.0, -1.2))
    b = Sample("choices", "es", "1", "?", "A", "B", False, options=("x", "y"), loglikelihoods=(-1.1, -1.05))
    (found,) = agreement(item_agreements({("choices", "es"): [a]}, {("choices", "es"): [b]}))
    assert found["same"].value == found["same_score"].value == 0.0
    assert found["largest_difference"] == pytest.approx(0.15)
    assert found["differing"][0]["loglikelihood_gap"] == pytest.approx(0.05)
    with pytest.raises(DataError, match="same items"):
        item_agreements({("choices", "es"): [a]}, {("choices", "es"): []})


def test_agreement_tells_other_words_from_another_score_and_keeps_both(tmp_path: Path) -> None:
    """Other words may count the same; where nothing is known right, words are compared."""
    pairs = [
        (("qa", "es"), {"correct": False, "f1": 0.5}, {"correct": False, "f1": 0.5}),
        (("math", "es"), {"correct": True}, {"correct": False}),
        (("open", "es"), {"guessed_lang": "es"}, {"guessed_lang": "es"}),
        (("translation", "es"), {}, {}),
    ]
    first = {key: [Sample(*key, "1", "?", "", "uno", **a)] for key, a, _ in pairs}
    second = {key: [Sample(*key, "1", "?", "", "otro\u202e", **b)] for key, _, b in pairs}
    items = item_agreements(first, second)
    assert [(item.same, item.same_score) for item in items] == [
        (False, True), (False, False), (False, True), (False, False)
    ]  # fmt: skip
    write_agreement(tmp_path / "out", items)
    rows = pq.read_table(tmp_path / "out" / "agreement.parquet").to_pylist()
    assert [(r["task"], r["first"], r["second"], r["same_score"]) for r in rows[:2]] == [
        ("qa", "uno", "otro\u202e", True), ("math", "uno", "otro\u202e", False)
    ]  # fmt: skip
    kept = json.loads((tmp_path / "out" / "agreement.json").read_text(encoding="utf-8"))
    assert [(one["task"], one["same"]["n"], one["same_score"]["value"]) for one in kept] == [
        ("qa", 1, 1.0), ("math", 1, 0.0), ("open", 1, 1.0), ("translation", 1, 0.0)
    ]  # fmt: skip
    assert kept[1]["differing"][0]["second"] == "otro\u202e"
