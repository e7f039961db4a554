import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tongues.core.errors import DataError
from tongues.core.recipe import EvaluationSection, SuiteSection
from tongues.core.standard_suites import SET_NAMES, SUITE_NAMES, standard_suite
from tongues.evaluation.cross import WORDINGS, CrossSet, mapped, read_cross
from tongues.evaluation.drawing import drawn
from tongues.evaluation.runner import Done
from tongues.evaluation.set_rows import read_rows

SETS = {
    "quick": "choices translation open",
    "sphinx": "xcopa xstorycloze xwinograd belebele xquad mgsm flores mmlu arc hellaswag piqa boolq gsm8k",
    "taco": "vicuna80",
    "crossin": "cross_mmlu cross_logiqa cross_xquad",
    "ultralink": "mgsm humaneval arc hellaswag mmlu omgeval",
}


@pytest.mark.parametrize("name", SUITE_NAMES)
def test_suite_has_its_sets_a_version_and_sources(name: str) -> None:
    suite = standard_suite(name)
    assert [one.name for one in suite.sets] == SETS[name].split()
    assert suite.version >= 1
    assert all(one.source and one.about for one in suite.sets)


def test_set_names_are_those_of_all_suites() -> None:
    own = {one.name for name in SUITE_NAMES for one in standard_suite(name).sets if not one.fills}
    assert sorted(own) == list(SET_NAMES)


def test_text_of_people_is_told_from_text_of_machines() -> None:
    assert standard_suite("sphinx").get("belebele").text == "translated by people"
    assert standard_suite("ultralink").get("mmlu").text == "translated by machine"


def test_codes_of_a_set_are_its_own() -> None:
    sphinx = standard_suite("sphinx")
    assert sphinx.get("xcopa").code("zh-Hans") == "zh"
    assert sphinx.get("xwinograd").code("ja") == "jp"
    assert sphinx.get("belebele").code("ne") == "npi_Deva"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"standard": "sphinx", "sets": {"nothing": {"uri": "x"}}}, "not in suite sphinx; it has xcopa"),
        ({"sets": {"xcopa": {"uri": "x"}}, "open_uri": "x.jsonl"}, "not in any suite"),
        ({"standard": "taco", "open_uri": "x.jsonl"}, "has a set for that"),
        ({"standard": "taco", "sets": {"vicuna80": {"uri": "one.jsonl"}}}, "one file per language"),
        ({}, "name a standard suite"),
        (
            {"standard": "sphinx", "sets": {"mgsm": {"uri": "{lang}.tsv", "shots": 4}}},
            "4 shots need examples",
        ),
        (
            {"standard": "sphinx", "sets": {"mgsm": {"uri": "{lang}.tsv", "shots": -1}}},
            "greater than or equal",
        ),
        (
            {"standard": "sphinx", "sets": {"mgsm": {"uri": "{lang}.tsv", "shots_uri": "x"}}},
            "shots_uri: shots is 0",
        ),
        (
            {"standard": "sphinx", "sets": {"mgsm": {"uri": "hf://a/b@c", "shots": 4, "shots_uri": "x"}}},
            "the hub has examples of its own",
        ),
        (
            {"standard": "crossin", "sets": {"cross_mmlu": {"uri": "x.json", "shots": 5}}},
            "only sets of lm-evaluation-harness have shots",
        ),
    ],
)
def test_suite_that_cannot_be_meant_is_refused(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SuiteSection.model_validate(section)


def test_shots_of_the_recipe_take_the_place_of_the_suites_own() -> None:
    one = standard_suite("sphinx").get("mgsm")
    assert one.task.shots == 0 and "0 shots" in one.measured_by
    assert one.with_shots(None) is one
    assert one.with_shots(4).task.shots == 4 and "4 shots" in one.with_shots(4).measured_by
    sets = {"mgsm": {"uri": "{lang}.tsv", "shots": 4, "shots_uri": "examples.{lang}.tsv"}}
    assert SuiteSection.model_validate({"standard": "sphinx", "sets": sets}).sets["mgsm"].shots == 4


def test_quick_suite_ships_its_files() -> None:
    uris = SuiteSection(standard="quick").uris
    assert sorted(uris) == ["choices", "open", "translation"]
    assert all(Path(uri).is_file() for uri in uris.values())


def test_programs_are_not_run_unless_somebody_says_so() -> None:
    suite = {"code_uri": "code.jsonl"}
    with pytest.raises(ValidationError, match="run: true"):
        EvaluationSection.model_validate({"suite": suite})
    EvaluationSection.model_validate({"suite": suite, "generated_code": {"run": True}})


OPTIONS = ("Paris", "Rome", "the city of Bonn", "Oslo")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("(B) Rome", "B"),
        ("The answer is (C).", "C"),
        ("(A) Paris is wrong. (B) Rome is right. I say (B).", "B"),
        ("B", "B"),
        ("Answer: D.", "D"),
        ("It is the city of Bonn", "C"),
        ("答案是（B）。", "B"),
        ("答案是B。", "B"),
        ("(A) or (B)", None),
        ("(E)", None),
        ("no idea", None),
        ("", None),
        ("...", None),
    ],
)
def test_answer_is_mapped_to_the_option_that_it_names(answer: str, letter: str | None) -> None:
    assert mapped(answer, OPTIONS) == letter


def record(number: int, answer: str = "(B) b") -> dict[str, Any]:
    choices = ["(A) a", "(B) b", "(C) c"]
    item = {"question": f"q{number}", "choices": choices, "answer": answer, "context": f"text {number}"}
    return {"id": number, "English": item, "Chinese": item, "Spanish": item}


