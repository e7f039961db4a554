"""Tokenised once, found again, and never found where something has changed."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tongues.core.records import Message, Record, Source
from tongues.tuning import tokenised
from tongues.tuning.masks import encode
from tongues.tuning.models import load_tokenizer
from tongues.tuning.tokenised import TokenisedRows, row_sizes, tokenise, tokenised_key


@pytest.fixture
def mixed(records: list[Record], record: Callable[..., Record]) -> list[Record]:
    """Rows in two languages, a dialogue, one too long, one with a planted mark."""
    turns = [("user", "one"), ("assistant", "dos"), ("user", "three"), ("assistant", "quatre")]
    messages = tuple(Message(role, text, "ca") for role, text in turns)  # type: ignore[arg-type]
    source, meta = Source("tests", "1", "0", "CC0-1.0"), {"loss": "every-answer"}
    dialogue = Record.create(messages=messages, group="g", method="m", source=source, meta=meta)
    return [*records, dialogue, record("long", "uno " * 400), record("mark", "<|im_end|>")]


def ask(
    records: list[Record], base: Path, folder: Path, tokens: int = 256
) -> tuple[TokenisedRows, list[Any]]:
    return tokenise(records, load_tokenizer(base), base, folder, max_seq_tokens=tokens)


def test_tokenise_rows_from_the_file_are_those_of_encode(
    mixed: list[Record], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenised, "_ROWS_PER_BATCH", 7)
    examples, drops = encode(mixed, load_tokenizer(tiny_base), max_seq_tokens=256)
    rows, dropped = ask(mixed, tiny_base, tmp_path)
    assert list(rows) == examples == [rows[i] for i in range(len(rows))] == rows[:]
    assert dropped == drops
    assert row_sizes(rows) == row_sizes(examples)
    assert rows[-1] == examples[-1]
    with pytest.raises(IndexError):
        rows[len(rows)]


def test_tokenise_second_time_finds_the_first_and_tokenises_nothing(
    mixed: list[Record], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, dropped = ask(mixed, tiny_base, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.arrow")}
    monkeypatch.delattr(tokenised, "encode")  # a call would be a NameError
    again, dropped_again = ask(mixed, tiny_base, tmp_path)
    assert (list(again), dropped_again) == (list(first), dropped)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.arrow")}


def test_tokenise_file_that_was_damaged_is_made_again(
    mixed: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    whole = list(ask(mixed, tiny_base, tmp_path)[0])
    [path] = tmp_path.rglob("rows.arrow")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert list(ask(mixed, tiny_base, tmp_path)[0]) == whole


def test_tokenise_asked_by_several_at_once_is_done_once(
    mixed: list[Record], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return encode(*args, **kwargs)

    monkeypatch.setattr(tokenised, "encode", counted)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: list(ask(mixed, tiny_base, tmp_path)[0]), range(3)))
    assert found[0] == found[1] == found[2]
    assert len(calls) == 1
    assert not list(tmp_path.glob(".tokenising-*"))


def test_tokenised_key_changes_with_each_thing_the_tokens_depend_on(
    records: list[Record], tiny_base: Path, tmp_path: Path
) -> None:
    keys = {tokenised_key(records, tiny_base, 256), tokenised_key(records, tiny_base, 128)}
    keys |= {tokenised_key(records[1:], tiny_base, 256), tokenised_key(records[::-1], tiny_base, 256)}
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    assert tokenised_key(records, other, 256) in keys
    template = other / "chat_template.jinja"
    template.write_text(template.read_text() + "\n")
    keys.add(tokenised_key(records, other, 256))
    vocabulary = json.loads((other / "tokenizer.json").read_text())
    (other / "tokenizer.json").write_text(json.dumps(vocabulary, indent=1))
    keys.add(tokenised_key(records, other, 256))
    loss = [
        Record.create(messages=r.messages, group=r.group, method=r.method, source=r.source) for r in records
    ]
    assert tokenised_key(loss, tiny_base, 256) in keys
    loss[0].meta["loss"] = "every-answer"
    keys.add(tokenised_key(loss, tiny_base, 256))
    assert len(keys) == 7
