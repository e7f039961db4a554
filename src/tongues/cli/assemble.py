"""`tongues assemble`: training data from the aligned store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.workspace import Output


def assemble(
    recipe: Annotated[str, terminal.Recipe],
    export: Annotated[
        Path | None, typer.Option(help="Also write the finished data set, with its card, to this new folder.")
    ] = None,
    form: Annotated[
        Literal["parquet", "jsonl", "datasets"],
        typer.Option("--format", help="What --export writes; datasets is for datasets.load_from_disk."),
    ] = "parquet",
    push: Annotated[
        str | None,
        typer.Option(help="Copy what --export wrote there: s3://BUCKET/PREFIX, or hf://ORG/NAME (private)."),
    ] = None,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Build, deduplicate, decontaminate and split the training data."""
    from tongues.cli.opening import open_flow

    if push and not export:
        raise typer.BadParameter("--push copies what --export writes: give --export FOLDER too")
    output = open_flow(recipe, workspace).dataset
    exported = _export(output, export, form, push) if export else {}
    manifest = output.manifest
    rows = [
        (lang, tally.rows_in, tally.rows_out, terminal.reasons(tally.dropped))
        for lang, tally in manifest.tallies.items()
    ]
    result = {
        "uri": output.uri,
        "digest": manifest.digest(),
        "content_sha256": manifest.content_sha256,
        "tallies": {lang: tally.model_dump() for lang, tally in manifest.tallies.items()},
        "overview": str(output.folder / "overview.html"),
        **manifest.facts,
        **exported,
    }
    columns = ("language", "records built", "kept", "dropped")

    def human() -> None:
        terminal.table("Dataset", columns, rows)
        print(f"Overview: {result['overview']}")
        if exported:
            print(f"Export:   {export}")
        if push:
            print(f"Pushed:   {exported['pushed']}")

    terminal.show(result, as_json=as_json, human=human)


def _export(
    output: "Output", folder: Path, form: Literal["parquet", "jsonl", "datasets"], push: str | None
) -> dict[str, object]:
    from tongues.stages.export import export, publish

    exported = export(output, folder, form)
    return {"exported": exported} | ({"pushed": publish(folder, push)} if push else {})
