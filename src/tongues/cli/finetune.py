"""`tongues finetune`: LoRA on the assembled data."""

from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.given import Given
    from tongues.stages.workspace import Output, Workspace


def finetune(
    recipe: Annotated[str, terminal.Recipe],
    check: Annotated[bool, typer.Option("--check", help="Show what would be trained on, and stop.")] = False,
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
    given, place, data, model = _inputs(recipe, workspace, dataset, base)
    if check:
        from tongues.stages.finetune import check as check_only

        preview = check_only(given, place, data, model)
        terminal.show({"preview": preview}, as_json=as_json, human=lambda: typer.echo(preview))
        return
    from tongues.stages.finetune import finetune as tune

    _show(tune(given, place, data, model), as_json=as_json)


def _inputs(
    recipe: str, workspace: str, dataset: str, base: str
) -> "tuple[Given, Workspace, Output, Output]":
    """Data and base by URI, as a pod of a TrainJob gets them; or the recipe's own, made first if need be."""
    from tongues.cli.opening import open_flow, open_recipe, open_workspace

    if dataset:
        place = open_workspace(workspace)
        return open_recipe(recipe), place, place.open(dataset), place.open(base)
    flow = open_flow(recipe, workspace)
    return flow.given, flow.workspace, flow.dataset, flow.base


def _render(recipe: str, workspace: str, namespace: str, *, as_json: bool) -> None:
    from tongues.cli.opening import open_recipe
    from tongues.core.recipe_file import as_yaml
    from tongues.stages.finetune_nodes import rendered

    job = rendered(open_recipe(recipe), workspace, namespace=namespace)
    terminal.show(job, as_json=as_json, human=lambda: typer.echo(as_yaml(job), nl=False))


def _show(tuned: "Output", *, as_json: bool) -> None:
    manifest = tuned.manifest
    result = {
        "uri": tuned.uri,
        "digest": manifest.digest(),
        **manifest.facts,
        "observed": manifest.observed,
    }
    rows = [
        (name, value)
        for name, value in (manifest.facts | manifest.observed).items()
        if not isinstance(value, dict)
    ]
    terminal.show(result, as_json=as_json, human=lambda: terminal.table("Tuning", ("what", "value"), rows))
