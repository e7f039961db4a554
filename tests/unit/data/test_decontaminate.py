import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core.errors import DataError
from tongues.core.records import AlignedRow, Source
from tongues.data import decontaminate
from tongues.data.decontaminate import Prompt, contaminated_groups, read_prompts

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")


def row(group: str, lang: str, instruction: str, output: str = "no answer") -> AlignedRow:
    return AlignedRow(group, lang, instruction, "", output, (), "", SOURCE, (), {}, None)


def found(text: str, prompt: str, lang: str = "en", prompt_lang: str | None = None) -> bool:
    prompts = [Prompt("suite:1", prompt_lang or lang, prompt)]
    return bool(contaminated_groups([row("g", lang, text)], prompts))


LONG = "which of these four rivers flows through the largest number of countries in Europe today"


@pytest.mark.parametrize(
    ("text", "prompt", "hit"),
    [
        (f"Tell me: {LONG.upper()}?", LONG, True),
        ("so, these four rivers flows through the largest one", LONG, False),
        ("And these four rivers flows through the largest number were", LONG, True),
        ("What is the capital of Peru?", "What is the capital of Peru", True),
        ("What is the capital of Chile?", "What is the capital of Peru", False),
        ("I asked: what is the capital of Peru? Lima.", "what is the capital of Peru", True),
        ("Who are you?", "Who are you?", True),
        ("Please tell me who are you", "Who are you?", False),
        ("", "Who are you?", False),
        ("...", "?", False),
    ],
)
def test_contaminated_groups_finds_shared_runs_of_words(text: str, prompt: str, hit: bool) -> None:
    assert found(text, prompt) is hit


def test_contaminated_groups_in_scripts_without_spaces_goes_by_letters() -> None:
    prompt = "下列哪条河流流经欧洲最多的国家并且注入黑海"
    assert found("请回答：下列哪条河流流经欧洲最多的国家并且注入黑海？谢谢", prompt, "zh-Hans")
    assert not found("请告诉我哪条河流流经欧洲", prompt, "zh-Hans")


def test_contaminated_groups_keeps_words_with_combining_marks_whole() -> None:
    hindi = "यह नदी यूरोप के सबसे अधिक देशों से होकर बहती है"
    assert found(f"बताइए: {hindi}।", hindi, "hi")
    assert not found("यह नदी बहती है", hindi, "hi")
    assert found("आप कौन हैं?", "आप कौन हैं", "hi")
    assert not found("कृपया बताएं आप कौन हैं", "आप कौन हैं", "hi"), "three words, not eight pieces"


def test_contaminated_groups_takes_the_whole_group_for_one_language() -> None:
    spanish = "cuál de estos cuatro ríos pasa por el mayor número de países"
    rows = [
        row("g1", "en", "Harmless words."),
        row("g1", "es", spanish),
        row("g2", "es", "Otra cosa distinta."),
    ]
    groups = contaminated_groups(rows, [Prompt("suite:4", "es", spanish)])
    assert list(groups) == ["g1"]
    assert "suite:4" in groups["g1"]


LETTERS = st.text(alphabet="ab1 .,é\u0301ﬁ天กำ\u200d\ud800", max_size=40)


@settings(max_examples=150, deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=6), LETTERS, st.sampled_from(["en", "th", "zh-Hans"]))
def test_contaminated_groups_finds_by_hashes_what_comparing_word_by_word_finds(
    texts: list[str], prompt: str, lang: str
) -> None:
    rows = [row(f"g{number}", lang, text + prompt[: 3 * number]) for number, text in enumerate(texts)]
    runs = decontaminate._runs_by_size([Prompt("suite:1", lang, prompt)])
    expected = {one.group: hit for one in rows if (hit := decontaminate._overlap(one, runs))}
    assert contaminated_groups(rows, [Prompt("suite:1", lang, prompt)]) == expected


def test_contaminated_groups_over_several_batches_says_the_first_language(monkeypatch: Any) -> None:
    monkeypatch.setattr(decontaminate, "_ROWS_AT_ONCE", 3)
    rows = [row(f"g{n:02d}", lang, LONG if n in (4, 9) else f"text {n}") for lang in "sc" for n in range(12)]
    found = contaminated_groups(rows, [Prompt("suite:7", "en", LONG)])
    assert list(found) == ["g04", "g09"] and all(said.startswith("c: ") for said in found.values())


def test_contaminated_groups_looks_into_answers_too() -> None:
    assert contaminated_groups([row("g", "en", "x", output=LONG)], [Prompt("suite:1", "en", LONG)])


def test_read_prompts_takes_all_three_kinds(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    lines = [{"question": "a", "lang": "en"}, {"text": "b", "lang": "es"}, {"prompt": "c", "lang": "ca"}]
    path.write_text("\ufeff" + "\n\n".join(map(json.dumps, lines)) + "\n")
    assert [(p.lang, p.text) for p in read_prompts(path)] == [("en", "a"), ("es", "b"), ("ca", "c")]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{broken", b"[1]", b'{"lang": "en"}', b'{"text": "a"}', b"\xff\xfe"]
)
def test_read_prompts_of_an_unusable_file_raises(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be compared"):
        read_prompts(path)


def test_read_prompts_of_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        read_prompts(tmp_path / "absent.jsonl")
