"""Protected spans: found by a parser, hidden behind marks, put back byte for byte."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

from tongues.core.errors import RecipeError
from tongues.core.ports import Masked, SpanLostError
from tongues.core.recipe import TranslationSection
from tongues.data import marks, span_finders
from tongues.data.code_finder import Span
from tongues.data.span_finders import FINDERS, Finder

_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u0f00-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, Chinese, Japanese; and Korean, which glues particles to words."""


class SpanProtector:
    """Finds spans that must survive translation, hides them, and puts them back.

    Spans that overlap or touch become one: whatever any finder protects is protected, so the
    result does not depend on the order of finders. Anything in the text that could be taken for
    a mark is protected too, so that marks in a masked text are ours alone.

    Args:
        kinds: which finders to use, as in the recipe's `translation.protect`.
        patterns: further regular expressions whose matches are protected.

    Raises:
        RecipeError: patterns that are not regular expressions, all of them listed.
    """

    def __init__(self, kinds: Sequence[str] = tuple(FINDERS), patterns: Sequence[str] = ()) -> None:
        self._finders = [FINDERS[kind] for kind in kinds] + _compile(patterns)
        self._finders.append(span_finders.pattern(marks.RESERVED))

    @classmethod
    def from_section(cls, section: TranslationSection) -> Self:
        """The protector that a recipe asks for."""
        return cls(section.protect, section.protect_patterns)

    def mask(self, text: str, literals: Sequence[str] = ()) -> Masked:
        """Replace protected spans by marks, numbered from 0 in order of appearance."""
        spans = self.find(text, literals)
        hidden = {marks.mark(number): text[start:end] for number, (start, end) in enumerate(spans)}
        pieces, at = [], 0
        for mark, (start, end) in zip(hidden, spans, strict=True):
            pieces += [text[at:start], mark]
            at = end
        return Masked("".join([*pieces, text[at:]]), hidden)

    def find(self, text: str, literals: Sequence[str] = ()) -> list[Span]:
        """The spans to protect, in order, none touching another."""
        found = [span for finder in self._finders for span in finder(text)]
        return _join([*found, *span_finders.literals(text, literals)])

    def restore(self, translated: str, masked: Masked) -> str:
        """Put the spans back.

        An engine may change the order and the case of marks and lose the space beside one: a span
        never ends up glued to a word that it was apart from.

        Raises:
            SpanLostError: a mark is missing, doubled, altered, or unknown.
        """
        found = list(marks.FOUND.finditer(translated))
        _require_all_once([marks.canonical(match) for match in found], masked)
        _require_no_debris(translated)
        apart = _sides_apart(masked.text)
        pieces, at, after = [], 0, False
        for number, match in enumerate(found):
            mark = marks.canonical(match)
            before, after_this = apart[mark]
            pieces += [
                _gap(translated[at : match.start()], after, before, inner=number > 0),
                masked.marks[mark],
            ]
            at, after = match.end(), after_this
        return "".join([*pieces, _gap(translated[at:], after, False, inner=False)])


def _compile(patterns: Iterable[str]) -> list[Finder]:
    finders, problems = [], []
    for text in patterns:
        try:
            finders.append(span_finders.pattern(re.compile(text)))
        except re.error as error:
            problems.append(f"translation.protect_patterns: {text!r} is not a regular expression: {error}")
    if problems:
        raise RecipeError(problems)
    return finders


def _join(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _require_all_once(found: list[str], masked: Masked) -> None:
    counts = Counter(found)
    missing = [mark for mark in masked.marks if not counts[mark]]
    doubled = [mark for mark in masked.marks if counts[mark] > 1]
    unknown = [mark for mark in counts if mark not in masked.marks]
    if missing or doubled or unknown:
        parts = {"missing": missing, "doubled": doubled, "unknown": unknown}
        raise SpanLostError(
            "; ".join(f"{name}: {' '.join(group[:5])}" for name, group in parts.items() if group)
        )


def _require_no_debris(translated: str) -> None:
    rest = marks.strip_marks(translated)
    if debris := marks.RESERVED.search(rest):
        raise SpanLostError(f"altered mark near {rest[max(debris.start() - 10, 0) : debris.end() + 10]!r}")


def _sides_apart(text: str) -> dict[str, tuple[bool, bool]]:
    """For each mark of a masked text, whether no word touched it on the left and on the right."""
    return {
        marks.canonical(match): (
            not text[max(match.start() - 1, 0) : match.start()].isalnum(),
            not text[match.end() : match.end() + 1].isalnum(),
        )
        for match in marks.FOUND.finditer(text)
    }


def _gap(text: str, after: bool, before: bool, *, inner: bool) -> str:
    """The text between two spans, with a space where a word would run into one that was apart.

    Args:
        text: what the engine left between two marks, or at an end.
        after: whether the span before it was apart on its right.
        before: whether the span behind it was apart on its left.
        inner: whether there is a span on both sides.
    """
    if not text:
        return " " if inner and (after or before) else ""
    head = " " if after and _runs_on(text[0]) else ""
    tail = " " if before and _runs_on(text[-1]) else ""
    return f"{head}{text}{tail}"


def _runs_on(neighbour: str) -> bool:
    return neighbour.isalnum() and not _SPACELESS.match(neighbour)
