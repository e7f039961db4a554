"""The journal of a pipeline run: a line from each step, and one report when the run is over.

<workspace>/runs/<run>/<step>.json     what each step leaves, gone once the report is written
<workspace>/runs/<run>.json            the report
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tongues.core.digests import canonical_json
from tongues.core.errors import StorageError
from tongues.core.progress import Say, duration
from tongues.platform import storage

RUNS = "runs"
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


@dataclass(frozen=True)
class Entry:
    """How one step of a run ended.

    Args:
        step: its name.
        job: language and shard of a translation; empty elsewhere.
        outcome: succeeded, failed, refused or interrupted.
        seconds: how long the last try took.
        error: our line about what went wrong; empty where nothing did.
    """

    step: str
    job: str
    outcome: str
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class RunReport:
    """A run that is over.

    Args:
        run_id: its identifier.
        state: as KFP has it, such as SUCCEEDED or FAILED.
        message: why it failed, as KFP says; empty where it does not.
        entries: the steps that have ended, in the order of their names.
    """

    run_id: str
    state: str
    message: str
    entries: tuple[Entry, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The report as a page of the KFP UI."""
        head = f"# Run {self.run_id}: {self.state.lower()}\n\n"
        rows = [
            f"| {entry.step} | {entry.job} | {entry.outcome} | {duration(entry.seconds)} |"
            for entry in self.entries
        ]
        table = "\n".join(["| step | job | outcome | time |", "| --- | --- | --- | --- |", *rows])
        errors = [f"- **{e.step}** {e.job}: {e.error}" for e in self.entries if e.error]
        told = errors or ([f"- {self.message}"] if self.message else [])
        return head + table + ("\n\n## What went wrong\n\n" + "\n".join(told) if told else "") + "\n"


def note(workspace: str, run_id: str, entry: Entry, say: Say) -> None:
    """Leave a step's line; where that is not possible the step's own end counts, and this is only said."""
    if not run_id or not workspace:
        return
    name = _UNSAFE.sub("-", f"{entry.step} {entry.job}".strip())
    try:
        storage.write_bytes(
            storage.join(workspace, RUNS, run_id, f"{name}.json"), canonical_json(asdict(entry))
        )
    except (StorageError, OSError) as error:
        say(f"journal: not written ({error})")


def close(workspace: str, run_id: str, state: str, message: str) -> RunReport:
    """Gather what the steps left into one report, and take the lines away.

    Whoever closes it again, as a step that is tried again does, finds in it what the first one gathered.

    Raises:
        StorageError: the workspace cannot be read or written.
    """
    folder = storage.join(workspace, RUNS, run_id)
    names = sorted(name for name in storage.list_names(folder) if name.endswith(".json"))
    found = [storage.read_bytes(storage.join(folder, name)) for name in names]
    uri = storage.join(workspace, RUNS, f"{run_id}.json")
    gathered = {(one.step, one.job): one for one in _gathered(uri) + _entries([one for one in found if one])}
    report = RunReport(run_id, state, message, tuple(gathered[key] for key in sorted(gathered)))
    storage.write_bytes(uri, canonical_json(report.as_dict()))
    for name in names:
        storage.remove_file(storage.join(folder, name))
    return report


def _gathered(uri: str) -> list[Entry]:
    """The entries of a report that is there."""
    there = storage.read_bytes(uri)
    return [Entry(**one) for one in json.loads(there)["entries"]] if there else []


def _entries(lines: Sequence[bytes]) -> list[Entry]:
    return [Entry(**json.loads(line)) for line in lines]
