"""Texts as sets of shingles: the same few words in a row make two texts alike, in any script.

A unit is a word: letters, combining marks and digits without a break. In scripts that do not write
spaces between words (Han, Kana, Thai, Lao, Khmer, Burmese and others) a unit is one letter with its
marks. A shingle is three words in a row, or five letters where the first unit is a letter; a text
with fewer units is one shingle. Case, Unicode form (NFC), punctuation and invisible characters do
not count. The script decides, character by character, so mixed texts need no language.

All texts of a batch are cut and hashed at once, as arrays of code points: a loop over words in
Python would take most of the time of finding near duplicates.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

WORDS = 3
"""Units of a shingle where words are written apart."""
LETTERS = 5
"""Units of a shingle where they are not."""

Numbers32 = npt.NDArray[np.uint32]
Numbers64 = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_GAP, _WORD, _MARK, _LETTER, _LETTER_MARK, _INVISIBLE = range(6)
_STARTS = frozenset(
    [(_GAP, _WORD), (_GAP, _MARK), (_GAP, _LETTER_MARK), (_LETTER, _WORD), (_LETTER_MARK, _WORD)]
    + [(before, _LETTER) for before in range(5)]
)
"""Pairs of neighbouring classes between which a unit begins."""
_UNSPACED = (
    *((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF)),
    *((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3040, 0x30FF), (0x31A0, 0x31FF)),
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF)),
    *((0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFF)),
)
"""Blocks of scripts without spaces between words (Unicode 15)."""
_CODE_POINTS = 0x110000
_ASSIGNED = ((0, 0x34000), (0xE0000, 0xE0200))
"""Where Unicode has characters that are not for private use."""
_CLASS_BITS, _POINT = np.uint32(24), np.uint32(0x1FFFFF)
_BLOCK_CHARS = 1 << 16
_BASE = 0x9E3779B97F4A7C15 | 1
_MIX = np.uint64(0xD6E8FEB86659FD93)
_PLACES = np.array(
    [0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3, 0x1D8E4E27C47D124F],
    dtype=np.uint64,
)


@dataclass(frozen=True, slots=True)
class Shingles:
    """The shingles of a batch of texts.

    Args:
        hashes: 32-bit hashes, each text's sorted and without repeats, one text after the other.
        offsets: where each text's hashes begin, and the end: one more than there are texts.
    """

    hashes: Numbers32
    offsets: Places


def shingles(texts: Sequence[str]) -> Shingles:
    """Cut texts into shingles.

    Args:
        texts: any Unicode text; one without letters or digits has no shingle.
    """
    folded = [unicodedata.normalize("NFC", text).casefold() for text in texts]
    blocks = [_block(folded[start:end]) for start, end in pairwise(_cuts(folded))]
    if not blocks:
        return Shingles(np.empty(0, np.uint32), np.zeros(1, np.int64))
    counts = np.concatenate([np.diff(block.offsets) for block in blocks])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return Shingles(np.concatenate([block.hashes for block in blocks]), offsets)


def _cuts(texts: Sequence[str]) -> list[int]:
    """Places to cut the batch, so that the arrays of a block fit the processor's cache."""
    cuts, size = [0], 0
    for place, text in enumerate(texts):
        if size and size + len(text) > _BLOCK_CHARS:
            cuts.append(place)
            size = 0
        size += len(text) + 1
    return [*cuts, len(texts)] if texts else []


def _block(texts: Sequence[str]) -> Shingles:
    characters = _characters(texts)
    classes = (characters >> _CLASS_BITS).astype(np.uint8)
    if (hidden := classes == _INVISIBLE).any():
        return _block(_without(texts, np.unique(characters[hidden] & _POINT)))
    starts = np.flatnonzero(_transitions()[classes[:-1] * np.uint8(6) + classes[1:]]) + 1
    units = _mixed(_units(characters, starts))
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + 1
    borders = np.searchsorted(starts, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))
    return _sets(*_in_a_row(units, classes[starts] >= _LETTER, borders), len(texts))


