import json
from pathlib import Path

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe import SuiteSection
from tongues.evaluation.published import FILE_CODES, read_published
from tongues.evaluation.suite import Suite, load_suite


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def xcopa(label: int, kind: str = "cause") -> str:
    item = {"premise": "Llovió.", "choice1": "Se mojó.", "choice2": "Se secó.", "question": kind}
    return json.dumps(item | {"label": label, "idx": 7, "changed": False}) + "\n"


def test_xcopa_becomes_a_sentence_that_each_choice_continues(tmp_path: Path) -> None:
    files = {
        "it": write(tmp_path / "val.it.jsonl", xcopa(1)),
        "sw": write(tmp_path / "sw", xcopa(1, "effect")),
    }
    rows = read_published("xcopa", files)
    assert rows[0] == {
        "lang": "it",
        "id": "xcopa-7",
        "question": "Llovió perché ...",
        "choices": ["se mojó.", "se secó."],
        "answer": "B",
    }
    assert rows[1]["question"] == "Llovió kwa hiyo ..."


def test_mgsm_answers_are_read_as_in_english_and_ids_are_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "mgsm_de.tsv", "Wie viele?\t70,000\n\nUnd nun?\t5\n")
    rows = read_published("mgsm", {"de": path})
    assert [(row["id"], row["answers"]) for row in rows] == [("mgsm-0", ["70000"]), ("mgsm-2", ["5"])]


def test_published_files_that_are_something_else_are_all_named(tmp_path: Path) -> None:
    files = {
        "es": write(tmp_path / "es.json", '{"data": [{}]}'),
        "vi": write(tmp_path / "vi.json", "[" * 100_000),
        "en": tmp_path / "missing.json",
    }
    with pytest.raises(PreflightError) as caught:
        read_published("xquad", files)
    assert [Path(p.split(":")[0]).name for p in caught.value.problems] == [
        "es.json",
        "vi.json",
        "missing.json",
    ]


def test_xcopa_language_without_connectors_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="of fr"):
        read_published("xcopa", {"fr": write(tmp_path / "x", xcopa(0))})


def load(tmp_path: Path, rows: list[dict[str, object]], task: str = "qa") -> Suite:
    path = write(tmp_path / "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return load_suite("s", languages=("es", "th"), source_lang="en", partial=(task,), **{task: path})


def qa(id: str, lang: str, answers: object = ("a",)) -> dict[str, object]:
    return {"id": id, "lang": lang, "question": "?", "context": "a b", "answers": answers}


def test_partial_task_has_the_languages_there_are_and_they_agree_in_ids(tmp_path: Path) -> None:
    suite = load(tmp_path, [qa("1", "es"), qa("2", "es"), qa("2", "th"), qa("1", "th")])
    assert list(suite.qa) == ["es", "th"]
    assert [item.id for item in suite.qa["th"]] == ["1", "2"]
    with pytest.raises(PreflightError, match="'th' lacks the ids 2"):
        load(tmp_path, [qa("1", "es"), qa("2", "es"), qa("1", "th")])


def test_partial_task_without_any_language_of_the_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreflightError, match="no row in 'en'"):
        load(tmp_path, [qa("1", "vi")])


@pytest.mark.parametrize("answers", [[], [""], "a", [1], None])
def test_answers_that_are_no_list_of_texts_are_refused(tmp_path: Path, answers: object) -> None:
    with pytest.raises(PreflightError, match="'answers' must be a list"):
        load(tmp_path, [qa("1", "es", answers)])


def test_word_problem_whose_answer_is_no_number_is_refused(tmp_path: Path) -> None:
    row = {"id": "1", "lang": "es", "question": "?", "answers": ["many"]}
    with pytest.raises(PreflightError, match="must hold one number"):
        load(tmp_path, [row], "math")


def test_limited_suite_draws_the_same_items_everywhere_whatever_their_order(tmp_path: Path) -> None:
    rows = [qa(str(n), lang) for lang in ("en", "es", "th") for n in range(40)]
    whole = load(tmp_path, rows)
    some = whole.limited(5)
    ids = [item.id for item in some.qa["en"]]
    assert len(ids) == 5 == len(set(ids))
    assert all([item.id for item in some.qa[lang]] == ids for lang in ("es", "th"))
    backwards = load(tmp_path, rows[::-1]).limited(5)
    assert {item.id for item in backwards.qa["es"]} == set(ids)
    assert some.sha256 != whole.sha256
    assert whole.limited(None) is whole
    assert whole.limited(400).sha256 == whole.sha256
    beginnings = [str(n) for n in range(5)], sorted(map(str, range(40)))[:5]
    assert set(ids) not in map(set, beginnings)  # spread over the file


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"choices_uri": "a.jsonl", "choices_format": "xcopa"}, "put {lang} in place of the code"),
        ({"qa_uri": "a.{lang}.json"}, "take {lang} out"),
        ({}, "name a standard suite"),
    ],
)
def test_suite_section_tells_what_a_format_needs(values: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SuiteSection(**values)


def test_real_published_files_are_read_whole_and_aligned(shared_data: Path, tmp_path: Path) -> None:
    sets = {"choices": ("xcopa", "xcopa/val.{}.jsonl"), "math": ("mgsm", "mgsm/mgsm_{}.tsv"),
            "qa": ("xquad", "xquad/xquad.{}.json")}  # fmt: skip
    langs = ("de", "es", "et", "id", "it", "ru", "sw", "ta", "th", "tr", "vi", "zh-Hans")
    written = {}
    for task, (name, pattern) in sets.items():
        files = {lang: shared_data / pattern.format(FILE_CODES.get(lang, lang)) for lang in ("en", *langs)}
        rows = read_published(name, {lang: path for lang, path in files.items() if path.exists()})
        written[task] = write(tmp_path / task, "".join(json.dumps(row) + "\n" for row in rows))
    suite = load_suite("real", languages=langs, source_lang="en", partial=tuple(sets), **written)
    sizes = [{len(items) for items in task.values()} for task in (suite.choices, suite.math, suite.qa)]
    assert sizes == [{100}, {250}, {1190}]
    assert [len(task) for task in (suite.choices, suite.math, suite.qa)] == [9, 7, 4]
