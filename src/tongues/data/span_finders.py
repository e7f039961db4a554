"""Finders of spans that must survive translation, one function per kind.

Each takes a text and yields (start, end) pairs. They may overlap one another: `spans` joins what
overlaps. Every pattern is bounded or anchored so that hostile text costs linear time.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from tongues.data.code_finder import Span, find_code

Finder = Callable[[str], Iterable[Span]]

_URL = re.compile(
    r"(?:\b(?:https?|ftp|file|s3|git|ssh)://|\bwww\.(?=\w)|\bmailto:)[^\s<>\"'`{}|\\^\u2e80-\uffff]+"
    r"|(?<![\w@.-])(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}(?:com|org|net|edu|gov|io|info|dev)\b"
    r"(?:/[^\s<>\"'`{}|\\^\u2e80-\uffff]*)?",
    re.IGNORECASE,
)
_URL_TAIL = ".,;:!?*_~…"
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}\w{2,24}")

_AMOUNT = r"(?:\d{1,40}(?:[.,]\d{1,40}){0,10}|\.\d{1,40})"
_UNIT = (
    r"(?:km/h|m/s(?:\^?2|²)?|mph|kWh|[kMGTP]i?[bB](?:ps|it/s)?|[kmM]?W|[kMGT]?Hz|hPa|[kM]?Pa|kcal|[kM]?J"
    r"|[kcmµμn]?m[²³23]?|[kmµμ]?g|[mcd]?[lL]|[mµμn]s|min|m?V|mA|dB|px|pt|°\s?[CFK]|°|%|‰|K)"
)
"""Symbols only, longer ones first; words such as "miles" are there to be translated."""
_NUMBER = re.compile(
    rf"(?<![\w.,])[-−+]?(?:[$€£¥₹]\s?{_AMOUNT}(?:[kKMB]\b)?|{_AMOUNT}\s?[€£¥₹$](?!\w)"
    rf"|{_AMOUNT}[ \u00a0]?{_UNIT}(?!\w)"
    r"|0x[0-9A-Fa-f]{1,40}\b|\d{1,40}(?:\.\d{1,40})?[eE][-+]?\d{1,4}\b"
    r"|\d{1,40}(?:[.,:/–-]\d{1,40}){1,10}(?!\w))"
)

_PLACEHOLDER = re.compile(
    r"\{\{[^{}\n]{0,80}\}\}|\{%[^{}\n]{0,80}%\}|\$\{[^{}\n]{1,80}\}"
    r"|\{(?:[A-Za-z_][\w.\[\]-]{0,60}|\d{0,3})(?:![rsa])?(?::[^{}\s]{0,20})?\}"
    r"|%\([A-Za-z_]\w{0,60}\)[-+#0]?\d{0,3}(?:\.\d{1,3})?[sdifgGeExXr]"
    r"|(?<![\d%])%(?:\d{1,2}\$)?[-+#0]?\d{0,3}(?:\.\d{1,3})?(?:l?[sdiufgGeExXcr])(?![A-Za-z])"
)

_ATTRIBUTE = (
    r"\s{1,20}[A-Za-z_:@][\w:.-]{0,60}\s?=\s?(?:\"[^\"<>]{0,500}\"|'[^'<>]{0,500}'|[^\s\"'<>=]{1,200})"
)
_MARKUP = re.compile(
    rf"<[A-Za-z][\w:-]{{0,60}}(?:{_ATTRIBUTE}){{0,20}}\s{{0,4}}/?>|</[A-Za-z][\w:-]{{0,60}}\s{{0,4}}>"
    r"|<!--[^<>]{0,500}-->|&(?:[A-Za-z]{2,20}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});"
    r"|\([A-H]\)|(?m:^[A-H][.)](?=\s))"
)

_OPERAND = rf"\(?[-−]?[$€£]?(?:{_AMOUNT}%?[a-zA-Z]?|[a-zA-Z])\)?(?!\w)"
_ARITHMETIC = re.compile(
    rf"(?<![\w.,]){_OPERAND}(?:\s?(?:[-−+*/×÷·=^<>≤≥≠≈]|(?<=\s)x(?=\s))\s?{_OPERAND}){{1,40}}"
)
_DOLLARS = re.compile(
    r"(?<![\\$\w])\$(?![\s$\d])([^$\n]{0,200}[^\s$\\])\$(?![\d$])|(?<![\\$\w])\$(\d[^$\n]{0,199})\$(?![\w$])"
)
_TEX_COMMAND = re.compile(r"\\[A-Za-z]{2,30}(?:\{[^{}\n]{0,200}\}){0,4}")
_TEX_PAIRS = (("$$", "$$"), (r"\(", r"\)"), (r"\[", r"\]"))
_TEX_BEGIN = re.compile(r"\\begin\{([A-Za-z]{1,20}\*?)\}")


def url(text: str) -> Iterator[Span]:
    """Addresses with a scheme, ``www.`` or a common top-level domain, without closing punctuation."""
    for start, end in _all(_URL, text):
        yield start, start + len(_without_tail(text[start:end]))


def _without_tail(address: str) -> str:
    while address and (address[-1] in _URL_TAIL or _closes_nothing(address)):
        address = address[:-1]
    return address


def _closes_nothing(address: str) -> bool:
    pair = {")": "(", "]": "["}.get(address[-1])
    return pair is not None and address.count(address[-1]) > address.count(pair)


def email(text: str) -> Iterator[Span]:
    """E-mail addresses."""
    return _all(_EMAIL, text)


def number(text: str) -> Iterator[Span]:
    """Numbers that carry a unit, a currency sign, a separator or an exponent.

    Plain integers stay visible: engines copy them, and need them to choose singular or plural.
    """
    return _all(_NUMBER, text)


def placeholder(text: str) -> Iterator[Span]:
    """``{name}``, ``{0}``, ``{{x}}``, ``${x}``, ``%s``, ``%5.2f``, ``%(x)s``."""
    return _all(_PLACEHOLDER, text)


def markup(text: str) -> Iterator[Span]:
    """Tags, comments, character references, and option letters such as ``(A)``."""
    return _all(_MARKUP, text)


def math(text: str) -> Iterator[Span]:
    """TeX between its delimiters, single TeX commands, and plain arithmetic that holds a digit."""
    for opening, closing in _TEX_PAIRS:
        yield from _between(text, opening, closing)
    yield from _environments(text)
    yield from (found.span() for found in _DOLLARS.finditer(text) if _is_formula(found))
    yield from _all(_TEX_COMMAND, text)
    yield from (f.span() for f in _ARITHMETIC.finditer(text) if re.search(r"\d", f.group()))


def _is_formula(found: re.Match[str]) -> bool:
    """A pair of dollar signs is two prices rather than a formula unless something speaks for it."""
    inner = found.group(1) or found.group(2)
    return not re.search(r"\s", inner) or re.search(r"[\\^_={}+<>]", inner) is not None


def _between(text: str, opening: str, closing: str) -> Iterator[Span]:
    start = text.find(opening)
    while start >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:
            return
        yield start, end + len(closing)
        start = text.find(opening, end + len(closing))


def _environments(text: str) -> Iterator[Span]:
    end = 0
    absent: set[str] = set()
    for found in _TEX_BEGIN.finditer(text):
        closing = f"\\end{{{found.group(1)}}}"
        if found.start() < end or closing in absent:
            continue
        at = text.find(closing, found.end())
        if at < 0:
            absent.add(closing)
            continue
        end = at + len(closing)
        yield found.start(), end


def literals(text: str, wanted: Iterable[str]) -> Iterator[Span]:
    """Exact substrings: where one stands as whole words only there, otherwise everywhere."""
    for literal in sorted(set(filter(None, wanted)), key=lambda item: (-len(item), item)):
        places = list(_all(re.compile(re.escape(literal)), text))
        yield from [place for place in places if _whole(text, *place)] or places


def _whole(text: str, start: int, end: int) -> bool:
    return not (_joined(text, start) or _joined(text, end))


def _joined(text: str, at: int) -> bool:
    """Whether the characters on both sides of a position belong to one word."""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def pattern(compiled: re.Pattern[str]) -> Finder:
    """A finder for a user's own regular expression; empty matches are no spans."""
    return lambda text: ((a, b) for a, b in _all(compiled, text) if a < b)


def _all(compiled: re.Pattern[str], text: str, start: int = 0, end: int | None = None) -> Iterator[Span]:
    stop = len(text) if end is None else end
    return (found.span() for found in compiled.finditer(text, start, stop))


FINDERS: dict[str, Finder] = {
    "code": find_code,
    "url": url,
    "email": email,
    "number": number,
    "placeholder": placeholder,
    "markup": markup,
    "math": math,
}
"""Kind, as the recipe names it, to its finder."""
