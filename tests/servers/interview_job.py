"""Dialogues as a process of its own, so that tests can kill it.

Usage: interview_job.py BASE_URL LEDGER OUT.jsonl PASSAGES.jsonl SECTION.json
"""

import json
import sys
from pathlib import Path

from interviews import desk_at, rows_of, section_of

from tongues.inference.ledger import Ledger
from tongues.methods.ultralink import write


def main(base_url: str, ledger_path: str, out_path: str, passages: str, settings: str) -> None:
    section = section_of(**json.loads(settings))
    lines = rows_of(Path(passages))
    with Ledger(Path(ledger_path)) as ledger, Path(out_path).open("w") as out:
        for item in write(section, desk_at(base_url, ledger, section, lines)):
            out.write(json.dumps(item.to_row(), ensure_ascii=False, sort_keys=True) + "\n")
    print("finished")


if __name__ == "__main__":
    main(*sys.argv[1:])
