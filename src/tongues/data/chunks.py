"""Cutting a document into passages at its line breaks; joined again they are the document."""

import re
from collections.abc import Iterator

from tongues.core.sentences import split_sentences
from tongues.core.token_estimate import estimated_tokens

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def chunks(text: str, lang: str, *, max_tokens: int, bytes_per_token: float) -> list[str]:
    """Cut a text into pieces as long as the limit allows, each from line break to line break.

    A line that is longer by itself is cut at the ends of its sentences, a sentence that is longer anywhere
    (default: UltraLink, arXiv 2402.04588, says line breaks only, and its code loses the line at the cut).

    Args:
        text: any text.
        lang: BCP-47 code; says where sentences end.
        max_tokens: longest piece, at least 1.
        bytes_per_token: see `estimated_tokens`.

    Returns:
        Pieces that make the text when joined; each within the limit, unless one character is not.
    """
    longest = max_tokens * bytes_per_token
    found: list[str] = []
    size = 0.0
    for part in _parts(text, lang, longest):
        bytes_in_part = len(part.encode("utf-8", "replace"))
        if not found or size + bytes_in_part > longest:
            found.append("")
            size = 0.0
        found[-1] += part
        size += bytes_in_part
    return found


def long_enough(chunk: str, *, more_than: int, bytes_per_token: float) -> bool:
    """Whether the last piece of a document has enough tokens to stand alone."""
    return estimated_tokens(chunk, bytes_per_token) > more_than


def _parts(text: str, lang: str, longest: float) -> Iterator[str]:
    """Lines with their breaks; sentences of a line that is too long; pieces of such a sentence."""
    for line in _LINE.findall(text):
        if _fits(line, longest):
            yield line
            continue
        for sentence in _sentences(line, lang):
            yield from _pieces(sentence, longest)


def _sentences(line: str, lang: str) -> list[str]:
    return [sentence for sentence in split_sentences(line, lang) if sentence]


def _pieces(sentence: str, longest: float) -> Iterator[str]:
    """The sentence, or parts of it of as many characters as are sure to fit."""
    if _fits(sentence, longest):
        yield sentence
        return
    step = max(int(longest) // 4, 1)
    for start in range(0, len(sentence), step):
        yield sentence[start : start + step]


def _fits(text: str, longest: float) -> bool:
    return len(text.encode("utf-8", "replace")) <= longest
