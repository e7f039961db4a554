"""The form of the marks that stand for protected spans while a text is being translated.

The one place that knows it. A mark is a word of no language, ``Xq12q``, which engines copy like a
name. Measured with Apertium into four languages on 500 sentences with 3 marks each: none lost,
changed or doubled. Brackets around a number do not live as long (``⟦2⟧``: bracket and digit part
ways in up to 16 of 500), nor do capitals (``XQ2`` is taken apart into Galician).
"""

import re

_FLAGS = re.IGNORECASE | re.ASCII

FOUND = re.compile(r"xq(\d{1,9})q", _FLAGS)
"""A mark as it comes back; at the start of a sentence an engine may change its case."""
RESERVED = re.compile(r"xq\d+q?", _FLAGS)
"""What a source text must not hold beside marks; where it does, it is protected itself. A mark
neither begins nor ends with what could complete such text, so gluing makes no new one."""


def mark(number: int) -> str:
    """The mark with this number, 0 or more."""
    return f"Xq{number}q"


def canonical(found: re.Match[str]) -> str:
    """The mark as it was sent out."""
    return mark(int(found.group(1)))


def strip_marks(text: str) -> str:
    """The text that an engine really translated: marks become spaces."""
    return FOUND.sub(" ", text)
