"""sPhinX (arXiv 2407.09879): many languages by resource tier, and n-shot samples in each of them.

    (user: example 1) (assistant: answer 1) ... (user: example n) (assistant: answer n)
    (user: the item) (assistant: its answer, which alone is learnt)

The paper states: 51 languages, English among them; 100,000, 50,000 and 25,000 rows per language of a
high, mid and low tier; other items in other languages; and, for each sample, examples of the same
language before the item. It translates only what the task allows: that is `translation.selection`.

It does not state, so these are defaults: which language is in which tier (see `tongues.core.languages`);
how many examples (0 to 5, all alike); which (any other items of the language); that they are turns of
the conversation; and that the loss falls on the last answer only, as tuning takes it everywhere.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain

from tongues.core.languages import language
from tongues.core.recipe import SphinxMethod
from tongues.core.records import AlignedRow, Record
from tongues.core.store import AlignedStore
from tongues.methods.demand import Demand, not_taught, refuse
from tongues.methods.pairs import turns
from tongues.methods.shots import Sample, Sampler

_TURN_TOKENS = 6
"""What a chat template adds to one turn: marks, the role's name, line breaks."""


def build(
    store: AlignedStore, section: SphinxMethod, *, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record]:
    """Emit the samples of every language, named "sphinx", English ones "sphinx/english".

    Each language draws its items without replacement and independently of the others. The metadata
    notes the tier, how many examples were drawn ("drawn"), how many fit ("n") and whose they are
    ("shots", groups with commas between them), which `Record.groups` reads.

    Args:
        store: every item in every language.
        section: rows by tier, and the examples.
        languages: BCP-47 codes to teach.
        source_lang: BCP-47 code of the originals; takes part unless the section says no.
        seed: the recipe's seed.

    Raises:
        PreflightError: a language has fewer groups than asked for, or than one sample needs, or a
            tier is given to a language that is not taught.
    """
    taught = sorted({*languages, source_lang} if section.source_language else languages)
    tiers = _tiers(section, taught)
    demands = [Demand(lang, getattr(section.rows, tiers[lang]), store.groups(lang)) for lang in taught]
    strangers = not_taught((entry.lang for entry in section.tiers), taught, "tiers")
    refuse([*strangers, *(demand.problem or _lonely(demand, section) for demand in demands)], "sphinx")
    return chain.from_iterable(
        _records(store, section, demand, tiers[demand.lang], seed, source_lang) for demand in demands
    )


def _tiers(section: SphinxMethod, taught: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {entry.lang: entry.tier for entry in section.tiers}
    return {lang: given.get(lang) or language(lang).tier for lang in taught}


def _lonely(demand: Demand, section: SphinxMethod) -> str:
    """A language that has fewer items than the longest sample."""
    needed, there = section.shots.max + 1, len(demand.groups)
    short = needed - there
    asked = f"{demand.lang}: a sample needs up to {needed} items"
    return f"{asked}, the store has {there}: {short} too few" if short > 0 else ""


def _records(
    store: AlignedStore, section: SphinxMethod, demand: Demand, tier: str, seed: int, source_lang: str
) -> Iterator[Record]:
    sampler = Sampler(store, section.shots, demand.lang, seed)
    name = "sphinx/english" if demand.lang == source_lang else "sphinx"
    for sample in sampler.samples(demand.groups, demand.drawn(seed, "sphinx")):
        shots = _fitting(sample, section)
        yield _record(sample, shots, name, tier)


def _fitting(sample: Sample, section: SphinxMethod) -> tuple[AlignedRow, ...]:
    """The examples that fit; the first one of the conversation, the least like the item, goes first."""
    shots = sample.shots
    while shots and _tokens((*shots, sample.item), section.bytes_per_token) > section.max_tokens:
        shots = shots[1:]
    return shots


def _tokens(rows: Sequence[AlignedRow], bytes_per_token: float) -> int:
    """An estimate: the tokenizer is known to tuning only."""
    messages = [message for row in rows for message in turns(row)]
    size = sum(len(message.content.encode("utf-8", "replace")) for message in messages)
    return math.ceil(size / bytes_per_token) + _TURN_TOKENS * len(messages)


def _record(sample: Sample, shots: Sequence[AlignedRow], name: str, tier: str) -> Record:
    rows = (*shots, sample.item)
    return Record.create(
        messages=tuple(message for row in rows for message in turns(row)),
        group=sample.item.group,
        method=name,
        source=sample.item.source,
        steps=tuple(dict.fromkeys(step for row in rows for step in row.steps)),
        meta={
            "category": sample.item.category,
            "tier": tier,
            "drawn": str(len(sample.shots)),
            "n": str(len(shots)),
            "shots": ",".join(shot.group for shot in shots),
        },
    )
