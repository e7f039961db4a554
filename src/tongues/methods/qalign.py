"""Question alignment: questions of several languages into the source language, without answers.

QAlign (arXiv 2401.07817) takes it as stage 1 before English instructions with answers, stage 2 here;
spontaneous multilingual learners (arXiv 2405.13816) stop after it, with 10,000 questions of each of a
few languages, and find that languages they left out improve too.

    stage   user's turn                                                    answer
    1       Translate the following sentences from L to English. <L>       question in English
    2       English pair as it is                                          English

A question is the instruction and, where there is one, its input on the next line (default: the papers'
questions have no input). An item whose question selective translation left as it was is no pair.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from tongues.core.languages import language
from tongues.core.recipe import QAlignMethod
from tongues.core.records import AlignedRow, Message, Record
from tongues.core.store import AlignedStore
from tongues.methods.demand import Demand, demands_of_source, not_taught, refuse
from tongues.methods.pairs import pair
from tongues.methods.prompts import user_turn


def build(
    store: AlignedStore, section: QAlignMethod, *, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record]:
    """Emit the question pairs of every language, named "qalign", then English pairs, "qalign/english".

    Every record's metadata notes its stage. All answers are in the source language.

    Args:
        store: every item in every language.
        section: which languages, and how many rows.
        languages: BCP-47 codes to teach.
        source_lang: BCP-47 code of the originals, the papers' English.
        seed: the recipe's seed.

    Raises:
        PreflightError: a language has fewer pairs than asked for, or none, or is not taught.
    """
    questions = [
        Demand(lang, section.rows_per_language, _pairs(store, lang, source_lang))
        for lang in sorted(section.languages or languages)
    ]
    english = demands_of_source(store, source_lang, section.english_rows)
    strangers = not_taught(section.languages, languages, "languages")
    refuse([*strangers, *(demand.problem for demand in (*questions, *english))], "qalign")
    return chain(
        (
            _record(store.get(group, demand.lang), store.get(group, source_lang), section)
            for demand in questions
            for group in demand.drawn(seed, "qalign")
        ),
        (
            pair(store.get(group, source_lang), "qalign/english", section.template, meta={"stage": "2"})
            for demand in english
            for group in demand.drawn(seed, "qalign")
        ),
    )


def _pairs(store: AlignedStore, lang: str, source_lang: str) -> list[str]:
    """Groups whose question reads differently in the two languages."""
    return [
        group
        for group in store.groups(lang, source_lang)
        if _question(store.get(group, lang)) != _question(store.get(group, source_lang))
    ]


def _question(row: AlignedRow) -> str:
    return user_turn(row.instruction, row.input)


def _record(row: AlignedRow, original: AlignedRow, section: QAlignMethod) -> Record:
    names = f"from {language(row.lang).name} to {language(original.lang).name}"
    request = f"Translate the following sentences {names}. {_question(row)}"
    return Record.create(
        messages=(
            Message("user", user_turn(request, "", section.template), original.lang),
            Message("assistant", _question(original), original.lang),
        ),
        group=row.group,
        method="qalign",
        source=row.source,
        steps=row.steps,
        meta={"category": row.category, "stage": "1", "asked": row.lang},
    )
