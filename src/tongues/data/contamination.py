"""How much of the evaluation sets a model has been trained on, item by item and language by language.

Assembly drops what overlaps (`decontaminate`); this looks again at what was really trained on, for the suite
that is really asked, which may be another. The rule is the same one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tongues.core.comparison import Exposure
from tongues.core.records import Record
from tongues.data.decontaminate import (
    RUN_LETTERS,
    RUN_WORDS,
    WHOLE_ONLY,
    Prompt,
    run_size,
    units,
    windows,
)
from tongues.data.suspects import Suspects

RULE = (
    f"an item is met where its prompt shares {RUN_WORDS} words in a row with a turn of a training record "
    f"({RUN_LETTERS} letters in scripts without spaces; a shorter prompt as a whole, one below {WHOLE_ONLY} "
    "words only as a whole turn), after NFKC and case folding, without punctuation"
)
_RECORDS_AT_ONCE = 2_048
_EXAMPLES = 5


Runs = dict[tuple[bool, int], dict[tuple[str, ...], list["_Item"]]]
"""(words apart?, run length) to run to the items that hold it; length 0: a whole turn."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of an evaluation set."""

    task: str
    lang: str
    id: str


def exposures(
    records: Iterable[Record], sets: Mapping[str, Sequence[Prompt]]
) -> tuple[int, tuple[Exposure, ...]]:
    """Count the items of each set and language that the training data holds.

    Args:
        records: training records, read once.
        sets: task to the prompts of its set, all languages.

    Returns:
        Records searched, and one exposure per task and language.
    """
    searched, met = _met(records, _runs(sets))
    anywhere = {(item.task, item.id) for item in met}
    found: list[Exposure] = []
    for task, prompts in sets.items():
        ids: dict[str, list[str]] = {}
        for prompt in prompts:
            ids.setdefault(prompt.lang, []).append(prompt.id)
        for lang, names in ids.items():
            direct = {name for name in names if _Item(task, lang, name) in met}
            known = [name for name in names if (task, name) in anywhere]
            found.append(_exposure(task, lang, len(names), direct, known))
    return searched, tuple(found)


def _exposure(task: str, lang: str, items: int, direct: set[str], known: Sequence[str]) -> Exposure:
    examples = sorted(known, key=lambda name: name not in direct)[:_EXAMPLES]
    translated = sum(name not in direct for name in known)
    return Exposure(
        task=task,
        lang=lang,
        items=items,
        direct=len(known) - translated,
        translated=translated,
        examples=tuple(examples),
    )


def _met(records: Iterable[Record], runs: Runs) -> tuple[int, set[_Item]]:
    """Records searched, and the items that share a run with one of them."""
    suspects = Suspects("".join(run) for wanted in runs.values() for run in wanted)
    met: set[_Item] = set()
    searched, stream = 0, iter(records)
    while batch := list(islice(stream, _RECORDS_AT_ONCE)):
        searched += len(batch)
        turns = [turn for record in batch for turn in _turns(record)]
        for number in suspects.among([text for _, text in turns]):
            met.update(_shared(*turns[number], runs))
    return searched, met


def _turns(record: Record) -> Iterator[tuple[str, str]]:
    """Language and text of every turn, a rejected answer among them."""
    yield from ((message.lang, message.content) for message in record.messages)
    if rejected := record.meta.get("rejected", ""):
        yield record.lang, rejected


def _runs(sets: Mapping[str, Sequence[Prompt]]) -> Runs:
    runs: Runs = {}
    for task, prompts in sets.items():
        for prompt in prompts:
            spaced, parts = units(prompt.text, prompt.lang)
            size = run_size(spaced, len(parts))
            for run in set(windows(parts, size)) if parts else ():
                items = runs.setdefault((spaced, size), {}).setdefault(run, [])
                items.append(_Item(task, prompt.lang, prompt.id))
    return runs


def _shared(lang: str, text: str, runs: Runs) -> Iterator[_Item]:
    spaced, parts = units(text, lang)
    for (kind, size), wanted in runs.items():
        if kind == spaced and parts:
            for run in windows(parts, size):
                yield from wanted.get(run, ())
