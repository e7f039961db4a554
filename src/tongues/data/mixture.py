"""The mixture: how much of each language and method is kept of what was built.

Shares of languages come from weights or from a temperature, shares of methods within a language from
weights. The source language's share against forgetting is set apart first. Without a budget the whole
is as large as the scarcest part allows. Rows are drawn by rank, a hash of seed and text, so the draw is
the same in any order and sharding, and a larger budget keeps what a smaller one kept.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from math import floor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tongues.core.errors import PreflightError
from tongues.core.recipe import MixtureSection
from tongues.data.draw import Draw
from tongues.data.removals import Places32

K = TypeVar("K")
Cell = tuple[str, str]
"""Language and method; the method is "" where methods are not weighted."""
_WHERE = "dataset.mixture"


def draw_ranks(keys: npt.NDArray[np.uint64], *, seed: int) -> npt.NDArray[np.uint64]:
    """The order of the draw: a number per record that depends on its key and the seed only.

    Args:
        keys: digests of the records' texts, 64 bits each.
        seed: the recipe's seed.
    """
    salt = blake2b(f"mixture:{seed}".encode(), digest_size=16).digest()
    first, second = np.frombuffer(salt, np.uint64)
    ranks: npt.NDArray[np.uint64] = (keys ^ first) * (second | np.uint64(1))
    ranks ^= ranks >> np.uint64(32)
    ranks *= np.uint64(0xD6E8FEB86659FD93)
    ranks ^= ranks >> np.uint64(32)
    return ranks


def mix(
    section: MixtureSection, draw: Draw, cells: Sequence[Cell], *, languages: Sequence[str], source_lang: str
) -> Places32:
    """Choose the records that are kept.

    Args:
        section: weights and budget.
        draw: all records that are left after filters.
        cells: language and method by the number that `draw` knows them by.
        languages: BCP-47 codes that the recipe teaches.
        source_lang: BCP-47 code of the originals, which `english_share` is about.

    Returns:
        Their places, in ascending order.

    Raises:
        PreflightError: the shares cannot be met; says by how much, per language.
    """
    available = {cell: size for cell, size in zip(cells, draw.available(len(cells)), strict=True) if size}
    wanted = quotas(section, available, languages=languages, source_lang=source_lang)
    return draw.drawn([wanted.get(cell, 0) for cell in cells])


def quotas(
    section: MixtureSection, available: Mapping[Cell, int], *, languages: Sequence[str], source_lang: str
) -> dict[Cell, int]:
    """Rows or tokens of each language and method.

    Args:
        section: weights and budget.
        available: what there is.
        languages: BCP-47 codes that the recipe teaches.
        source_lang: BCP-47 code of the originals.

    Raises:
        PreflightError: the shares cannot be met; says by how much, per language.
    """
    unit = "tokens" if section.budget_tokens else "rows"
    by_lang = _by_language(available, {*languages} | ({source_lang} if section.english_share else set()))
    shares = _cell_shares(section, available, _language_shares(section, by_lang, source_lang))
    budget = section.budget_rows or section.budget_tokens
    scarcest = min((available.get(cell, 0) / share for cell, share in shares.items()), default=0.0)
    whole = floor(min(scarcest, sum(available.values())) + 1e-9)
    wanted = _rounded(shares, whole if budget is None else budget)
    problems = [_shortage(cell, rows, available.get(cell, 0), unit) for cell, rows in wanted.items()]
    if not whole:
        problems += [_shortage(cell, 1, available.get(cell, 0), unit) for cell in wanted if not wanted[cell]]
    if found := sorted(filter(None, problems)):
        fix = "lower the budget or the weights, or build more"
        raise PreflightError(found, where=_WHERE, fix=fix)
    return wanted


def _by_language(available: Mapping[Cell, int], languages: set[str]) -> dict[str, int]:
    found = dict.fromkeys(sorted(languages), 0)
    for (lang, _), size in sorted(available.items()):
        found[lang] = found.get(lang, 0) + size
    return found


def _language_shares(
    section: MixtureSection, available: Mapping[str, int], source_lang: str
) -> dict[str, float]:
    weights = {lang: _weight(section, lang, size) for lang, size in available.items()}
    if section.english_share is None:
        return _normalised(weights, 1.0)
    others = {lang: weight for lang, weight in weights.items() if lang != source_lang}
    shares = _normalised(others, 1 - section.english_share)
    return shares | ({source_lang: section.english_share} if section.english_share else {})


def _weight(section: MixtureSection, lang: str, available: int) -> float:
    if section.languages:
        return section.languages.get(lang, 1.0)
    return float(available ** (1 / (section.temperature or 1.0)))


def _cell_shares(
    section: MixtureSection, available: Mapping[Cell, int], by_lang: Mapping[str, float]
) -> dict[Cell, float]:
    shares: dict[Cell, float] = {}
    for lang, share in by_lang.items():
        methods = [method for (of, method), size in sorted(available.items()) if of == lang and size] or [""]
        weights = {(lang, method): section.methods.get(method, 1.0) for method in methods}
        shares |= _normalised(weights, share)
    return {cell: share for cell, share in shares.items() if share}


def _normalised(weights: Mapping[K, float], whole: float) -> dict[K, float]:
    total = sum(weights.values())
    return {key: whole * weight / total for key, weight in weights.items()} if total else dict(weights)


def _rounded(shares: Mapping[Cell, float], whole: int) -> dict[Cell, int]:
    """Whole numbers that add up: what is cut off goes to the largest remainders."""
    found = {cell: floor(whole * share + 1e-9) for cell, share in shares.items()}
    by_remainder = sorted(shares, key=lambda cell: (found[cell] - whole * shares[cell], cell))
    for cell in by_remainder[: whole - sum(found.values())]:
        found[cell] += 1
    return found


def _shortage(cell: Cell, wanted: int, there: int, unit: str) -> str:
    name = ", ".join(filter(None, cell))
    short = wanted - there
    return f"{name}: {wanted} {unit} are asked for, {there} are there: {short} too few" if short > 0 else ""
