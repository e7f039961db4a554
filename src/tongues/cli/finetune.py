"""`tongues finetune`: LoRA on the assembled data."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.tuning.autotune import Tuned


def finetune(
    recipe: Annotated[str, terminal.Recipe],
    check: Annotated[bool, typer.Option("--check", help="Show what would be trained on, and stop.")] = False,
    autotune: Annotated[
        bool, typer.Option("--autotune", help="Find the largest batch_tokens that fits, and stop.")
    ] = False,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Fine-tune the base model; goes on from the last checkpoint if there is one."""
    from tongues.cli.opening import open_flow
    from tongues.stages.finetune import autotune as find_batch
    from tongues.stages.finetune import check as check_only
    from tongues.tuning.ranks import Ranks

    flow, leads = open_flow(recipe, workspace), Ranks.here().leads
    flow = flow if leads else flow.quiet()
    if check:
        preview = check_only(flow.given, flow.workspace, flow.dataset, flow.base)
        terminal.show({"preview": preview}, as_json=as_json, human=lambda: typer.echo(preview))
        return
    if autotune:
        tuned = find_batch(flow.given, flow.workspace, flow.dataset, flow.base)
        terminal.show(asdict(tuned), as_json=as_json, human=lambda: typer.echo(_line(tuned)))
        return
    manifest = flow.tuned.manifest
    if not leads:
        return
    result = {
        "uri": flow.tuned.uri,
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


def _line(tuned: "Tuned") -> str:
    why = "all rows of a step in one pass; more changes nothing" if tuned.whole_step else "the most that fits"
    return f"tuning:\n  batch_tokens: {tuned.batch_tokens}  # {why}"
