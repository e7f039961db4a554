"""Native texts to write from: whole, or sorted out and cut into passages.

Documents are read twice: the first time to find out which are fit and which of equal ones stays, the
second time to cut them. What stays depends on the texts alone, not on the order of rows or files, and
memory holds two digests of each fit document, never its text.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

from tongues.core.digests import digest_value
from tongues.core.drops import Drop
from tongues.core.languages import language, languages
from tongues.core.ports import Passage
from tongues.core.recipe import PassageFile, PassagesSection
from tongues.core.token_estimate import estimated_tokens
from tongues.data.chunks import chunks, long_enough
from tongues.data.documents import Document, Rows, read_documents
from tongues.data.language_id import CONFIDENT, RestrictedIdentifier, tellable
from tongues.data.normalisation import normalise

_ID_CHARS = 16
_EXCERPT_CHARS = 700
"""Of its beginning, middle and end each; identification takes most of the time."""

RowsOf = Callable[[PassageFile], Rows]
"""Reads the rows of a file from the start, each time it is called."""


def passage_id(text: str) -> str:
    """Identity of a passage or of an article: digest of its text, as long as the groups of the store."""
    return digest_value(text)[:_ID_CHARS]


@dataclass(frozen=True)
class WholeTexts:
    """Every text as it is; of equal ones the first.

    Args:
        files: what the recipe names.
        rows_of: reads them.
    """

    files: Sequence[PassageFile]
    rows_of: RowsOf

    def __call__(self, lang: str) -> Iterator[Passage | Drop]:
        """The texts of one language; see `tongues.core.ports.Passages`."""
        seen: set[str] = set()
        for _, document in _documents(self.files, self.rows_of, lang):
            if isinstance(document, Drop):
                yield document
            else:
                yield _once(_passage(document, document.text), lang, seen)


@dataclass(frozen=True)
class CutTexts:
    """Passages of documents that are fit: neither short nor long, in their language, once per title.

    Args:
        section: files and limits.
        rows_of: reads the files.
        identify: says in which language a document is.
        blocked: words and phrases that rule a document out.
    """

    section: PassagesSection
    rows_of: RowsOf
    identify: RestrictedIdentifier
    blocked: Sequence[str] = ()

    def __call__(self, lang: str) -> Iterator[Passage | Drop]:
        """The passages of one language; see `tongues.core.ports.Passages`."""
        fit = _Fit()
        for place, document in self._documents(lang):
            if isinstance(document, Drop):
                yield document
            elif problem := self._problem(document, lang):
                yield _dropped(document, lang, *problem)
            else:
                fit.add(place, document)
        yield from self._cut(lang, fit.fates())

    def _documents(self, lang: str) -> Iterator[tuple[int, Document | Drop]]:
        return _documents(self.section.files, self.rows_of, lang)

    def _cut(self, lang: str, fates: dict[int, str]) -> Iterator[Passage | Drop]:
        seen: set[str] = set()
        for place, document in self._documents(lang) if fates else ():
            if isinstance(document, Drop) or place not in fates:
                continue
            if reason := fates[place]:
                yield _dropped(document, lang, reason, document.title or "equal text")
                continue
            for one in self._passages(document, lang):
                yield _once(one, lang, seen) if isinstance(one, Passage) else one

    def _problem(self, document: Document, lang: str) -> tuple[str, str] | None:
        """Reason and detail, the cheapest check first; None where the document is fit."""
        tokens = estimated_tokens(document.text, self.section.bytes_per_token)
        if not self.section.min_tokens <= tokens <= self.section.max_tokens:
            return "too-short" if tokens < self.section.min_tokens else "too-long", f"{tokens} tokens"
        if found := self._blocked(lang, document.text):
            return "blocked-word", found
        seen = self.identify(_excerpt(document.text), _candidates(lang, self.identify))
        if seen.lang != lang and seen.confidence >= CONFIDENT and self.identify.supports(lang):
            return "wrong-language", f"looks like {seen.lang} ({seen.confidence:.2f})"
        return None

    def _blocked(self, lang: str, text: str) -> str:
        if self._pattern is None:
            return ""
        spaced = language(lang).has_spaces
        found = (self._pattern if spaced else self._anywhere).search(normalise(text))
        return found[0] if found else ""

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        return re.compile(rf"(?<!\w)(?:{self._any})(?!\w)") if self.blocked else None

    @cached_property
    def _anywhere(self) -> re.Pattern[str]:
        return re.compile(self._any)

    @cached_property
    def _any(self) -> str:
        words = sorted({normalise(word) for word in self.blocked}, key=lambda word: (-len(word), word))
        return "|".join(map(re.escape, words))

    def _passages(self, document: Document, lang: str) -> Iterator[Passage | Drop]:
        limits = self.section
        found = chunks(
            document.text, lang, max_tokens=limits.chunk_tokens, bytes_per_token=limits.bytes_per_token
        )
        for number, chunk in enumerate(found, start=1):
            last = number == len(found)
            text = chunk.strip()
            if last and not long_enough(
                text, more_than=limits.min_last_tokens, bytes_per_token=limits.bytes_per_token
            ):
                yield _dropped(document, lang, "short-last-passage", f"passage {number}", text)
            elif text:
                yield _passage(document, text)


@dataclass
class _Fit:
    """The fit documents of one language, by digests."""

    titles: dict[bytes, tuple[bytes, str, int]] = field(default_factory=dict)
    untitled: list[tuple[bytes, str, int]] = field(default_factory=list)
    beaten: list[int] = field(default_factory=list)

    def add(self, place: int, document: Document) -> None:
        """Note a document; of one title, the one with the smaller digest of its text stays."""
        source = document.source
        order = f"{source.dataset}\n{source.revision}\n{source.row}"
        entry = (_short(document.text), order, place)
        if not document.title:
            self.untitled.append(entry)
            return
        key = _short(normalise(document.title))
        best = min(entry, self.titles.get(key, entry))
        if key in self.titles:
            self.beaten.append(max(entry, self.titles[key])[2])
        self.titles[key] = best

    def fates(self) -> dict[int, str]:
        """Place to the reason why it goes; empty for those that stay."""
        fates = dict.fromkeys(self.beaten, "duplicate-title")
        texts: set[bytes] = set()
        for text, _, place in sorted([*self.titles.values(), *self.untitled]):
            fates[place] = "duplicate-text" if text in texts else ""
            texts.add(text)
        return fates


def _documents(
    files: Sequence[PassageFile], rows_of: RowsOf, lang: str
) -> Iterator[tuple[int, Document | Drop]]:
    """All documents of a language, numbered."""
    number = 0
    for file in files:
        if file.lang == lang:
            for document in read_documents(rows_of(file), file):
                yield number, document
                number += 1


def _once(passage: Passage, lang: str, seen: set[str]) -> Passage | Drop:
    if passage.id in seen:
        return Drop(lang, "duplicate-text", passage.title, passage.source.row, passage.text)
    seen.add(passage.id)
    return passage


def _passage(document: Document, text: str) -> Passage:
    return Passage(passage_id(text), passage_id(document.text), document.title, text, document.source)


def _dropped(document: Document, lang: str, reason: str, detail: str, text: str | None = None) -> Drop:
    return Drop(lang, reason, detail, document.source.row, document.text if text is None else text)


@cache
def _candidates(lang: str, identify: RestrictedIdentifier) -> tuple[str, ...]:
    """All languages that can be told from this one: a dump may hold any."""
    return tuple(code for code in tellable(languages(), lang) if identify.supports(code))


def _excerpt(text: str) -> str:
    """Enough of a document to tell its language by: its beginning, its middle and its end."""
    if len(text) <= 3 * _EXCERPT_CHARS:
        return text
    middle = len(text) // 2
    return "\n".join((text[:_EXCERPT_CHARS], text[middle : middle + _EXCERPT_CHARS], text[-_EXCERPT_CHARS:]))


def _short(text: str) -> bytes:
    return bytes.fromhex(digest_value(text))[:_ID_CHARS]
