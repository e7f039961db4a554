"""Taking a row apart into what an engine translates and what is copied, and putting it together again.

A field is masked first, so that a code block of many lines is one mark; then it is cut at line
ends, tabs and other control characters, and each line loses its indentation, its list bullet and its
trailing white space. What remains is a segment. All the rest is copied byte for byte, so the shape of a
text (blank lines, lists, tables, line ends of any kind) survives by construction.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from tongues.core.ports import Masked, Protector, SpanLostError
from tongues.core.records import SourceRow

FIELDS = ("instruction", "input", "output")
# Control characters, line and paragraph separators, and the noncharacters that engines use inside.
_LINE = re.compile("[^\0-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef]+")
_SHELL = re.compile(
    r"(?P<head>\s*(?:(?:[-*+•–—]|>+|\#{1,6}|\d{1,3}[.)]|[A-Za-z]\))\s+)*)(?P<core>.*?)(?P<tail>\s*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a masked text: a segment to translate, or characters to copy."""

    text: str
    is_segment: bool


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row, ready for translation.

    Args:
        name: "instruction", "input" or "output".
        source: the field as it came in.
        masked: the field with marks in place of protected spans.
        pieces: its parts in order; joined they are `masked.text`.
    """

    name: str
    source: str
    masked: Masked
    pieces: tuple[Piece, ...]

    @property
    def segments(self) -> list[str]:
        """The texts to translate, in order; a text that stands twice is listed twice."""
        return [piece.text for piece in self.pieces if piece.is_segment]

    def join(self, answers: Iterator[str]) -> str:
        """The masked translation, from the answers to `segments` in order."""
        return "".join(next(answers) if piece.is_segment else piece.text for piece in self.pieces)


def prepare(
    row: SourceRow,
    protector: Protector,
    *,
    translate: Collection[str] = FIELDS,
    protect: Sequence[str] | None = None,
) -> list[Field]:
    """Mask and cut all fields of a row; an empty field has no pieces.

    Args:
        row: the row.
        protector: hides protected spans.
        translate: names of the fields to translate; the others are copied as they are.
        protect: exact substrings that stay; the row's own where absent.
    """
    literals = row.protect if protect is None else protect
    return [
        _field(name, getattr(row, name), literals, protector)
        if name in translate
        else copied(name, getattr(row, name))
        for name in FIELDS
    ]


def copied(name: str, text: str) -> Field:
    """A field of which nothing is translated."""
    return Field(name, text, Masked(text, {}), tuple(_copied(text)))


def restore(field: Field, translated: str, protector: Protector) -> str:
    """Put protected spans back into a translation and verify them byte by byte.

    Raises:
        SpanLostError: a mark or a span is missing, doubled or changed.
    """
    restored = protector.restore(translated, field.masked)
    for span, wanted in Counter(field.masked.marks.values()).items():
        if restored.count(span) < wanted:
            raise SpanLostError(f"{span[:80]!r} stands {restored.count(span)} times instead of {wanted}")
    return restored


def without_marks(text: str, marks: Sequence[str]) -> str:
    """A masked text, source or translation, with spaces in place of marks: what checks look at."""
    if not marks:
        return text
    return re.sub("|".join(map(re.escape, marks)), " ", text, flags=re.IGNORECASE)


def without_words(texts: Sequence[str], words: Sequence[str]) -> list[str]:
    """Texts with spaces in place of words that stand whole in all of them: what was kept on purpose."""
    patterns = [rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(words, key=len, reverse=True)]
    shared = [pattern for pattern in patterns if all(re.search(pattern, text) for text in texts)]
    return [re.sub("|".join(shared), " ", text) if shared else text for text in texts]


def _field(name: str, text: str, literals: Sequence[str], protector: Protector) -> Field:
    masked = protector.mask(text, literals) if text.strip() else Masked(text, {})
    return Field(name, text, masked, tuple(_pieces(masked)))


def _pieces(masked: Masked) -> Iterator[Piece]:
    at = 0
    for line in _LINE.finditer(masked.text):
        yield from _copied(masked.text[at : line.start()])
        at = line.end()
        shell = _SHELL.fullmatch(line[0])
        core = shell["core"] if shell else ""
        if shell is None or not _has_letters(core, masked):
            yield Piece(line[0], is_segment=False)
            continue
        yield from _copied(shell["head"])
        yield Piece(core, is_segment=True)
        yield from _copied(shell["tail"])
    yield from _copied(masked.text[at:])


def _copied(text: str) -> Iterator[Piece]:
    if text:
        yield Piece(text, is_segment=False)


def _has_letters(text: str, masked: Masked) -> bool:
    return any(map(str.isalpha, without_marks(text, [m for m in masked.marks if m in text])))
