"""Keep evaluation prompts out of the training data, in every language.

A group is contaminated when the text of any of its languages shares a run of words with an
evaluation prompt; then all its records go, translations included. In scripts without spaces
letters take the place of words.

Every text is compared letter by letter first, as arrays of hashes over a batch of texts at once; only
those that may share a run with a prompt are compared word by word. Memory holds what the evaluation
sets need, and one batch.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tongues.core.errors import DataError
from tongues.core.languages import languages
from tongues.core.records import AlignedRow, Record
from tongues.data.suspects import Suspects

RUN_WORDS = 8
"""Words in a row that two texts do not share by accident."""
RUN_LETTERS = 16
"""The same for scripts without spaces."""
_PROMPT_FIELDS = ("question", "text", "prompt")
WHOLE_ONLY = 4
"""A prompt of fewer words (or twice as many letters) counts only as a whole field."""
_ROWS_AT_ONCE = 2_048

Item = AlignedRow | Record


@dataclass(frozen=True, slots=True)
class Prompt:
    """One evaluation item: where it stands, its language, wording, and id (the same in every language)."""

    where: str
    lang: str
    text: str
    id: str = ""


def read_prompts(path: Path) -> list[Prompt]:
    """Read the prompts of an evaluation file.

    Args:
        path: JSONL with "lang" and one of "question", "text", "prompt" in each row.

    Raises:
        DataError: the file cannot be read, or a row is not an evaluation item. Data that could
            not be compared must never count as clean.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(str(path), str(error)) from error
    prompts = [_prompt(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not prompts:
        raise _unreadable(str(path), "it holds no prompt")
    return prompts


def contaminated_groups(rows: Iterable[Item], prompts: Sequence[Prompt]) -> dict[str, str]:
    """Find the groups that overlap an evaluation prompt in any language.

    Args:
        rows: the aligned store's rows, all languages, and records that were not made of them.
        prompts: all prompts of the suite, all languages.

    Returns:
        Group to what was found, "LANG: shared words (file:line)"; clean groups are absent.
    """
    runs = _runs_by_size(prompts)
    suspects = Suspects(letters for kind in runs.values() for letters in map("".join, kind))
    hits: dict[tuple[str, str], str] = {}
    stream = iter(rows)
    while batch := list(islice(stream, _ROWS_AT_ONCE)):
        fields = [(at, text) for at, row in enumerate(batch) for text in _fields(row)]
        for number in suspects.among([text for _, text in fields]):
            row = batch[fields[number][0]]
            if (row.group, row.lang) not in hits and (hit := _overlap(row, runs)):
                hits[row.group, row.lang] = hit
    found: dict[str, str] = {}
    for group, lang in sorted(hits):
        found.setdefault(group, hits[group, lang])
    return found


def _fields(row: Item) -> tuple[str, ...]:
    if isinstance(row, Record):
        return (*(message.content for message in row.messages), row.meta.get("rejected", ""))
    return row.instruction, row.input, row.output


Runs = dict[tuple[bool, int], dict[tuple[str, ...], str]]
"""(words apart?, run length) to run to the place of its prompt; length 0: a whole field."""


def _runs_by_size(prompts: Sequence[Prompt]) -> Runs:
    runs: Runs = {}
    for prompt in prompts:
        spaced, parts = units(prompt.text, prompt.lang)
        size = run_size(spaced, len(parts))
        wanted = runs.setdefault((spaced, size), {})
        for run in windows(parts, size):
            wanted.setdefault(run, prompt.where)
    return runs


def run_size(spaced: bool, parts: int) -> int:
    """A prompt shorter than a run is a run itself; one of a few words counts as a whole field only (0).

    Args:
        spaced: whether its words are written apart.
        parts: its words, or letters.
    """
    full = RUN_WORDS if spaced else RUN_LETTERS
    return 0 if parts < (WHOLE_ONLY if spaced else 2 * WHOLE_ONLY) else min(parts, full)


def windows(parts: tuple[str, ...], size: int) -> Iterator[tuple[str, ...]]:
    """All runs of so many words or letters; the whole where the size is 0."""
    if size == 0:
        yield parts
        return
    for start in range(len(parts) - size + 1):
        yield parts[start : start + size]


def _overlap(row: Item, runs: Runs) -> str | None:
    for text in _fields(row):
        spaced, parts = units(text, row.lang)
        for (kind, size), wanted in runs.items():
            if kind != spaced or not parts:
                continue
            if run := next((run for run in windows(parts, size) if run in wanted), None):
                joined = (" " if spaced else "").join(run)
                return f"{row.lang}: {joined!r} ({wanted[run]})"
    return None


def units(text: str, lang: str) -> tuple[bool, tuple[str, ...]]:
    """Words, kept whole across combining marks; or letters where words are not written apart."""
    known = languages().get(lang)
    spaced = known is None or known.has_spaces
    plain = unicodedata.normalize("NFKC", text).casefold()
    marked = "".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in plain)
    return spaced, tuple(marked.split()) if spaced else tuple(re.sub(r"\s", "", marked))


def _prompt(line: str, where: str) -> Prompt:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _unreadable(where, f"not JSON: {error}") from None
    fields = row if isinstance(row, dict) else {}
    text = next((fields[name] for name in _PROMPT_FIELDS if isinstance(fields.get(name), str)), None)
    if text is None or not isinstance(fields.get("lang"), str):
        raise _unreadable(where, f'needs "lang" and one of {", ".join(_PROMPT_FIELDS)}')
    return Prompt(where, fields["lang"], text, str(fields.get("id", where)))


def _unreadable(where: str, why: str) -> DataError:
    return DataError(
        f"evaluation file cannot be compared with the training data: {why}",
        where=where,
        fix="check evaluation.suite in the recipe",
    )
