"""Sets of lm-evaluation-harness through our runners: its templates, its scores, our samples."""

from collections.abc import Sequence

import pytest

from tongues.core.errors import EvaluationError
from tongues.core.standard_suites import SUITE_NAMES, standard_suite
from tongues.evaluation import harness
from tongues.evaluation.harness import open_harness_set
from tongues.evaluation.harness_tasks import description
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


def test_shots_are_drawn_from_the_examples_alike_every_time_and_recorded() -> None:
    about = standard_suite("sphinx").get("xcopa").with_shots(2)
    rows, examples = [xcopa_row(n) for n in range(4)], [xcopa_row(n) for n in range(90, 96)]
    one = open_harness_set(about, {"it": rows}, examples={"it": examples})
    first, second = Known(), Known()
    samples = one.ask(lambda: first, ["it"], 8, lambda _: None)
    one.ask(lambda: second, ["it"], 8, lambda _: None)
    again = open_harness_set(about, {"it": rows}, examples={"it": examples})
    third = Known()
    again.ask(lambda: third, ["it"], 8, lambda _: None)
    assert first.prompts == second.prompts == third.prompts
    for number, prompt in enumerate(first.prompts):
        *shown, last = prompt.split("\n\n")
        assert last == f"Llueve {number} quindi"
        assert len({*shown}) == 2 and all(s.startswith("Llueve 9") and "quindi" in s for s in shown)
    assert len({prompt.rsplit("\n\n", 1)[0] for prompt in first.prompts}) > 1  # not the same ones every time
    assert [sample.prompt for sample in samples] == first.prompts
    assert "2 shots" in one.signature()["xcopa"]
    none = open_harness_set(standard_suite("sphinx").get("xcopa"), {"it": rows})
    assert len({one.sha256, none.sha256, again.sha256}) == 2
    other = open_harness_set(about, {"it": rows}, examples={"it": examples[::-1]})
    assert other.sha256 != one.sha256


def test_shots_without_enough_examples_are_refused() -> None:
    about = standard_suite("sphinx").get("xcopa").with_shots(3)
    rows = [xcopa_row(n) for n in range(4)]
    with pytest.raises(EvaluationError, match="xcopa_it: 3 shots, 2 examples"):
        open_harness_set(about, {"it": rows[2:]}, examples={"it": rows[:2]})


def test_shots_that_show_the_answer_to_what_is_asked_are_refused() -> None:
    about = standard_suite("sphinx").get("xcopa").with_shots(2)
    rows = [xcopa_row(n) for n in range(4)]
    with pytest.raises(EvaluationError, match="xcopa_it: 1 of the examples are asked, too"):
        open_harness_set(about, {"it": rows[:3]}, examples={"it": rows[2:]})


def test_examples_of_a_set_with_parts_are_those_of_the_part() -> None:
    about = standard_suite("sphinx").get("mmlu").with_shots(1)
    about = about.model_copy(
        update={"harness": about.task.model_copy(update={"parts": ("anatomy", "virology")})}
    )

    def row(subject: str, number: int) -> dict[str, object]:
        return {"question": f"{subject} {number}?", "choices": list("wxyz"), "answer": 1, "subject": subject}

    rows = [row(subject, n) for subject in about.task.parts for n in range(2)]
    one = open_harness_set(about, {"en": rows}, examples={"en": [row(s, 9) for s in about.task.parts]})
    runner = Known()
    one.ask(lambda: runner, ["en"], 8, lambda _: None)
    for prompt in runner.prompts:
        subject = "anatomy" if "anatomy" in prompt else "virology"
        assert f"{subject} 9?" in prompt and prompt.count("Answer:") == 2


def test_questions_are_the_items_without_the_words_around_them() -> None:
    aligned = open_harness_set(
        standard_suite("sphinx").get("xcopa"), {la: [xcopa_row(n) for n in range(3)] for la in ("it", "th")}
    )
    found = [(q.lang, q.id, q.text) for q in aligned.limited(2).questions()]
    assert len(found) == 4 and {one[1] for one in found if one[0] == "it"} == {
        one[1] for one in found if one[0] == "th"
    }
    assert all(text.startswith("Llueve") and "quindi" not in text for _, _, text in found)
    apart = standard_suite("sphinx").get("xwinograd")
    row = {"sentence": "Es ist _ da.", "option1": "er", "option2": "sie", "answer": "1"}
    ids = [q.id for q in open_harness_set(apart, {"en": [row], "fr": [row]}).questions()]
    assert ids == ["en/0", "fr/0"]  # another item in each language
    xquad = {"id": "56b", "context": "C", "question": "Wer?", "answers": {"text": ["X"], "answer_start": [0]}}
    both = open_harness_set(standard_suite("sphinx").get("xquad"), {"de": [xquad], "es": [xquad]})
    assert [(q.id, q.text) for q in both.questions()] == [("56b", "Wer?")] * 2


def test_rows_without_the_question_are_refused_since_nothing_could_be_searched_for() -> None:
    about = standard_suite("sphinx").get("xcopa")
    about = about.model_copy(update={"harness": about.task.model_copy(update={"asks": ("sentence",)})})
    with pytest.raises(EvaluationError, match="no column sentence"):
        open_harness_set(about, {"it": [xcopa_row(0)]})


def test_every_set_names_columns_that_its_template_has() -> None:
    """The harness's own description of each task mentions what is taken for the question."""
    count = 0
    for about in (one for name in SUITE_NAMES for one in standard_suite(name).sets if one.harness):
        folder = description(about, about.languages[0], about.task.parts[0]).parent
        told = "".join(
            path.read_text() for path in folder.iterdir() if path.is_file() and path.suffix != ".md"
        )
        if about.name == "arc" and "arc_{code}" not in about.task.task:
            told += (folder / "arc_easy.yaml").read_text()
        assert all(column in told for column in about.task.asks), about.name
        count += 1
    assert count >= 15


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
            config = load_yaml(description(about, lang, part), resolve_func=False)
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
