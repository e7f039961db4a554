"""What tests of dialogues share, in this process and in one that is killed: section, passages, desk."""

import json
from pathlib import Path
from typing import Any

import openai_faults

from tongues.core.recipe import BudgetSection, EndpointSection, OpenAIEngine, UltraLinkMethod
from tongues.core.records import AlignedRow, Source
from tongues.core.store import AlignedStore
from tongues.data.checks import written_checks
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.passages import CutTexts
from tongues.inference.budget import Budget
from tongues.inference.ledger import Ledger
from tongues.inference.writer import Writer
from tongues.methods.writing import Desk

SOURCE = Source("tiny", "1", "x:1", "CC0-1.0")
Rows = list[tuple[str, Any]]


def section_of(
    *, lang: str = "es", agnostic: Any = None, chunk_tokens: int = 2_000, **dialogues: Any
) -> UltraLinkMethod:
    """A section with small limits."""
    file = {"uri": "x.jsonl", "lang": lang, "dataset": "wiki", "revision": "7", "licence": "CC-BY-SA-4.0"}
    limits = {"min_tokens": 1, "chunk_tokens": chunk_tokens, "min_last_tokens": 0}
    made = {"passages": {"files": [file], **limits}} | dialogues
    return UltraLinkMethod.model_validate({"method": "ultralink", "dialogues": made, "agnostic": agnostic})


def rows_of(path: Path) -> Rows:
    """The lines of a file of passages."""
    lines = path.read_bytes().splitlines()
    return [(f"{path.name}:{number}", line) for number, line in enumerate(lines, start=1)]


def rows(*texts: str) -> Rows:
    """Passages without a title."""
    return [(f"x.jsonl:{number}", {"text": text}) for number, text in enumerate(texts, start=1)]


def store(*items: AlignedRow) -> AlignedStore:
    """An aligned store; one row where there is none."""
    return AlignedStore(items or [AlignedRow("g", "en", "a", "", "b", (), "", SOURCE, (), {}, None)])


def desk_at(
    base_url: str,
    ledger: Ledger,
    section: UltraLinkMethod,
    lines: Rows,
    *,
    lang: str = "es",
    languages: tuple[str, ...] = ("es", "ca"),
    items: AlignedStore | None = None,
    seed: int = 3,
    **engine: Any,
) -> Desk:
    """A desk in front of an endpoint; waits are short, so that retries take milliseconds."""
    address = EndpointSection(base_url=base_url, max_in_flight=8)
    chat = OpenAIEngine(
        kind="openai",
        endpoints=(address,),
        model=openai_faults.MODEL,
        **({"timeout_s": 5.0, "retries": 2} | engine),
    )
    identify = RestrictedIdentifier()
    return Desk(
        store=items or store(),
        writer=Writer(chat, ledger, Budget(BudgetSection()), lang, first_wait_s=0.01),
        lang=lang,
        languages=languages,
        source_lang="en",
        seed=seed,
        identify=identify,
        passages=CutTexts(section.dialogues.passages, lambda file: lines, identify)
        if section.dialogues
        else lambda lang: iter(()),
        checks=written_checks(),
    )


def dumped(items: list[Any]) -> list[str]:
    """Records and drops as lines, to compare."""
    return [json.dumps(item.to_row(), ensure_ascii=False, sort_keys=True) for item in items]
