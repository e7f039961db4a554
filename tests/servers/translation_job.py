"""A translation as a process of its own, so that tests can kill it.

Usage: translation_job.py ROWS.jsonl LEDGER OUT.jsonl TARGET_LANG ENGINE.json. Prints the counts as JSON.
"""

import json
import sys
from pathlib import Path

from pydantic import TypeAdapter

from tongues.core.drops import Drop
from tongues.core.recipe import ApertiumEngine, EngineSection, OpenAIEngine
from tongues.core.records import SourceRow
from tongues.data.spans import SpanProtector
from tongues.inference.ledger import Ledger
from tongues.translation.apertium import Apertium
from tongues.translation.counts import Counts
from tongues.translation.openai_chat import OpenAIChat
from tongues.translation.translate import translate_rows


def main(rows_path: str, ledger_path: str, out_path: str, target: str, engine_json: str) -> None:
    section: ApertiumEngine | OpenAIEngine = TypeAdapter(EngineSection).validate_json(engine_json)
    engine = (
        Apertium(section) if isinstance(section, ApertiumEngine) else OpenAIChat(section, first_wait_s=0.01)
    )
    lines = Path(rows_path).read_text().splitlines()
    counts = Counts()
    with Ledger(Path(ledger_path)) as ledger, Path(out_path).open("w") as out:
        for item in translate_rows(
            (SourceRow.from_row(json.loads(line)) for line in lines),
            engine=engine,
            source_lang="en",
            target_lang=target,
            ledger=ledger,
            protector=SpanProtector(),
            counts=counts,
        ):
            kind = "drop" if isinstance(item, Drop) else "row"
            out.write(json.dumps({"kind": kind, **item.to_row()}) + "\n")
    print(json.dumps(counts.observed()))


if __name__ == "__main__":
    main(*sys.argv[1:])
