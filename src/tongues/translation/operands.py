"""Finding the operands of a task inside its own wording: quoted parts, what follows a colon, answer options.

All are returned as they stand in the text, together with what sets them apart: quotation marks, the
colon, the other options. So a protected "is" is the quoted one, never each "is" of the sentence.
"""

import re
from collections.abc import Iterator
from itertools import islice

_MAX_QUOTED = 40
"""More quoted parts than this are the dialogue of a story, not operands; the rest is left alone."""
_MAX_INLINE_CHARS = 1_000
_MAX_ANSWER_CHARS = 80
_MAX_OPTION_TEXT_CHARS = 10_000
_MAX_LISTS = 20
_AROUND = " \t\n.!?\"'“”‘’«»„"

_ELISION = r"(?!(?:tis|twas|em|til|cause|bout|n|\d0s)\b)"


def _between(opening: str, closing: str, never: str, also: str = "") -> str:
    """A pattern for what two marks enclose on one line; `also` may stand there in spite of `never`."""
    return rf"{opening}(?:[^\n\r\u2028\u2029{never}]{also}){{1,200}}?{closing}"


_APOSTROPHE = r"|(?<=\w)['’](?=\w)"
_QUOTED = re.compile(
    "|".join(
        [
            _between(r'(?<!\w)"(?=\S)', r'(?<=\S)"(?!\w)', '"'),
            _between(rf"(?<![\w'’])'(?=\S){_ELISION}", r"(?<=\S)'(?!\w)", "'", _APOSTROPHE),
            _between(rf"(?<!\w)‘(?=\S){_ELISION}", r"’(?!\w)", "‘’", _APOSTROPHE),
            _between("“", "[”“]", "“”"),
            _between("„", "[“”]", "„“”"),
            *(
                _between(opening, closing, opening + closing)
                for opening, closing in ("«»", "‹›", "「」", "『』")
            ),
        ]
    ),
    re.IGNORECASE,
)
_COLON = re.compile(r":\s+(?=\S)")

_WORD = r"[^\W\d_][\w'’-]{0,30}"
_OPTIONS = re.compile(
    rf"(?<![\w'’-])(?:{_WORD}(?:,\s?{_WORD}){{0,12}},?\s(?:or|and)\s{_WORD}|{_WORD}(?:\s?/\s?{_WORD}){{1,12}})(?![\w-])"
)
_AFTER_COLON = re.compile(r"(?<=:)[ \t]{1,4}[^:.?!\n]{3,400}")
_NO_OPTIONS = frozenset({"not", "else", "otherwise", "more", "less"})
"""Words that end "ethical or not" and the like, which is no list of labels."""
_SEPARATOR = re.compile(r"\s*[,;/|\n]\s*(?:(?:or|and)\s)?|\s(?:or|and)\s")


def quoted(text: str) -> list[str]:
    """Quoted parts with their marks, outermost and closed ones only; an apostrophe is no quotation mark."""
    found = (match[0] for match in islice(_QUOTED.finditer(text), _MAX_QUOTED))
    return [part for part in found if any(map(str.isalnum, part))]


def after_colon(instruction: str) -> list[str]:
    """The operand of an instruction such as "Correct this: she go home", with its colon; none if quoted."""
    at = max((found.start() for found in _COLON.finditer(instruction)), default=len(instruction))
    operand = instruction[at:].rstrip()
    if len(operand) > _MAX_INLINE_CHARS:
        return []
    return [] if quoted(operand) or not any(map(str.isalpha, operand)) else [operand]


def options(text: str, answer: str) -> list[str]:
    """The list of options in a text that an answer was chosen from, whole.

    All options of the list stay or none does: one that stays alone would give the answer away.

    Args:
        text: instruction or input.
        answer: one option or several, such as "positive" or "Sports, Politics."; a longer one is no choice.

    Returns:
        Parts of the text that make up one list; none unless each part of the answer is in it.
    """
    if len(answer) > _MAX_ANSWER_CHARS or len(text) > _MAX_OPTION_TEXT_CHARS:
        return []
    wanted = frozenset(_items(answer))
    fitting = [group for group in _option_lists(text) if wanted and wanted <= _offered(group)]
    # The longest list, and of two alike the later: what to answer is said at the end.
    return max(reversed(fitting), key=lambda group: len(_offered(group)), default=[])


def _option_lists(text: str) -> Iterator[list[str]]:
    """Lists of at least two options: those in quotation marks, after a colon, joined by "or" or a slash."""
    groups = [quoted(text)]
    for pattern in (_AFTER_COLON, _OPTIONS):
        groups += [[match[0].strip()] for match in islice(pattern.finditer(text), _MAX_LISTS)]
    return (group for group in groups if len(_offered(group)) > 1 and not _offered(group) & _NO_OPTIONS)


def _offered(group: list[str]) -> set[str]:
    return {item for part in group for item in _items(part)}


def _items(part: str) -> list[str]:
    bare = (item.strip(_AROUND).casefold() for item in _SEPARATOR.split(part))
    return [item for item in bare if item]
