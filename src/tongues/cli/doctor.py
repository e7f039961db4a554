"""`tongues doctor`: what this machine has, what is missing, and how to get it."""

from typing import Annotated

import typer

from tongues.cli import terminal


def doctor(
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Check this machine: translator, libraries, memory, disk, GPU; says how to mend what is missing."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.doctor import examine

    findings = examine(open_workspace(workspace))
    rows = [("ok" if f.ok else "missing", f.name, f.found, "" if f.ok else f.fix) for f in findings]
    result = {"ok": all(f.ok for f in findings), "findings": [f.__dict__ for f in findings]}
    columns = ("state", "what", "found", "how to mend")
    terminal.show(result, as_json=as_json, human=lambda: terminal.table("This machine", columns, rows))
    raise typer.Exit(0 if result["ok"] else 1)
