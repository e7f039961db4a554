"""What sibling rooms need of each other, as protocols: `stages` plugs one into the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tongues.core.drops import Drop
from tongues.core.records import Source


@dataclass(frozen=True, slots=True)
class Identified:
    """A guess at the language of a text.

    Args:
        lang: BCP-47 code, one of the candidates, or "und" where nothing can be said.
        confidence: 0 to 1, normalised over the candidates.
    """

    lang: str
    confidence: float


class Identify(Protocol):
    """Language identification restricted to the languages in play."""

    def __call__(self, text: str, candidates: Sequence[str]) -> Identified:
        """Guess which of the candidates (BCP-47 codes) the text is written in."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A text whose protected spans were replaced by marks.

    Args:
        text: the text with marks in place of spans.
        marks: mark to the exact characters it stands for, in order of appearance.
    """

    text: str
    marks: dict[str, str]


class SpanLostError(ValueError):
    """A translation lost, doubled or changed a mark: its spans cannot be put back."""


class Protector(Protocol):
    """Finds spans that must survive translation, hides them, and puts them back byte for byte."""

    def mask(self, text: str, literals: Sequence[str] = ()) -> Masked:
        """Replace protected spans by marks.

        Args:
            text: any text.
            literals: exact substrings that this row wants protected too.
        """

    def restore(self, translated: str, masked: Masked) -> str:
        """Put the spans back.

        Raises:
            SpanLostError: a mark is missing, doubled, or an unknown one appeared.
        """


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of one translated text.

    Args:
        check: name of the check, such as "language".
        ok: False means the text must not become training data.
        reason: stable word for tallies, such as "wrong-language"; "ok" if all is well,
            or a hint such as "unsure" that is stored but does not fail the text.
        detail: what was seen.
    """

    check: str
    ok: bool
    reason: str
    detail: str = ""


class Check(Protocol):
    """Judges one translated text against its source."""

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        """Judge; the texts come without protected spans, which have their own check."""


class Score(Protocol):
    """Says how far one translated text can be trusted, without a reference."""

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> float:
        """Score from 0 (worst) to 1 (best); the texts come without protected spans."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that somebody wrote in the language.

    Args:
        id: digest of the text.
        group: digest of the whole article: the group of everything that is made from it, so that an article
            never stands on both sides of a split.
        title: of the article it comes from; may be empty.
        text: as it was written.
        source: origin, with its licence.
    """

    id: str
    group: str
    title: str
    text: str
    source: Source


class Passages(Protocol):
    """Native text to write from."""

    def __call__(self, lang: str) -> Iterator[Passage | Drop]:
        """The passages of one language (BCP-47), read as they are needed; none where there is no file.

        What is in the files and cannot be used comes out as a drop with its reason, to be handed on.
        """
