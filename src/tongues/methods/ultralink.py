"""UltraLink (arXiv 2402.04588): dialogues about passages, and data that belong to no culture.

    part         a record teaches                                    made by
    dialogues    to answer and go on answering about a passage       the chat model, in the language
    agnostic     an answer that is the same for every culture        translation, sifted in English

With `decider: rules` the sift needs no chat model and is part of `build`. With `decider: model` the verdicts
are written in the turn of the source language, once for all languages, and the pairs of all languages come
out there. The translation itself is the aligned store's; how it differs from the paper's is told in
docs/methods.md.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappush, heappushpop

from tongues.core.drops import Drop
from tongues.core.languages import language
from tongues.core.ports import Passage
from tongues.core.recipe import DialoguesSection, UltraLinkMethod
from tongues.core.records import Record
from tongues.core.store import AlignedStore
from tongues.inference.writer import write_all
from tongues.methods.agnostic import judged_by_model, judged_by_rules
from tongues.methods.demand import not_taught, refuse
from tongues.methods.dialogue_wording import languages_with_prompts, wording
from tongues.methods.dialogues import Interview
from tongues.methods.draws import rank
from tongues.methods.writing import Desk

NAME = "ultralink"


def build(
    store: AlignedStore, section: UltraLinkMethod, *, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record | Drop]:
    """Emit the agnostic pairs of every language where rules decide; nothing where the chat model does.

    Records are named "ultralink/agnostic", those of the source language "ultralink/english". Rows that the
    sift takes out come as drops of the source language, once.

    Args:
        store: every item in every language.
        section: budgets, categories and who decides.
        languages: BCP-47 codes to teach.
        source_lang: BCP-47 code of the originals.
        seed: the recipe's seed.

    Raises:
        PreflightError: a language has fewer rows of a kind than asked for; or the originals are not English,
            which the rules read.
    """
    if section.agnostic is None or section.agnostic.decider == "model":
        return iter(())
    return judged_by_rules(section.agnostic, store, languages, source_lang, seed)


def write(section: UltraLinkMethod, desk: Desk) -> Iterator[Record | Drop]:
    """Write the dialogues of one language; in the turn of the source language, the agnostic pairs of all.

    Raises:
        PreflightError: a language cannot be written for, or has fewer passages or rows than asked for.
        EngineError, BudgetError: the writer's.
    """
    if section.dialogues is not None:
        refuse(_unwritable(section.dialogues, desk), NAME)
    if section.agnostic is not None and section.agnostic.decider == "model" and desk.lang == desk.source_lang:
        yield from judged_by_model(section.agnostic, desk)
    if section.dialogues is not None:
        yield from _dialogues(section.dialogues, desk)


def _dialogues(section: DialoguesSection, desk: Desk) -> Iterator[Record | Drop]:
    """One dialogue per passage; what cannot be used is handed on as it comes."""
    if all(file.lang != desk.lang for file in section.passages.files):
        return
    counts: Counter[str] = Counter()
    found = _counted(desk.passages(desk.lang), counts)
    if section.per_language is not None:
        drawn = Smallest(section.per_language, desk.seed, NAME, "passage", desk.lang)
        yield from drawn.passing(found)
        found = iter(drawn.taken)
    interview = Interview(section, desk, wording(desk.lang))

    async def work(one: Passage | Drop) -> list[Record | Drop]:
        return [one] if isinstance(one, Drop) else await interview.about(one)

    refuse(_too_few(section, desk.lang, counts), NAME)
    for results in write_all(found, work, desk.writer, progress=desk.progress):
        yield from results
    if not counts[""]:
        refuse([f"{desk.lang}: no passage is left to write about; {_told(counts)}"], NAME)


def _counted(found: Iterable[Passage | Drop], counts: Counter[str]) -> Iterator[Passage | Drop]:
    """The same; counted under the reason of a drop, passages under the empty one."""
    for one in found:
        counts[one.reason if isinstance(one, Drop) else ""] += 1
        yield one


def _too_few(section: DialoguesSection, lang: str, counts: Counter[str]) -> list[str]:
    short = (section.per_language or 0) - counts[""]
    asked = f"{lang}: {section.per_language} dialogues are asked for, there are {counts['']} passages"
    return [f"{asked}: {short} too few; {_told(counts)}"] if short > 0 else []


def _told(counts: Counter[str]) -> str:
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()) if reason)
    return f"dropped: {told}" if told else "nothing was dropped"


class Smallest:
    """Draws passages from a stream without replacement; only those it takes stand in memory, some 8 KB each.

    Args:
        rows: how many to take.
        name: what identifies the draw.
    """

    def __init__(self, rows: int, *name: str | int) -> None:
        self._rows, self._name = rows, name
        self._heap: list[tuple[int, str, Passage]] = []

    def passing(self, found: Iterable[Passage | Drop]) -> Iterator[Drop]:
        """Draw from the stream; what is no passage comes out again."""
        for one in found:
            if isinstance(one, Drop):
                yield one
                continue
            entry = (-rank(*self._name, one.id), one.id, one)
            (heappush if len(self._heap) < self._rows else heappushpop)(self._heap, entry)

    @property
    def taken(self) -> list[Passage]:
        """What was drawn, in the order of the draw."""
        return [passage for _, _, passage in sorted(self._heap, reverse=True)]


def _unwritable(section: DialoguesSection, desk: Desk) -> list[str]:
    """What stands against writing dialogues, for all languages at once."""
    named = list(dict.fromkeys(file.lang for file in section.passages.files))
    own = languages_with_prompts()
    lacking = [lang for lang in named if lang not in own] if section.prompt_language == "own" else []
    return [
        *not_taught(named, (*desk.languages, desk.source_lang), "dialogues.passages.files"),
        *(
            f"there are no prompts in {language(lang).name} ({lang}), only in {', '.join(own)}; "
            "prompt_language: english asks in English for it"
            for lang in lacking
        ),
    ]
