"""`tongues finetune`: LoRA on the assembled data."""

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.given import Given
    from tongues.stages.workspace import Output, Workspace
    from tongues.tuning.autotune import Tuned


def finetune(
    recipe: Annotated[str, terminal.Recipe],
    check: Annotated[bool, typer.Option("--check", help="Show what would be trained on, and stop.")] = False,
    autotune: Annotated[
        bool, typer.Option("--autotune", help="Find the largest batch_tokens that fits, and stop.")
    ] = False,
    dataset: Annotated[
        str, typer.Option(help="URI of the assembled data; the recipe's, made first if need be, when absent.")
    ] = "",
    base: Annotated[str, typer.Option(help="URI of the fetched base model; goes with --dataset.")] = "",
    render: Annotated[
        bool, typer.Option("--render", help="Print the TrainJob that several nodes get, and stop.")
    ] = False,
    namespace: Annotated[str, typer.Option(help="Namespace in what --render prints.")] = "default",
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Fine-tune the base model; goes on from the last checkpoint if there is one."""
    if bool(dataset) != bool(base):
        raise typer.BadParameter("--dataset and --base go together")
    if render:
        _render(recipe, workspace, namespace, as_json=as_json)
        return
    from tongues.stages import finetune as stage
    from tongues.tuning.ranks import Ranks

    speaks = Ranks.here().leads
    inputs = _inputs(recipe, workspace, dataset, base, speaks=speaks)
    if check:
        preview = stage.check(*inputs)
        result, human = {"preview": preview}, partial(typer.echo, preview)
    elif autotune:
        tuned = stage.autotune(*inputs)
        result, human = asdict(tuned), partial(typer.echo, _line(tuned))
    else:
        output = stage.finetune(*inputs)
        result, human = _result(output), partial(_table, output)
    if speaks:
        terminal.show(result, as_json=as_json, human=human)


def _inputs(
    recipe: str, workspace: str, dataset: str, base: str, *, speaks: bool
) -> "tuple[Given, Workspace, Output, Output]":
    """Data and base by URI, as a pod of a TrainJob gets them; or the recipe's own, made first if need be."""
    from tongues.cli.opening import open_recipe, open_workspace

    given, place = open_recipe(recipe), open_workspace(workspace)
    place = place if speaks else place.quiet()
    if dataset:
        return given, place, place.open(dataset), place.open(base)
    from tongues.stages.flow import Flow

    flow = Flow(given, place)
    return given, place, flow.dataset, flow.base


def _render(recipe: str, workspace: str, namespace: str, *, as_json: bool) -> None:
    from tongues.cli.opening import open_recipe
    from tongues.core.recipe_file import as_yaml
    from tongues.stages.finetune_nodes import rendered

    job = rendered(open_recipe(recipe), workspace, namespace=namespace)
    terminal.show(job, as_json=as_json, human=lambda: typer.echo(as_yaml(job), nl=False))


def _result(tuned: "Output") -> dict[str, Any]:
    manifest = tuned.manifest
    return {
        "uri": tuned.uri,
        "digest": manifest.digest(),
        **manifest.facts,
        "observed": manifest.observed,
    }


def _table(tuned: "Output") -> None:
    told = tuned.manifest.facts | tuned.manifest.observed
    rows = [(name, value) for name, value in told.items() if not isinstance(value, dict)]
    terminal.table("Tuning", ("what", "value"), rows)


def _line(tuned: "Tuned") -> str:
    why = "all rows of a step in one pass; more changes nothing" if tuned.whole_step else "the most that fits"
    return f"tuning:\n  batch_tokens: {tuned.batch_tokens}  # {why}"
