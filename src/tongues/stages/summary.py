"""What a run has to say when it is through: what was done now, what came out, where to look."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tongues.core.scores import Scores
from tongues.evaluation.summary import print_terminal
from tongues.platform.mlflow_connection import ui_command
from tongues.stages.flow import Flow
from tongues.stages.workspace import Output


@dataclass(frozen=True)
class StageLine:
    """One stage of the run.

    Args:
        stage: the verb, with its language where it has one.
        done_now: false where an earlier run had finished it.
        rows_out: rows that left it; None where it has no rows.
        dropped: rows dropped, by reason.
        wall_s: seconds it took when it was done.
        uri: the finished folder.
    """

    stage: str
    done_now: bool
    rows_out: int | None
    dropped: dict[str, int]
    wall_s: float
    uri: str


@dataclass(frozen=True)
class Summary:
    """The whole run.

    Args:
        stages: in the order of the flow.
        elapsed_s: seconds from the start of the run to here.
        requests_now: requests that translation engines got in this run.
        steps_now: optimiser steps of this run.
        scores: of every model compared.
        gate: the decision as JSON.
        model: models:/NAME/VERSION.
        champion: whether that version is the champion now.
        report: path of the HTML report.
        tracking: how to open MLflow.
    """

    stages: list[StageLine]
    elapsed_s: float
    requests_now: int
    steps_now: int
    scores: tuple[Scores, ...]
    gate: dict[str, Any]
    model: str
    champion: bool
    report: str
    tracking: str

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        values = vars(self) | {"stages": [vars(s) for s in self.stages]}
        return values | {"scores": {s.role: s.model_dump(mode="json") for s in self.scores}}

    def print(self) -> None:
        """For people."""
        done = [s for s in self.stages if s.done_now]
        work = f"{self.requests_now} translation requests, {self.steps_now} training steps"
        found = "the others found finished"
        print(
            f"\n{len(done)} of {len(self.stages)} stages done in {self.elapsed_s:.0f} s, {found}; {work}.\n"
        )
        print_terminal(self.scores)
        verdict = "passed" if self.gate["passed"] else "refused"
        print(f"\nGate: {verdict}. {self.model}{' is the champion' if self.champion else ''}.")
        print(f"Report:  {self.report}\nMLflow:  {self.tracking}")


def summarise(flow: Flow, started: datetime) -> Summary:
    """Collect what a run came to; everything is finished, so this only reads.

    Args:
        flow: of the run.
        started: UTC time of its start; what was finished later was done by it.
    """
    promoted = flow.promoted
    lines = [_line(name, output, started) for name, output in _outputs(flow)]
    now = {line.uri for line in lines if line.done_now}
    return Summary(
        stages=lines,
        elapsed_s=round((datetime.now(UTC) - started).total_seconds(), 1),
        requests_now=sum(o.manifest.observed["requests"] for o in flow.translations.values() if o.uri in now),
        steps_now=flow.tuned.manifest.observed["steps_run"] if flow.tuned.uri in now else 0,
        scores=flow.evaluation.scores,
        gate=flow.decided.model_dump(mode="json"),
        model=f"models:/{flow.registered.model}/{flow.registered.version}",
        champion=promoted.version == flow.registered.version,
        report=str(flow.evaluation.report),
        tracking=ui_command(flow.registered.tracking_uri),
    )


def _outputs(flow: Flow) -> Iterator[tuple[str, Output]]:
    yield "prepare", flow.source
    yield "base", flow.base
    for lang, output in flow.translations.items():
        yield f"translate {lang}", output
    yield "gather", flow.store
    yield "assemble", flow.dataset
    yield "finetune", flow.tuned
    yield "evaluate", flow.evaluation.output


def _line(stage: str, output: Output, started: datetime) -> StageLine:
    manifest = output.manifest
    dropped: dict[str, int] = {}
    for tally in manifest.tallies.values():
        for reason, rows in tally.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + rows
    finished = datetime.fromisoformat(manifest.finished_at)
    return StageLine(
        stage=stage,
        done_now=finished >= started.replace(microsecond=0).astimezone(UTC),
        rows_out=manifest.rows_out if manifest.tallies else None,
        dropped=dropped,
        wall_s=manifest.wall_s,
        uri=output.uri,
    )
