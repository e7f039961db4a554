"""`tongues generate`: what a chat model writes, for the methods that need it."""

from typing import Annotated

import typer

from tongues.cli import terminal


def generate(
    recipe: Annotated[str, terminal.Recipe],
    replay_only: Annotated[
        bool,
        typer.Option("--replay-only", help="Answer from the ledger alone; fail on what it lacks."),
    ] = False,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Have a chat model write dialogues, instructions and answers."""
    from tongues.cli.opening import open_flow

    output = open_flow(recipe, workspace, replay_only=replay_only).written
    tallies = output.manifest.tallies if output else {}
    rows = [
        (lang, t.rows_in, t.rows_out, ", ".join(f"{n} {r}" for r, n in sorted(t.dropped.items())) or "-")
        for lang, t in tallies.items()
    ]
    result = {
        "uri": output.uri if output else None,
        "tallies": {lang: tally.model_dump() for lang, tally in tallies.items()},
        "observed": output.manifest.observed if output else {},
    }

    def human() -> None:
        if output is None:
            print("Nothing to write: no method of this recipe asks a chat model.")
        else:
            terminal.table("Written", ("language", "tried", "kept", "dropped"), rows)

    terminal.show(result, as_json=as_json, human=human)
