"""Sets of lm-evaluation-harness through our runners: its templates, its scores, our samples."""

from collections.abc import Sequence

import pytest

from tongues.core.errors import EvaluationError
from tongues.core.standard_suites import SUITE_NAMES, standard_suite
from tongues.evaluation import harness
from tongues.evaluation.harness import open_harness_set
from tongues.evaluation.likelihood import OptionScore
from tongues.evaluation.runner import Done

pytestmark = pytest.mark.integration
pytest.importorskip("lm_eval")


class Known:
    """A runner that likes the options it is told of, and answers with one text."""

    def __init__(self, liked: Sequence[str] = (), said: str = "") -> None:
        self.liked, self.said, self.prompts = liked, said, list[str]()

    def choice_loglikelihoods(
        self, prompts: Sequence[str], options: Sequence[Sequence[str]], *, done: Done = lambda _: None
    ) -> list[list[OptionScore]]:
        self.prompts += prompts
        done(len(prompts))
        return [
            [OptionScore(-1.0 if o.strip() in self.liked else -9.0, 1, len(o)) for o in row]
            for row in options
        ]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        systems: Sequence[str] = (),
        done: Done = lambda _: None,
    ) -> list[str]:
        self.prompts += prompts
        done(len(prompts))
        return [self.said] * len(prompts)

    def describe(self) -> str:
        return "known"


def xcopa_row(number: int) -> dict[str, object]:
    said = {"premise": f"Llueve {number}.", "choice1": f"Uno {number}.", "choice2": f"Dos {number}."}
    return said | {"question": "effect", "label": number % 2, "idx": number, "changed": False}


def test_choices_are_asked_in_the_harness_words_and_scored_by_it() -> None:
    about = standard_suite("sphinx").get("xcopa")
    rows = [xcopa_row(n) for n in range(6)]
    one = open_harness_set(about, {"it": rows, "vi": rows})
    assert one.size == 12
    runner, steps = Known(liked=[f"dos {n}." for n in range(6)]), list[int]()
    samples = one.ask(lambda: runner, ["it", "vi"], 8, steps.append)
    assert sum(steps) == 12
    assert runner.prompts[0] == "Llueve 0 quindi"
    assert [s.correct for s in samples if s.lang == "it"] == [n % 2 == 1 for n in range(6)]
    assert samples[0].options == ("uno 0.", "dos 0.") and samples[0].loglikelihoods == (-9.0, -1.0)
    found = one.measure({lang: [s for s in samples if s.lang == lang] for lang in ("it", "vi")})
    assert found["it/accuracy"].value == 0.5 and found["all/consistency_2"].value == 1.0
    again = one.ask(lambda: runner, ["vi"], 8, lambda _: None)
    assert again == [s for s in samples if s.lang == "vi"]
    said = one.signature()
    assert (
        "xcopa_{code}, version 1, 0 shots" in said["xcopa"]
        and "doc_to_text_it" in said["template of xcopa/it"]
    )


def test_word_problems_are_cut_at_the_stops_and_read_by_the_pinned_filter() -> None:
    about = standard_suite("sphinx").get("mgsm")
    rows = [{"question": "¿Cuántos?", "answer": None, "answer_number": 12} for _ in range(3)]
    one = open_harness_set(about, {"es": rows}).limited(2)
    runner = Known(said="Son 3 y 4, 12 en total. Pregunta: 99")
    (first, second) = one.ask(lambda: runner, ["es"], 8, lambda _: None)
    assert (first.got, first.expected, first.correct) == ("12", "12", True)
    assert one.measure({"es": [first, second]})["es/accuracy"].n == 2


def test_limit_draws_the_same_items_in_every_language() -> None:
    about = standard_suite("sphinx").get("xcopa")
    one = open_harness_set(about, {la: [xcopa_row(n) for n in range(40)] for la in ("it", "th")}).limited(5)
    samples = one.ask(Known, ["it", "th"], 8, lambda _: None)
    assert [s.id for s in samples if s.lang == "it"] == [s.id for s in samples if s.lang == "th"]
    assert len(samples) == one.size == 10


def test_every_pinned_task_is_in_the_harness_in_its_version() -> None:
    from lm_eval.tasks._yaml_loader import load_yaml

    count = 0
    for about in {one.name: one for name in SUITE_NAMES for one in standard_suite(name).sets}.values():
        for lang in about.languages if about.harness else ():
            part = about.task.parts[0]
            config = load_yaml(harness._description(about, lang, part), resolve_func=False)
            assert config["task"] == about.task.task.format(code=about.code(lang), part=part)
            assert float(config["metadata"]["version"]) == about.task.version
            count += 1
    assert count > 200


def test_rows_that_a_template_cannot_read_show_when_the_set_is_opened() -> None:
    with pytest.raises(Exception, match="goal"):
        open_harness_set(standard_suite("sphinx").get("piqa"), {"en": [{"question": "no such column"}]})


def test_another_release_of_the_harness_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "HARNESS_VERSION", "0.0.1")
    with pytest.raises(EvaluationError, match=r"the suites pin 0\.0\.1"):
        open_harness_set(standard_suite("sphinx").get("xcopa"), {"it": [xcopa_row(0)]})
