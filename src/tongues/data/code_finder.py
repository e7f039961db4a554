"""Finds code in a text: fenced, inline, and standing bare between lines of prose."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

Span = tuple[int, int]

_FENCE = re.compile(r"`{3,}|^[ ]{0,3}~{3,}", re.MULTILINE)
_OPENS = re.compile(r"[^`\n]{0,400}$", re.MULTILINE)
_BACKTICKS = re.compile(r"`+")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_JSON_KEY = re.compile(r'"[A-Za-z_][\w.-]{0,80}"(?=[ \t]{0,4}:)')
_IDENTIFIER = re.compile(
    r"(?<![\w.])(?:[A-Za-z]\w{0,60}\.){0,4}(?:_{0,2}[A-Za-z]\w{0,60}\(\)|[A-Za-z][A-Za-z0-9]{0,40}(?:_[A-Za-z0-9]{1,40}){1,6}(?:\(\))?)(?!\w)"
)
_STATEMENT = re.compile(
    r"\s*(?:"
    r"(?:async )?def \w+\(.*\).*:|class \w+(?:\(.*\))?:|(?:from [\w.]+ )?import [\w.*{][\w.*{}, ]*;?"
    r"|(?:if|elif|for|while|with|except)\b.*[()=<>\[\]_.].*:|else:|try:|finally:|return\b.*[()=\[\]_+*;].*"
    r"|#include\b.*|@\w+(?:\(.*\))?|print\(.*\)|(?:public|private|static|const|let|var|function)\b.*[;{=(].*"
    r"|(?:if|for|while|switch)\s*\(.*\)\s*\{?|(?:SELECT|INSERT|UPDATE|DELETE|CREATE)\b.*[;*=(].*"
    r"|[A-Za-z_][\w.\[\]'\"]*\s*(?:[-+*/|&]?=|:=)\s*\S.*|[A-Za-z_]\w*(?:\.\w+)*\([^()]*\);?"
    r"|[^\s].*[;{]|[}\])]+[;,]?"
    r")\s*"
)
_MIN_LINES = 2
"""A single line that looks like code may be prose; two in a row hardly."""
_SURE = re.compile(
    r"\s*(?:(?:async )?def \w+\(|#include\b|from [\w.]+ import \w|SELECT .* FROM |print\(|class \w+.*:\s*$)"
)


def find_code(text: str) -> Iterator[Span]:
    """Fenced blocks, inline code, blocks of bare code, identifiers, and the keys of JSON objects."""
    fences = list(_fences(text))
    yield from fences
    yield from _inline_code(text, fences)
    yield from _bare_code(text)
    for pattern in (_IDENTIFIER, _JSON_KEY):
        yield from (found.span() for found in pattern.finditer(text))


def _fences(text: str) -> Iterator[Span]:
    """Blocks from a fence that ends its line, but for a word, to the next fence at least as long.

    Looser than CommonMark, because models write a fence behind words on the same line too. Only
    one at the start of a line runs to the end of the text where nothing closes it.
    """
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened and fence.group().strip().startswith(opened.group().strip()):
            yield opened.start(), fence.end()
            opened = None
        elif opened is None and _OPENS.match(text, fence.end()):
            opened = fence
    if opened and text[: opened.start()].rstrip(" ")[-1:] in ("", "\n"):
        yield opened.start(), len(text)


def _inline_code(text: str, fences: list[Span]) -> Iterator[Span]:
    """CommonMark: a run of backticks is closed by the next run of the same length, in its paragraph."""
    for start, end in _gaps(fences, len(text)):
        breaks = (found.span() for found in _BLANK_LINE.finditer(text, start, end))
        for first, last in _gaps(breaks, end, start):
            yield from _backtick_pairs(text, first, last)


def _backtick_pairs(text: str, start: int, end: int) -> Iterator[Span]:
    runs = [found.span() for found in _BACKTICKS.finditer(text, start, end)]
    ahead: dict[int, list[int]] = defaultdict(list)
    for number in reversed(range(len(runs))):
        ahead[runs[number][1] - runs[number][0]].append(number)
    number = 0
    while number < len(runs):
        same = ahead[runs[number][1] - runs[number][0]]
        while same and same[-1] <= number:
            same.pop()
        if same:
            yield runs[number][0], runs[same[-1]][1]
            number = same[-1]
        number += 1


def _gaps(taken: Iterable[Span], end: int, start: int = 0) -> Iterator[Span]:
    for first, last in taken:
        yield start, first
        start = last
    yield start, end


def _bare_code(text: str) -> Iterator[Span]:
    """Blocks of lines that look like statements; an indented line goes on with the block."""
    block: list[Span] = []
    for start, end in _lines(text):
        line = text[start:end]
        if _STATEMENT.fullmatch(line[:400]) or (block and (not line.strip() or line[0] in " \t")):
            block.append((start, end))
            continue
        yield from _whole_block(text, block)
        block = []
    yield from _whole_block(text, block)


def _whole_block(text: str, block: list[Span]) -> Iterator[Span]:
    while block and not text[slice(*block[-1])].strip():
        block = block[:-1]
    if len(block) >= _MIN_LINES or (block and _SURE.match(text, *block[0])):
        yield block[0][0], block[-1][1]


def _lines(text: str) -> Iterator[Span]:
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1
