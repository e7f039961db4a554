"""Direct translation of the fixed pair: every paper's baseline."""

from collections.abc import Iterator, Sequence

from tongues.core.recipe import DirectMethod
from tongues.core.records import Record
from tongues.core.store import AlignedStore
from tongues.methods.demand import Demand, demands_of_source, refuse
from tongues.methods.pairs import pair


def build(
    store: AlignedStore, section: DirectMethod, *, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record]:
    """Emit each drawn pair in its language, and English pairs beside them.

    Every language draws its own groups, without replacement and independently of the others, so
    that together they cover more items. Records are named "direct", English ones "direct/english".

    Args:
        store: every item in every language.
        section: how many rows per language and how many English ones.
        languages: BCP-47 codes to teach.
        source_lang: BCP-47 code of the originals.
        seed: the recipe's seed.

    Raises:
        PreflightError: a language has fewer groups than asked for, or none.
    """
    demands = [Demand(lang, section.rows_per_language, store.groups(lang)) for lang in sorted(languages)]
    demands += demands_of_source(store, source_lang, section.english_rows)
    refuse((demand.problem for demand in demands), "direct")
    return (
        pair(store.get(group, demand.lang), "direct/english" if demand.lang == source_lang else "direct")
        for demand in demands
        for group in demand.drawn(seed, "direct")
    )
