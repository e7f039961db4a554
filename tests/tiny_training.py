"""A training of a tiny model that takes a second: its settings, and how it is run."""

from pathlib import Path
from typing import Any

from tongues.core.recipe import LoraSection, TuningSection
from tongues.core.records import Record
from tongues.tuning.result import TuningResult
from tongues.tuning.sft import train

SECTION = TuningSection(
    lora=LoraSection(r=4, alpha=8, dropout=0.1),
    learning_rate=5e-3,
    max_steps=6,
    epochs=10,
    batch_rows=4,
    checkpoint_steps=2,
    precision="fp32",
)


def silent(_: str) -> None:
    """Take a line and drop it."""


def run(
    records: list[Record], base: Path, out: Path, section: TuningSection = SECTION, **more: Any
) -> TuningResult:
    """Train on the first twenty records and watch the loss on the others."""
    options: dict[str, Any] = {"validation_records": records[20:], "seed": 7, "say": silent} | more
    return train(train_records=records[:20], base=base, out=out, section=section, **options)
