"""`tongues plan`: what a run will do and cost, before anything is spent."""

from typing import TYPE_CHECKING, Annotated

from tongues.cli import terminal
from tongues.core.progress import duration

if TYPE_CHECKING:
    from tongues.stages.plan import Plan


def plan(
    recipe: Annotated[str, terminal.Recipe],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Say what a run will do: rows, requests, what is finished already, and the time translation takes."""
    from tongues.cli.opening import open_recipe, open_workspace
    from tongues.stages.plan import plan as make_plan

    made = make_plan(open_recipe(recipe), open_workspace(workspace))
    terminal.show(made.model_dump(mode="json"), as_json=as_json, human=lambda: tell(made))


def tell(made: "Plan") -> None:
    """Print a plan for a reader."""
    columns = (
        "language",
        "engine",
        "rows",
        "in ledger",
        "requests",
        "tokens in",
        "tokens out",
        "time",
        "cost",
    )
    rows = [
        (
            line.lang,
            line.engine,
            line.rows - line.skipped,
            line.in_ledger,
            line.requests,
            line.tokens_in,
            line.tokens_out,
            duration(line.seconds),
            line.cost,
        )
        for line in made.languages
    ]
    if made.source_dropped:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(made.source_dropped.items()))
        print(f"Source: {sum(made.source_dropped.values())} rows dropped, not planned for: {reasons}.")
    terminal.table("Translation", columns, rows)
    print(f"Cost: {made.cost:.4g}, measured on {made.sample_segments} requests, which the ledger keeps.")
    for warning in made.warnings:
        print(f"Warning: {warning}")
