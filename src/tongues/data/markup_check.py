"""Whether a translation closes what its source closes."""

import unicodedata

from tongues.core.ports import Verdict
from tongues.data.verdicts import judged

_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
_DIRECTIONS = (("\u202a\u202b\u202d\u202e", "\u202c"), ("\u2066\u2067\u2068", "\u2069"))
"""Embeddings, overrides and isolates: one left open turns the text behind it around."""
_PARITY = ("```", "**", "`", "$$")


def check_balance(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that leaves open what the source closed: brackets, bold, code, direction."""
    before, after = unicodedata.normalize("NFKC", source), unicodedata.normalize("NFKC", translated)
    pairs = [*_BRACKETS, *_DIRECTIONS]
    broken = ["".join(p) for p in pairs if not _is_balanced(after, *p) and _is_balanced(before, *p)]
    broken += [sign for sign in _PARITY if after.count(sign) % 2 and before.count(sign) % 2 == 0]
    shown = " ".join(broken).encode("ascii", "backslashreplace").decode()
    return judged("balance", "unbalanced-markup" if broken else "", f"left open: {shown}")


def _is_balanced(text: str, opening: str, closing: str) -> bool:
    if not any(sign in text for sign in opening + closing):
        return True
    depth = 0
    for sign in text:
        depth += (sign in opening) - (sign in closing)
        if depth < 0:
            return False
    return depth == 0
