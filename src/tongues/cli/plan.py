"""`tongues plan`: what a run will do and cost, before anything is spent."""

from typing import Annotated

from tongues.cli import terminal


def plan(
    recipe: Annotated[str, terminal.Recipe],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Say what a run will do: rows, requests, what is finished already, and the time translation takes."""
    from tongues.cli.opening import open_recipe, open_workspace
    from tongues.stages.plan import plan as make_plan

    made = make_plan(open_recipe(recipe), open_workspace(workspace))
    columns = ("language", "rows", "segments", "characters", "in ledger", "requests", "seconds")
    rows = [tuple(line.model_dump().values()) for line in made.languages]
    terminal.show(
        made.model_dump(mode="json"),
        as_json=as_json,
        human=lambda: terminal.table("Translation", columns, rows),
    )
