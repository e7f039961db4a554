import json
from pathlib import Path

import pytest

from tongues.core.errors import PreflightError
from tongues.evaluation.suite import load_suite

Files = dict[str, Path]


def _edit(path: Path, number: int, **values: object) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[number - 1] = json.dumps(json.loads(lines[number - 1]) | values, ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _problems(files: Files, languages: tuple[str, ...] = ("es", "gl")) -> tuple[str, ...]:
    with pytest.raises(PreflightError) as caught:
        load_suite("tiny", languages=languages, source_lang="en", **files)
    return caught.value.problems


def test_load_suite_sound_files_are_aligned_by_id(suite_files: Files) -> None:
    suite = load_suite("tiny", languages=("es", "gl"), source_lang="en", **suite_files)
    assert list(suite.choices) == ["en", "es", "gl"]
    for items in zip(*suite.choices.values(), strict=True):
        assert len({item.id for item in items}) == 1
    assert suite.choices["gl"][1].choices[2] == "un prato"
    assert suite.work_items == 9 + 4 + 3


def test_load_suite_rows_in_another_order_give_the_same_suite(suite_files: Files) -> None:
    before = load_suite("tiny", languages=("es", "gl"), source_lang="en", **suite_files)
    lines = suite_files["choices"].read_text(encoding="utf-8").splitlines()
    english, others = lines[:3], lines[3:]
    suite_files["choices"].write_text("\n".join([*reversed(others), *english]), encoding="utf-8")
    after = load_suite("tiny", languages=("es", "gl"), source_lang="en", **suite_files)
    assert after.choices == before.choices
    assert after.sha256 == before.sha256


def test_load_suite_extra_language_is_ignored_also_by_the_digest(suite_files: Files) -> None:
    with_gl = load_suite("tiny", languages=("es",), source_lang="en", **suite_files)
    for path in suite_files.values():
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if '"gl"' not in line]
        path.write_text("\n".join(kept), encoding="utf-8")
    without = load_suite("tiny", languages=("es",), source_lang="en", **suite_files)
    assert list(with_gl.choices) == ["en", "es"]
    assert with_gl.sha256 == without.sha256


def test_suite_digest_any_changed_text_changes_it(suite_files: Files) -> None:
    before = load_suite("tiny", languages=("es", "gl"), source_lang="en", **suite_files).sha256
    _edit(suite_files["translation"], 1, text="The sun is a big star.")
    assert load_suite("tiny", languages=("es", "gl"), source_lang="en", **suite_files).sha256 != before


def test_load_suite_every_problem_is_named_with_file_and_line(suite_files: Files) -> None:
    choices, translation, questions = suite_files.values()
    _edit(choices, 2, answer="E")
    _edit(choices, 4, question="  ")
    _edit(choices, 5, choices=["a", "b", "c"], answer="A")
    _edit(choices, 9, answer="A")
    _edit(translation, 3, text="")
    _edit(translation, 4, lang="galego")
    questions.write_text(questions.read_text(encoding="utf-8") + "{broken\n[1]\n", encoding="utf-8")
    found = "\n".join(_problems(suite_files))
    for expected in [
        f"{choices}:2: 'answer' is 'E'; allowed: A, B, C, D",
        f"{choices}:4: 'question' is missing, empty",
        "id 'mc-1' has 3 choices in 'es' and 4 in 'en'",
        "the answer of id 'mc-2' is A in 'gl' and D in 'en'",
        f"{translation}:3: 'text' is missing, empty",
        f"{translation}:4: unknown language 'galego'",
        f"{questions}:4: not a JSON object",
        f"{questions}:5: not a JSON object (it is a list)",
    ]:
        assert expected in found
    assert "lacks" not in found  # a broken row is complained of once, not again as missing


def test_load_suite_missing_language_is_named(suite_files: Files) -> None:
    found = _problems(suite_files, languages=("es", "gl", "ca"))
    assert len(found) == 3
    assert all("no row in 'ca', a language of the recipe" in problem for problem in found)


def test_load_suite_missing_source_language_is_an_error_too(suite_files: Files) -> None:
    path = suite_files["open"]
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[1:]), encoding="utf-8")
    assert _problems(suite_files) == (f"{path}: no row in 'en', a language of the recipe",)


def test_load_suite_unaligned_ids_are_listed(suite_files: Files) -> None:
    path = suite_files["translation"]
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]), encoding="utf-8")
    assert _problems(suite_files) == (f"{path}: 'gl' lacks the ids tr-1",)


def test_load_suite_doubled_id_and_equal_options_are_errors(suite_files: Files) -> None:
    _edit(suite_files["choices"], 2, id="mc-0")
    _edit(suite_files["choices"], 6, choices=["seca", "seca", "de piedra", "mojada"])
    found = "\n".join(_problems(suite_files))
    assert ":2: id 'mc-0' stands twice in 'en'" in found
    assert ":6: two options of 'choices' are the same" in found


def test_load_suite_lone_surrogate_and_missing_file_are_errors(suite_files: Files) -> None:
    row = '{"id": "o-0", "lang": "en", "prompt": "\\ud800 what?"}\n'
    kept = suite_files["open"].read_text(encoding="utf-8").splitlines()[1:]
    suite_files["open"].write_text(row + "\n".join(kept), encoding="utf-8")
    suite_files["choices"] = suite_files["choices"].with_name("none.jsonl")
    found = "\n".join(_problems(suite_files))
    assert "half of a surrogate pair" in found
    assert "none.jsonl: cannot be read" in found