CROSS = standard_suite("crossin").get("cross_logiqa")
LANGS = ("en", "zh-Hans", "es")


class Scripted:
    """A runner that answers with the next text of a list, over and over."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.prompts = itertools.cycle(texts), list[str]()

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, done: Done) -> list[str]:
        self.prompts += prompts
        done(len(prompts))
        return list(itertools.islice(self.texts, len(prompts)))


def by_lang(one: CrossSet, texts: Sequence[str]) -> dict[str, list[Any]]:
    samples = one.ask(lambda: Scripted(texts), one.langs, 8, lambda _: None)  # type: ignore[arg-type,return-value]
    return {lang: [s for s in samples if s.lang == lang] for lang in one.langs}


def test_cross_set_takes_the_median_of_five_wordings() -> None:
    one = read_cross([record(n) for n in range(5)], CROSS, LANGS)
    # Of five wordings, the first has 5 of 5 right in every language, the others 1, 2, 3 and 4.
    right = [5, 1, 2, 3, 4]
    texts = ["(B) b" if n < right[w] else "(A) a" for w in range(5) for n in range(5)]
    found = one.measure(by_lang(one, texts))
    assert found["es/accuracy"].value == 3 / 5
    assert found["all/accuracy"].value == pytest.approx(3 / 5)
    assert found["all/consistency_3"].value == 1.0
    assert found["es/unmapped_rate"].value == 0.0


def test_cross_set_consistency_is_that_of_going_through_all_subsets() -> None:
    one = read_cross([record(n) for n in range(7)], CROSS, LANGS)
    texts = ["(A)", "(B)", "(C)", "(B)", "(B)", "(A)", "(C)", "(C)"]
    answers = by_lang(one, texts)
    found = one.measure(answers)
    per_wording = []
    for wording in range(1, 6):
        letters = {
            lang: [s.got for s in samples if s.id.endswith(f"/{wording}")]
            for lang, samples in answers.items()
        }
        pairs = list(itertools.combinations(LANGS, 2))
        agree = [sum(letters[a][n] == letters[b][n] for n in range(7)) / 7 for a, b in pairs]
        per_wording.append(sum(agree) / len(pairs))
    assert found["all/consistency_2"].value == pytest.approx(sorted(per_wording)[2])


def test_cross_answer_that_names_nothing_is_drawn_alike_every_time_and_counted() -> None:
    one = read_cross([record(n) for n in range(4)], CROSS, LANGS)
    first, second = by_lang(one, ["hm"]), by_lang(one, ["hm"])
    assert first == second
    assert {s.got for samples in first.values() for s in samples} <= {"A", "B", "C"}
    assert one.measure(first)["en/unmapped_rate"].value == 1.0


def test_cross_prompt_has_context_choices_and_each_wording() -> None:
    one = read_cross([record(0)], CROSS, ("es",))
    runner = Scripted(["(A)"])
    one.ask(lambda: runner, ("es",), 8, lambda _: None)  # type: ignore[arg-type,return-value]
    assert len(runner.prompts) == one.size == len(WORDINGS)
    assert all(
        w in p and "text 0" in p and "(C) c" in p for w, p in zip(WORDINGS, runner.prompts, strict=True)
    )


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"id": 1}],
        [record(0) | {"Spanish": record(0, "(C) c")["English"]}],
        [record(0, "b")],
        [record(0, "(D) d")],
        [record(0) | {"Spanish": {"question": "q", "choices": None, "answer": "(A) a"}}],
    ],
)
def test_cross_records_that_are_not_aligned_are_refused(records: list[dict[str, Any]]) -> None:
    with pytest.raises(DataError):
        read_cross(records, CROSS, LANGS)


def test_cross_limit_draws_the_same_items_in_all_languages() -> None:
    one = read_cross([record(n) for n in range(40)], CROSS, LANGS).limited(6)
    assert {tuple(item.id for item in items) for items in one.items.values()} == {
        tuple(str(n) for n in drawn(40, 6))
    }
    assert one.size == 6 * 3 * 5


def test_rows_are_read_in_every_shape(tmp_path: Path) -> None:
    rows = [{"premise": "เธอ", "label": 1}, {"premise": "b", "label": 0}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.json", "a.parquet"):
        assert read_rows(tmp_path / name, "hub") == rows
    (tmp_path / "m.tsv").write_text("Wie viele?\t70,000\n\nUnd?\t-5\n")
    assert [row["answer_number"] for row in read_rows(tmp_path / "m.tsv", "mgsm")] == [70000, -5]
    squad = {"data": [{"paragraphs": [{"context": "\ufeffc", "qas": [
        {"id": "1", "question": "q", "answers": [{"text": "t", "answer_start": 0}]}]}]}]}  # fmt: skip
    (tmp_path / "s.json").write_text(json.dumps(squad))
    (row,) = read_rows(tmp_path / "s.json", "squad")
    assert row["context"] == "c" and row["answers"] == {"text": ["t"], "answer_start": [0]}


@pytest.mark.parametrize("text", ["", "[]", "[1]", "{", '"x"', '{"data": 1}', "[" * 100_000, "a\tb\tc"])
def test_rows_that_are_none_are_an_error_of_that_file(tmp_path: Path, text: str) -> None:
    for name in ("x.json", "x.tsv", "x.parquet"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=name):
            read_rows(tmp_path / name, "mgsm" if name == "x.tsv" else "squad")
