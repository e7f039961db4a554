"""TaCo: translation-assisted chain of thought (arXiv 2311.10797), and the MITS build behind it.

    stage   user's turn                                   answer
    1       English pair as it is                         English
    2       the line that asks for the chain, then        instruction in English, response in English,
            instruction and input in the language         response in the language

Any translated set in any of the languages of the table will do: MITS is Alpaca and Dolly in 132.
The input's place in the English restatement is after the instruction, on a line of its own (default,
the paper does not state it). Every record notes its stage in its metadata: the paper starts from a
model that is tuned on English instructions, and stage 1 stands in for that with a base that is not.
The paper trains one adapter per language: one recipe with one language each.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

from tongues.core.recipe import TacoMethod
from tongues.core.records import AlignedRow, Message, Record
from tongues.core.store import AlignedStore
from tongues.core.taco_format import request_line, write_chain
from tongues.methods.demand import Demand, demands_of_source, refuse
from tongues.methods.pairs import pair
from tongues.methods.prompts import user_turn


def build(
    store: AlignedStore, section: TacoMethod, *, languages: Sequence[str], source_lang: str, seed: int
) -> Iterator[Record]:
    """Emit the chains of every language, named "taco", after the English pairs, named "taco/english".

    Only items that exist in both languages can become a chain. Each language draws its own, without
    replacement and independently of the others.

    Args:
        store: every item in every language.
        section: how many rows, and how request and chain are laid out.
        languages: BCP-47 codes to teach.
        source_lang: BCP-47 code of the originals, the paper's English.
        seed: the recipe's seed.

    Raises:
        PreflightError: a language has fewer groups than asked for, or none.
    """
    english = demands_of_source(store, source_lang, section.english_rows)
    chains = [
        Demand(lang, section.rows_per_language, store.groups(lang, source_lang)) for lang in sorted(languages)
    ]
    refuse((demand.problem for demand in (*english, *chains)), "taco")
    return chain(
        (
            pair(store.get(group, source_lang), "taco/english", section.template, meta={"stage": "1"})
            for demand in english
            for group in demand.drawn(seed, "taco")
        ),
        (
            _record(store.get(group, demand.lang), store.get(group, source_lang), section)
            for demand in chains
            for group in demand.drawn(seed, "taco")
        ),
    )


def _record(row: AlignedRow, original: AlignedRow, section: TacoMethod) -> Record:
    answer = write_chain(
        user_turn(original.instruction, original.input),
        original.output,
        row.output,
        lang=row.lang,
        source_lang=original.lang,
        layout=section.layout,
    )
    return Record.create(
        messages=(*_request(row, original.lang, section), Message("assistant", answer, row.lang)),
        group=row.group,
        method="taco",
        source=row.source,
        steps=row.steps,
        meta={"category": row.category, "stage": "2"},
    )


def _request(row: AlignedRow, source_lang: str, section: TacoMethod) -> tuple[Message, ...]:
    """What is asked, and the line that asks for the chain where the recipe wants it."""
    line = request_line(row.lang, source_lang)
    preamble = line if section.system_line == "preamble" else None
    question = user_turn(row.instruction, row.input, section.template, preamble=preamble)
    system = (Message("system", line, source_lang),) if section.system_line == "message" else ()
    return (*system, Message("user", question, row.lang))
