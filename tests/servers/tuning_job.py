"""One training of a tiny model, to be killed or shared: ``tuning_job.py BASE OUT [MIRROR_URI]``.

It says each step. What the recipe would say besides stands in TUNING_JOB, as JSON. Under torchrun it is
one of its processes. At the step in TUNING_HOLD it waits.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from tongues.core.progress import say_on_stderr
from tongues.core.recipe import LoraSection, TuningSection
from tongues.core.records import Message, Record, Source
from tongues.tuning.eviction import Eviction
from tongues.tuning.ranks import Ranks
from tongues.tuning.sft import train

SECTION = TuningSection(
    lora=LoraSection(r=4, alpha=8, dropout=0.1),
    learning_rate=5e-3,
    max_steps=40,
    epochs=40,
    batch_rows=4,
    checkpoint_steps=3,
    precision="fp32",
)


def record(number: int) -> Record:
    """One exchange, of a length of its own."""
    answer = "uno dos tres " * (1 + number % 4)
    turns = (Message("user", f"Count to {number}.", "en"), Message("assistant", answer, "es"))
    return Record.create(
        messages=turns, group=str(number), method="direct", source=Source("t", "1", str(number), "CC0-1.0")
    )


def said_and_held(row: dict[str, float]) -> None:
    """Say the step; at the one that TUNING_HOLD names, wait to be killed."""
    print("step", row["step"], flush=True)
    if row["step"] == float(os.environ.get("TUNING_HOLD", "-1")):
        signal.pause()


def main(base: str, out: str, mirror_uri: str | None = None) -> None:
    """Train to the end, saying each step on standard output."""
    torch.set_num_threads(1)
    records = [record(number) for number in range(24)]
    ranks = Ranks.here()
    section = TuningSection.model_validate(
        SECTION.model_dump() | json.loads(os.environ.get("TUNING_JOB", "{}"))
    )
    with ranks.joined(), Eviction(section.safety.grace_s, say_on_stderr) as eviction:
        result = train(
            train_records=records[:20],
            validation_records=records[20:],
            base=Path(base),
            out=Path(out),
            section=section,
            seed=3,
            on_step=said_and_held,
            eviction=eviction,
            mirror_uri=mirror_uri,
        )
    if ranks.leads:
        print("done", result.steps_run, result.resumed_from, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
