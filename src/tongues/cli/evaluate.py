"""`tongues evaluate`: base against tuned, per language; or released judgements, re-read."""

from pathlib import Path
from typing import Annotated

import typer

from tongues.cli import terminal


def evaluate(
    recipe: Annotated[str | None, terminal.Recipe] = None,
    judgements: Annotated[
        Path | None,
        typer.Option(help="Released judgements (JSON): read the ratings from the prose and average."),
    ] = None,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Score the tuned model against the base model and the champion, per language."""
    if (recipe is None) == (judgements is None):
        raise typer.BadParameter("give either a recipe or --judgements FILE")
    if judgements is not None:
        _judgements(judgements, as_json)
    elif recipe is not None:
        _recipe(recipe, workspace, as_json)


def _recipe(recipe: str, workspace: str, as_json: bool) -> None:
    from tongues.cli.opening import open_flow
    from tongues.evaluation.summary import print_terminal

    evaluation = open_flow(recipe, workspace).evaluation
    result = {"uri": evaluation.output.uri, "report": str(evaluation.report),
              "scores": {s.role: s.model_dump(mode="json") for s in evaluation.scores}}  # fmt: skip
    terminal.show(result, as_json=as_json, human=lambda: print_terminal(evaluation.scores))


def _judgements(path: Path, as_json: bool) -> None:
    from tongues.evaluation.judgements import read_judgements

    means = read_judgements(path)
    rows = [
        (name, m["mean"], m["n"]) for name, m in [*means["categories"].items(), ("overall", means["overall"])]
    ]
    terminal.show(
        means, as_json=as_json, human=lambda: terminal.table("Ratings", ("category", "mean", "n"), rows)
    )
