"""`tongues translate`: source rows into every language of the recipe."""

from typing import TYPE_CHECKING, Annotated

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.workspace import Output


def translate(
    recipe: Annotated[str, terminal.Recipe],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Translate the source rows; requests that were answered once are never sent again."""
    from tongues.cli.opening import open_flow

    flow = open_flow(recipe, workspace)
    outputs = flow.translations
    rows = [_row(lang, output) for lang, output in outputs.items()]
    result = {"store": flow.store.uri, "languages": {lang: _facts(lang, o) for lang, o in outputs.items()}}
    columns = ("language", "rows in", "rows out", "dropped", "requests", "seconds")
    terminal.show(result, as_json=as_json, human=lambda: terminal.table("Translation", columns, rows))


def _row(lang: str, output: "Output") -> tuple[object, ...]:
    tally, observed = output.manifest.tallies[lang], output.manifest.observed
    dropped = ", ".join(f"{rows} {reason}" for reason, rows in sorted(tally.dropped.items())) or "-"
    return lang, tally.rows_in, tally.rows_out, dropped, observed.get("requests", 0), output.manifest.wall_s


def _facts(lang: str, output: "Output") -> dict[str, object]:
    manifest = output.manifest
    return {"uri": output.uri, **manifest.tallies[lang].model_dump(), "observed": manifest.observed}
