"""What a process measures while it works, for Prometheus: names, meanings, and the values of this moment.

Code that works sets values here and knows nothing of Prometheus; `tongues.platform.metrics_port` shows them.
One process runs one step at a time, so the values stand once in a process, as in any metrics library.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Meter:
    """One metric.

    Args:
        name: as Prometheus has it, with its unit.
        kind: a counter only grows while a process lives.
        meaning: one sentence.
        labels: names of its own labels, beside `step` and `model`.
    """

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    labels: tuple[str, ...] = ()


_STEP = "tongues_step_"
_ROWS = "tongues_translation_"
_TUNING = "tongues_tuning_"
METERS = {
    meter.name: meter
    for meter in (
        Meter(_STEP + "info", "gauge", "1, with what the step is.", ("run_id", "trace_id", "version")),
        Meter(_STEP + "started_timestamp_seconds", "gauge", "When the step began, Unix time."),
        Meter(
            _STEP + "finished_timestamp_seconds",
            "gauge",
            "When the step ended, Unix time; outcome is succeeded, failed, refused or interrupted.",
            ("outcome",),
        ),
        Meter(_STEP + "progress_timestamp_seconds", "gauge", "When the work last moved on, Unix time."),
        Meter(_STEP + "progress_ratio", "gauge", "Share of the present loop that is done, 0 to 1."),
        Meter(_STEP + "remaining_seconds", "gauge", "Time left of the present loop, at its mean rate."),
        Meter(
            _ROWS + "rows_total",
            "counter",
            "Rows translated; outcome is kept or dropped.",
            ("lang", "outcome"),
        ),
        Meter(_ROWS + "dropped_rows_total", "counter", "Rows dropped, by reason.", ("lang", "reason")),
        Meter(
            _ROWS + "tokens_total",
            "counter",
            "Tokens as endpoints count them; kind is prompt or completion.",
            ("lang", "engine", "kind"),
        ),
        Meter(_ROWS + "requests_total", "counter", "Requests, repeated tries included.", ("lang", "engine")),
        Meter(_ROWS + "ledger_hits_total", "counter", "Texts answered from the ledger.", ("lang", "engine")),
        Meter(
            _ROWS + "errors_total",
            "counter",
            "Texts that an engine could not answer, by reason.",
            ("lang", "engine", "reason"),
        ),
        Meter(
            _ROWS + "cost_total", "counter", "Money spent, in the currency of the recipe.", ("lang", "engine")
        ),
        Meter(_ROWS + "budget_cost", "gauge", "Money that this job may spend; absent without a budget."),
        Meter(_TUNING + "tokens_total", "counter", "Tokens trained on in this process, padding left out."),
        Meter(_TUNING + "tokens_per_second", "gauge", "Tokens trained on per second, over the last step."),
        Meter(
            _TUNING + "mfu_ratio",
            "gauge",
            "Share of the device's bf16 peak that the model's own arithmetic takes; absent where the peak is "
            "not known.",
        ),
        Meter(_TUNING + "step", "gauge", "Optimiser steps done."),
        Meter(_TUNING + "steps", "gauge", "Optimiser steps of the whole training."),
        Meter(_TUNING + "loss", "gauge", "Loss of the last step, nats per trained token."),
        Meter("tongues_gate_decision", "gauge", "1 where the gate promoted, 0 where it refused."),
    )
}


class Meters:
    """The values of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {}
        self.common: dict[str, str] = {"step": "", "model": ""}

    def begin(self, step: str, model: str) -> None:
        """A step begins: values of an earlier one in this process are forgotten."""
        with self._lock:
            self._values.clear()
            self.common = {"step": step, "model": model}
        self.set(_STEP + "started_timestamp_seconds", time.time())

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a value.

        Raises:
            KeyError: `METERS` has no such metric, or not with these labels.
        """
        if set(labels) != set(METERS[name].labels):
            raise KeyError(f"{name} has the labels {METERS[name].labels}, not {tuple(labels)}")
        with self._lock:
            self._values.setdefault(name, {})[tuple(sorted(labels.items()))] = value

    def raise_to(self, name: str, value: float, **labels: str) -> None:
        """Set a counter that is counted elsewhere; one that starts over never makes it fall."""
        self.set(name, max(value, self.get(name, **labels)), **labels)

    def get(self, name: str, **labels: str) -> float:
        """A value; 0 where it was never set."""
        with self._lock:
            return self._values.get(name, {}).get(tuple(sorted(labels.items())), 0.0)

    def snapshot(self) -> Mapping[str, Mapping[Labels, float]]:
        """All values of this moment."""
        with self._lock:
            return {name: dict(values) for name, values in self._values.items()}


METER = Meters()
"""The values of this process."""
