"""`tongues run`: the whole road, from the recipe to a promoted model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.summary import Summary


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
    compares them; nothing is promoted. A recipe with a model for each language goes the road once for each.
    """
    if runner not in ("kfp-local", "direct"):
        raise typer.BadParameter(f"{runner!r} is not one of kfp-local, direct")
    from tongues.cli.opening import open_recipe

    asked = open_recipe(recipe).recipe
    if asked.ablation:
        _ablate(recipe, workspace, as_json=as_json)
    elif asked.models == "per-language":
        _run_languages(recipe, asked.parts, runner, workspace, as_json=as_json)
    else:
        summary = _run(recipe, runner, workspace)
        terminal.show(summary.as_dict(), as_json=as_json, human=summary.print)


def _run_languages(
    recipe: str, languages: Sequence[str], runner: str, workspace: str, *, as_json: bool
) -> None:
    """One model after the other; one that the gate refuses holds back no other."""
    from tongues.core.errors import GateRefusedError, TonguesError

    summaries: dict[str, Summary] = {}
    refused: dict[str, str] = {}
    for lang in languages:
        typer.echo(f"model {lang} ({len(summaries) + len(refused) + 1} of {len(languages)})", err=True)
        try:
            summaries[lang] = _run(f"{recipe}#{lang}", runner, workspace)
        except TonguesError as error:
            if error.exit_code != terminal.REFUSED:
                raise
            refused[lang] = error.line()

    def human() -> None:
        for summary in summaries.values():
            summary.print()

    if refused:
        human()
        told = "; ".join(f"{lang}: {line}" for lang, line in refused.items())
        raise GateRefusedError(f"{len(refused)} of {len(languages)} models refused: {told}", where=recipe)
    result = {"models": {lang: summary.as_dict() for lang, summary in summaries.items()}}
    terminal.show(result, as_json=as_json, human=human)


def _run(recipe: str, runner: str, workspace: str) -> "Summary":
    from datetime import UTC, datetime

    from tongues.cli.opening import open_flow
    from tongues.stages.summary import summarise

    started = datetime.now(UTC)
    flow = open_flow(recipe, workspace)  # preflight first, whatever runs it
    if runner == "kfp-local":
        _through_kfp(flow.given.origin, recipe, workspace)
        flow = flow.quiet()
    return summarise(flow, started)


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
