"""`tongues translate`: source rows into every language of the recipe, or one shard of one language."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.fan_out import Job
    from tongues.stages.workspace import Output


def translate(
    recipe: Annotated[str, terminal.Recipe],
    job: Annotated[
        str | None,
        typer.Option(
            help='Only this language and shard, such as "es 2/4" or "es"; the store is then not gathered.'
        ),
    ] = None,
    replay_only: Annotated[
        bool, typer.Option("--replay-only", help="Answer from the ledger alone; fail on what it lacks.")
    ] = False,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Translate the source rows; requests that were answered once are never sent again."""
    from tongues.cli.opening import open_recipe, open_workspace
    from tongues.stages.fan_out import Job
    from tongues.stages.preflight import preflight_translation
    from tongues.stages.translations import Translations

    given = open_recipe(recipe)
    given = given.replaying() if replay_only else given
    preflight_translation(given)
    translations = Translations(given, open_workspace(workspace))
    outputs = translations.outputs if job is None else {(one := Job.parse(job)): translations.output(one)}
    store = translations.store if job is None else None
    terminal.show(_as_dict(outputs, store), as_json=as_json, human=lambda: _print(outputs, store))


def _as_dict(outputs: "dict[Job, Output]", store: "Output | None") -> dict[str, Any]:
    languages: dict[str, Any] = {}
    for job, output in outputs.items():
        languages.setdefault(job.lang, {})[str(job.shard)] = _facts(job.lang, output)
    found: dict[str, Any] = {"languages": languages}
    if store is not None:
        found |= {"store": store.uri, "content_sha256": store.manifest.content_sha256}
        found |= {"report": str(store.folder / "report.html")}
    return found


def _facts(lang: str, output: "Output") -> dict[str, Any]:
    manifest = output.manifest
    return {
        "uri": output.uri,
        "content_sha256": manifest.content_sha256,
        **manifest.tallies[lang].model_dump(),
        "observed": manifest.observed,
        "wall_s": manifest.wall_s,
    }


def _print(outputs: "dict[Job, Output]", store: "Output | None") -> None:
    columns = ("language", "rows in", "rows out", "dropped", "requests", "seconds")
    rows = [_row(job, output) for job, output in outputs.items()]
    terminal.table("Translation", columns, rows, lines=True)
    if store is not None:
        print(f"Report:  {store.folder / 'report.html'}")


def _row(job: "Job", output: "Output") -> tuple[object, ...]:
    tally, observed = output.manifest.tallies[job.lang], output.manifest.observed
    requests, seconds = observed.get("requests", 0), output.manifest.wall_s
    dropped = terminal.reasons(tally.dropped)
    name = job.lang if job.shard.of == 1 else f"{job.lang} {job.shard}"
    return name, tally.rows_in, tally.rows_out, dropped, requests, seconds
