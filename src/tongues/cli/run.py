"""`tongues run`: the whole road, from the recipe to a promoted model."""

from typing import Annotated

import typer

from tongues.cli import terminal


def run(
    recipe: Annotated[str, terminal.Recipe],
    runner: Annotated[
        str,
        typer.Option(
            help="kfp-local: the compiled KFP pipeline on this machine; direct: the stages without KFP."
        ),
    ] = "kfp-local",
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Translate, assemble, fine-tune, evaluate, register, and promote if the gate agrees.

    A recipe with an ablation is trained and measured in every variant instead, without KFP, and one table
    compares them; nothing is promoted.
    """
    if runner not in ("kfp-local", "direct"):
        raise typer.BadParameter(f"{runner!r} is not one of kfp-local, direct")
    from tongues.cli.opening import open_recipe

    if open_recipe(recipe).recipe.ablation:
        _ablate(recipe, workspace, as_json=as_json)
    else:
        _run(recipe, runner, workspace, as_json=as_json)


def _run(recipe: str, runner: str, workspace: str, *, as_json: bool) -> None:
    from datetime import UTC, datetime

    from tongues.cli.opening import open_flow
    from tongues.stages.summary import summarise

    started = datetime.now(UTC)
    flow = open_flow(recipe, workspace)  # preflight first, whatever runs it
    if runner == "kfp-local":
        _through_kfp(flow.given.origin, recipe, workspace)
        flow = flow.quiet()
    summary = summarise(flow, started)
    terminal.show(summary.as_dict(), as_json=as_json, human=summary.print)


def _ablate(recipe: str, workspace: str, *, as_json: bool) -> None:
    from rich.console import Console

    from tongues.cli.opening import open_recipe, open_workspace
    from tongues.evaluation.ablation import ablation_values, terminal_ablation
    from tongues.stages.ablate import TABLE_NAME, ablate

    found = ablate(open_recipe(recipe), open_workspace(workspace))
    table = found.output.folder / TABLE_NAME
    result = {"variants": ablation_values(found.variants), "baseline": found.baseline, "table": str(table)}

    def human() -> None:
        Console().print(terminal_ablation(found.variants, found.baseline))
        print(f"Table:   {table}\nPromote: tongues run '{recipe}#NAME' takes one variant the whole road")

    terminal.show(result, as_json=as_json, human=human)


def _through_kfp(origin: str, recipe: str, workspace: str) -> None:
    from tongues.cli.opening import open_workspace
    from tongues.core.progress import say_on_stderr
    from tongues.core.shipped import shipped_folder
    from tongues.platform.pipelines import run_local

    place = open_workspace(workspace)
    compiled = shipped_folder("compiled") / "multilingual_tuning.yaml"
    arguments = {"recipe": recipe if origin == "inline" else origin, "workspace": place.uri}
    run_local(compiled, arguments, place.local / "kfp", say_on_stderr)
