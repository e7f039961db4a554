"""Claim: exact counts, order and repeatable answers cost our Apertium engine about a third of the speed.

The peer is the `apertium` command itself, fed the whole file at once, which is the fastest way to use it and
the one that loses all lines after a segment that makes it stop. Both translate the same lines, one after the
other, in this process's run; `ratio` is ours divided by the peer's segments per second.
"""

import argparse
import asyncio
import json
import subprocess
import time
from pathlib import Path

from tongues.core.recipe import ApertiumEngine
from tongues.translation.engines import build_engine

ROWS = Path(__file__).resolve().parents[1] / "recipes" / "quickstart" / "instructions.jsonl"
MODES = {"es": "eng-spa", "ca": "eng-cat", "gl": "en-gl"}


def lines(count: int) -> list[str]:
    """Distinct single-line English texts of the quickstart, numbered further where there are too few."""
    rows = [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]
    texts = [t for row in rows for t in (row["instruction"], row["output"]) if "\n" not in t and "`" not in t]
    return [texts[i % len(texts)].rstrip(".") + f" number {i}." for i in range(count)]


def ours(texts: list[str], target: str) -> float:
    """Segments per second of the engine, its start included."""
    engine = build_engine(ApertiumEngine(kind="apertium"))

    async def run() -> None:
        size = engine.batch_segments
        for start in range(0, len(texts), size):
            outcomes = await engine.answer(texts[start : start + size], "en", target)
            assert all(outcome.text for outcome in outcomes)
        await engine.aclose()

    started = time.perf_counter()
    asyncio.run(run())
    return len(texts) / (time.perf_counter() - started)


def peer(texts: list[str], target: str) -> float:
    """Segments per second of the apertium command on all lines at once."""
    started = time.perf_counter()
    command = ["apertium", "-u", MODES[target]]
    done = subprocess.run(command, input="\n".join(texts), capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(texts)
    return len(texts) / (time.perf_counter() - started)


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="300 segments a language instead of 3,000")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    arguments = parser.parse_args()
    texts = lines(300 if arguments.quick else 3_000)
    rates = {target: (ours(texts, target), peer(texts, target)) for target in MODES}
    if not arguments.json:
        for target, (mine, theirs) in rates.items():
            print(f"en-{target}: {mine:.0f} segments/s, apertium command {theirs:.0f}")
    ratios = [mine / theirs for mine, theirs in rates.values()]
    result = {
        "ratio": round(sum(ratios) / len(ratios), 3),
        "peer": "apertium command, all lines at once",
        "segments": len(texts),
        "segments_per_s": {target: round(mine, 1) for target, (mine, _) in rates.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