def _characters(texts: Sequence[str]) -> Numbers32:
    """The characters of all texts as `_table` has them, with a gap before, between and after the texts."""
    joined = "\n" + "\n".join(texts) + "\n"
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
    return _table()[points]


def _without(texts: Sequence[str], points: Numbers32) -> Sequence[str]:
    """The texts without these characters, of which a block has few kinds."""
    for character in map(chr, points.tolist()):
        texts = [text.replace(character, "") for text in texts]
    return texts


def _units(characters: Numbers32, starts: Places) -> Numbers64:
    """One hash per unit: its characters as digits of a number, by sums over all that come before."""
    powers, inverses = _powers(max(len(characters), _BLOCK_CHARS).bit_length())
    sums = np.cumsum(characters * powers[: len(characters)])
    units: Numbers64 = np.diff(sums[starts - 1], append=sums[-1:]) * inverses[starts]
    return units


def _in_a_row(units: Numbers64, letters: npt.NDArray[np.bool_], borders: Places) -> tuple[Numbers64, Places]:
    """The shingles of all texts, and the text that each belongs to."""
    counts = np.diff(borders)
    text = np.repeat(np.arange(len(counts)), counts)
    place, end = np.arange(len(units)), np.repeat(borders[1:], counts)
    long = np.where(letters, LETTERS, WORDS)
    found = _joined(units, end, WORDS)
    if letters.any():
        found = np.where(letters, _joined(units, end, LETTERS), found)
    whole = (place + long <= end) | (place == np.repeat(borders[:-1], counts))
    return _mixed(found[whole]), text[whole]


def _joined(units: Numbers64, end: Places, long: int) -> Numbers64:
    """Hash of up to `long` units from each place on, none beyond the end of the text."""
    found: Numbers64 = units * _PLACES[0]
    for step in range(1, min(long, len(units))):
        inside = np.arange(step, len(units)) < end[:-step]
        found[:-step] += units[step:] * _PLACES[step] * inside
    return found


def _sets(hashes: Numbers64, text: Places, texts: int) -> Shingles:
    keys = (text.astype(np.uint64) << np.uint64(32)) | (hashes >> np.uint64(32))
    keys.sort()
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    keys = keys[first]
    bounds = np.arange(texts + 1, dtype=np.uint64) << np.uint64(32)
    return Shingles(keys.astype(np.uint32), np.searchsorted(keys, bounds).astype(np.int64))


def _mixed(numbers: Numbers64) -> Numbers64:
    """Spread every bit over all 64 (two rounds of xor-shift and multiply)."""
    for _ in range(2):
        numbers = numbers ^ (numbers >> np.uint64(32))
        numbers = numbers * _MIX
    return numbers ^ (numbers >> np.uint64(32))


@cache
def _table() -> Numbers32:
    """Every code point with its class above it; 0 for what stands between units."""
    kinds = {"L": _WORD, "N": _WORD, "M": _MARK}
    classes = np.full(_CODE_POINTS, _GAP, np.uint32)
    for first, end in _ASSIGNED:
        categories = map(unicodedata.category, map(chr, range(first, end)))
        found = (_INVISIBLE if category == "Cf" else kinds.get(category[0], _GAP) for category in categories)
        classes[first:end] = np.fromiter(found, np.uint32, end - first)
    for first, last in _UNSPACED:
        block = classes[first : last + 1]
        block[block == _WORD] = _LETTER
        block[block == _MARK] = _LETTER_MARK
    points = np.arange(_CODE_POINTS, dtype=np.uint32)
    return np.where(classes == _GAP, np.uint32(0), (classes << _CLASS_BITS) | points)


@cache
def _transitions() -> npt.NDArray[np.bool_]:
    return np.array([(before, after) in _STARTS for before in range(6) for after in range(6)])


@cache
def _powers(bits: int) -> tuple[Numbers64, Numbers64]:
    """The first 2**bits powers of the base modulo 2**64, and their inverses."""
    bases = (_BASE, pow(_BASE, -1, 1 << 64))
    powers = [np.cumprod(np.full(1 << bits, base, np.uint64), dtype=np.uint64) for base in bases]
    return powers[0], powers[1]
