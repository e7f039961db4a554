"""Language-agnostic data: rows that every culture understands alike, other ones for each language.

A row is chat, math or code by its category. Chat rows are sifted: first by patterns and length, then by seven
questions (`tongues.methods.sift`); math and code are not. What is left is pruned: each language draws its own
rows without replacement, exactly as many as are asked for, so that the subsets are not parallel
(arXiv 2402.04588). Records are named "ultralink/agnostic", in the source language "ultralink/english"; what
the sift takes out is dropped once, under the source language.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Literal

from tongues.core.drops import Drop
from tongues.core.recipe import AgnosticSection, KindRows
from tongues.core.records import AlignedRow, Record, Step
from tongues.core.store import AlignedStore
from tongues.inference.engine import Outcome
from tongues.inference.writer import Prompt, parsed, write_all
from tongues.methods.demand import Demand, refuse
from tongues.methods.pairs import pair
from tongues.methods.sift import Verdicts, found_by_rules, sift_digest, sift_messages
from tongues.methods.writing import Desk

Kind = Literal["chat", "math", "code"]
KINDS: tuple[Kind, ...] = ("chat", "math", "code")
_NAME = "ultralink"


def judged_by_rules(
    section: AgnosticSection, store: AlignedStore, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record | Drop]:
    """Judge every chat row by rules, then draw; see `tongues.methods.ultralink.build`.

    Raises:
        PreflightError: a language has fewer rows than asked for, or the originals are not English.
    """
    if source_lang != "en":
        refuse([f"the rules of the sift read English, the source is {source_lang!r}; take a model"], _NAME)
    agnostic = _Agnostic(store, section, languages, source_lang, seed)

    def judge(row: AlignedRow) -> Drop | None:
        return agnostic.obvious(row) or _by_rules(row)

    kept = [row.group for row in agnostic.chat_rows() if judge(row) is None]
    agnostic.refuse_short(kept)
    drops = (drop for row in agnostic.chat_rows() if (drop := judge(row)))
    return chain(drops, agnostic.records(kept, ()))


def judged_by_model(section: AgnosticSection, desk: Desk) -> Iterator[Record | Drop]:
    """Have the model judge every chat row once, then draw for all languages.

    Raises:
        PreflightError: a language has fewer rows than asked for, before anything is asked, or afterwards;
            then the verdicts are in the ledger, and a smaller number costs nothing.
        EngineError, BudgetError: the writer's.
    """
    agnostic = _Agnostic(desk.store, section, desk.languages, desk.source_lang, desk.seed)
    agnostic.refuse_short(agnostic.sources("chat"))
    kept: list[str] = []
    step = replace(desk.writer.step, op="sift", prompt_sha256=sift_digest())

    async def judge(row: AlignedRow) -> tuple[AlignedRow, Drop | None]:
        if drop := agnostic.obvious(row):
            return row, drop
        prompt = Prompt(sift_messages(row), answer=Verdicts)
        return row, _by_model(row, parsed(await desk.writer.write(prompt), Verdicts))

    for row, drop in write_all(agnostic.chat_rows(), judge, desk.writer, progress=desk.progress):
        if drop is None:
            kept.append(row.group)
        else:
            yield drop
    agnostic.refuse_short(kept)
    yield from agnostic.records(kept, (step,))


def _by_model(row: AlignedRow, answer: Verdicts | Outcome) -> Drop | None:
    if isinstance(answer, Outcome):
        return _dropped(row, answer.reason, answer.detail)
    if not answer.found:
        return None
    return _dropped(row, f"sift-{answer.found[0]}", f"{', '.join(answer.found)}: {answer.analysis}")


def _by_rules(row: AlignedRow) -> Drop | None:
    found = found_by_rules(row)
    told = "; ".join(f"{name}: {words!r}" for name, words in found.items())
    return _dropped(row, f"sift-{next(iter(found))}", told) if found else None


def _dropped(row: AlignedRow, reason: str, detail: str) -> Drop:
    return Drop(row.lang, reason, detail, row.group, f"{row.instruction}\n{row.input}\n{row.output}")


class _Agnostic:
    """The agnostic part over one store: which rows there are of each kind, and the draws among them."""

    def __init__(
        self,
        store: AlignedStore,
        section: AgnosticSection,
        languages: Sequence[str],
        source_lang: str,
        seed: int,
    ) -> None:
        self.store, self.section, self.source_lang, self.seed = store, section, source_lang, seed
        self.languages = sorted(languages)
        self._groups: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
        for group in store.groups(source_lang):
            self._groups[self._kind(store.get(group, source_lang).category)].append(group)

    def sources(self, kind: Kind) -> list[str]:
        """Groups of a kind, in digest order."""
        return self._groups[kind]

    def chat_rows(self) -> Iterator[AlignedRow]:
        """The originals that are to be sifted: none where no language asks for chat rows."""
        asked = any(rows.chat != 0 for rows in (self.section.rows, self.section.english_rows))
        return (self.store.get(group, self.source_lang) for group in (self.sources("chat") if asked else ()))

    def obvious(self, row: AlignedRow) -> Drop | None:
        """What needs no question: a pattern that the recipe names, or the length."""
        text = f"{row.instruction}\n{row.input}\n{row.output}"
        if len(text) > self.section.max_characters:
            return _dropped(row, "too-long", f"{len(text)} characters")
        found = next((hit[0] for p in self.section.drop_patterns if (hit := re.search(p, text))), "")
        return _dropped(row, "drop-pattern", found) if found else None

    def refuse_short(self, chat: Sequence[str]) -> None:
        """Stop if a language has fewer rows than asked for, given the chat rows that are left."""
        problems = [
            f"{kind}: {demand.problem}"
            for kind, demand in self._demands(chat)
            if demand.problem and demand.rows is not None
        ]
        refuse([*problems, *self._nothing(chat)], _NAME)

    def records(self, chat: Sequence[str], steps: tuple[Step, ...]) -> Iterator[Record]:
        """The drawn pairs, language by language and kind by kind; each draws for itself."""
        for kind, demand in self._demands(chat):
            name = "ultralink/english" if demand.lang == self.source_lang else "ultralink/agnostic"
            for group in demand.drawn(self.seed, f"{_NAME}/{kind}"):
                record = pair(self.store.get(group, demand.lang), name, meta={"kind": kind})
                yield replace(record, steps=(*record.steps, *steps)) if kind == "chat" else record

    def _demands(self, chat: Sequence[str]) -> Iterator[tuple[Kind, Demand]]:
        """What is asked of each language and kind, and what there is; nothing for 0."""
        wanted: list[tuple[str, KindRows]] = [(self.source_lang, self.section.english_rows)]
        wanted += [(lang, self.section.rows) for lang in self.languages]
        for lang, rows in wanted:
            there = set(self.store.groups(lang))
            for kind in KINDS:
                asked: int | None = getattr(rows, kind)
                if asked != 0:
                    groups = chat if kind == "chat" else self.sources(kind)
                    yield kind, Demand(lang, asked, [group for group in groups if group in there])

    def _nothing(self, chat: Sequence[str]) -> list[str]:
        """Languages that would get no row at all, where all there are were asked for."""
        sizes: dict[str, int] = {}
        for _, demand in self._demands(chat):
            sizes[demand.lang] = sizes.get(demand.lang, 0) + len(demand.groups)
        return [f"{lang}: nothing is left" for lang, size in sizes.items() if size == 0]

    def _kind(self, category: str) -> Kind:
        if category in self.section.math_categories:
            return "math"
        return "code" if category in self.section.code_categories else "chat"
