"""Direct translation of the fixed pair: every paper's baseline."""

from collections.abc import Iterator, Sequence

from tongues.core.errors import PreflightError
from tongues.core.recipe import DirectMethod
from tongues.core.records import AlignedRow, Message, Record
from tongues.core.store import AlignedStore
from tongues.methods.draws import draw_without_replacement
from tongues.methods.prompts import user_turn


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
    wanted = dict.fromkeys(sorted(languages), section.rows_per_language)
    wanted |= {source_lang: section.english_rows} if section.english_rows else {}
    if problems := [p for lang, rows in wanted.items() if (p := _shortage(store, lang, rows))]:
        raise PreflightError(problems, where="dataset.methods (direct)")
    return (
        _record(store.get(group, lang), "direct/english" if lang == source_lang else "direct")
        for lang, rows in wanted.items()
        for group in _drawn(store, lang, rows, seed)
    )


def _shortage(store: AlignedStore, lang: str, rows: int | None) -> str:
    there = len(store.groups(lang))
    short = max(rows or 1, 1) - there
    asked = f"{rows} rows are asked for" if rows else "all rows are asked for"
    return f"{lang}: {asked}, the store has {there}: {short} too few" if short > 0 else ""


def _drawn(store: AlignedStore, lang: str, rows: int | None, seed: int) -> list[str]:
    groups = store.groups(lang)
    return groups if rows is None else draw_without_replacement(groups, rows, seed, "direct", lang)


def _record(row: AlignedRow, method: str) -> Record:
    return Record.create(
        messages=(
            Message("user", user_turn(row.instruction, row.input), row.lang),
            Message("assistant", row.output, row.lang),
        ),
        group=row.group,
        method=method,
        source=row.source,
        steps=row.steps,
        meta={"category": row.category},
    )
