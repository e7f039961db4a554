"""`tongues history`: who moved the champion, when, and why."""

from typing import Annotated

import typer

from tongues.cli import terminal


def history(
    model: Annotated[str, typer.Argument(help="Registered model name, such as quickstart.")],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """List every promotion and rollback of a model, oldest first."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.champions import history as moves_of

    moves = moves_of(open_workspace(workspace), model)
    result = {"model": model, "moves": [move.model_dump(mode="json") for move in moves]}
    columns = ("when", "who", "what", "from", "to", "why", "decision")
    rows = [
        (
            f"{m.at:%Y-%m-%d %H:%M:%S}",
            m.who,
            m.action,
            m.before or "-",
            m.after,
            m.reason,
            m.decision_sha256[:12],
        )
        for m in moves
    ]
    terminal.show(
        result, as_json=as_json, human=lambda: terminal.table(f"Champions of {model}", columns, rows)
    )
