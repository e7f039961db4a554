"""What two equal texts have in common: Unicode form (NFC), case and white space are evened out.

Of a million texts nearly all hold only characters that stay as they are or have one small letter, and
single blanks. Arrow finds the others by a pattern and turns the rest small, whole columns at once; what
the pattern finds goes text by text. The pattern is made by comparing Arrow with Python on every assigned
character, so both ways give the same text whatever the versions of Unicode they know.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache

import pyarrow as pa

_CASED = ((0, 0x3400), (0xA000, 0xAC00), (0xD7A4, 0xD800), (0xF900, 0x20000), (0x2F800, 0x2FA20))
"""Where characters may have case, be marks, or be replaced by NFC; not so ideographs, Hangul, private use."""
_UNKNOWN = r"\x{323b0}-\x{dffff}\x{e01f0}-\x{effff}"
"""Not assigned yet: another version of Unicode may know them."""
_JAMO = frozenset(range(0x1161, 0x1176)) | frozenset(range(0x11A8, 0x11C3))
"""Vowels and final consonants of Hangul, which join what is before them."""
_SPACES = "".join(chr(p) for p in range(0x3001) if chr(p).isspace() and chr(p) != " ")
_UNEVEN = f" *[{_SPACES}][ {_SPACES}]*|  +"
"""Pattern of white space that is not one blank."""
_TWICE = "ßẞς"
"""Characters of whole languages that have another folded form than small letter."""
_FEW = 512
"""So few texts are quicker one by one than the pattern is compiled."""


def normalise(text: str) -> str:
    """NFC, case folded, runs of white space as one space."""
    plain = unicodedata.normalize("NFC", text).casefold().strip()
    return plain if _is_spaced(plain) else " ".join(plain.split())


def normalised(texts: pa.StringArray) -> pa.StringArray:
    """`normalise` of every text of a column without nulls."""
    if len(texts) < _FEW:
        return pa.array(map(normalise, texts.to_pylist()), pa.string())
    return _at_once(texts)


def _at_once(texts: pa.StringArray) -> pa.StringArray:
    import pyarrow.compute as pc

    texts = pc.utf8_trim(texts, " ")
    others = pc.match_substring_regex(texts, f"{_strange()}|{_UNEVEN}|[{_TWICE}]")
    rest = texts.filter(others)
    even = pc.utf8_trim(pc.replace_substring_regex(_folded(rest), _UNEVEN, " "), " ")
    strange = pc.match_substring_regex(rest, _strange())
    one_by_one = pa.array(map(normalise, rest.filter(strange).to_pylist()), pa.string())
    return pc.replace_with_mask(pc.utf8_lower(texts), others, pc.replace_with_mask(even, strange, one_by_one))


def _folded(texts: pa.StringArray) -> pa.StringArray:
    """Case folded, but for what `_strange` finds."""
    import pyarrow.compute as pc

    return pc.replace_substring(pc.replace_substring(pc.utf8_lower(texts), "ß", "ss"), "ς", "σ")


def _is_spaced(text: str) -> bool:
    """Whether all white space is single blanks already: all other kinds are not printable."""
    return "  " not in text and text.isprintable()


@cache
def _strange() -> str:
    """Pattern of texts that Arrow cannot fold.

    They hold a character that folds otherwise, that NFC replaces or may join to the one before it, or two
    marks in a row, whose order NFC may change.
    """
    characters = [chr(point) for block in _CASED for point in range(*block)]
    folded = _folded(pa.array(characters, pa.string())).to_pylist()
    found = {ord(c) for c, low in zip(characters, folded, strict=True) if c.casefold() != low}
    found |= _JAMO
    for character in filter(unicodedata.decomposition, characters):
        found |= _composed(character)
    marks = _class(map(ord, filter(unicodedata.combining, characters)))
    return f"[{_class(found)}{_UNKNOWN}]|[{marks}][{marks}]"


def _composed(character: str) -> set[int]:
    """Of a character that has parts: itself if NFC replaces it, and what it may be joined from."""
    parts = unicodedata.decomposition(character).split()
    itself = set() if unicodedata.is_normalized("NFC", character) else {ord(character)}
    return itself | ({int(parts[1], 16)} if len(parts) == 2 and not parts[0].startswith("<") else set())


def _class(points: Iterable[int]) -> str:
    """Code points as the inside of a character class: runs of neighbours as one range."""
    ordered = sorted(points)
    firsts = [n for n, point in enumerate(ordered) if not n or point != ordered[n - 1] + 1]
    runs = zip(firsts, [*firsts[1:], len(ordered)], strict=True)
    return "".join(rf"\x{{{ordered[first]:x}}}-\x{{{ordered[end - 1]:x}}}" for first, end in runs)
