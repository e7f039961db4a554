"""`tongues assemble`: training data from the aligned store."""

from typing import Annotated

from tongues.cli import terminal


def assemble(
    recipe: Annotated[str, terminal.Recipe],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Build, deduplicate, decontaminate and split the training data."""
    from tongues.cli.opening import open_flow

    output = open_flow(recipe, workspace).dataset
    manifest = output.manifest
    rows = [
        (
            lang,
            t.rows_in,
            t.rows_out,
            ", ".join(f"{n} {reason}" for reason, n in sorted(t.dropped.items())) or "-",
        )
        for lang, t in manifest.tallies.items()
    ]
    result = {
        "uri": output.uri,
        "digest": manifest.digest(),
        "content_sha256": manifest.content_sha256,
        "tallies": {lang: tally.model_dump() for lang, tally in manifest.tallies.items()},
        **manifest.facts,
    }
    columns = ("language", "records built", "kept", "dropped")
    terminal.show(result, as_json=as_json, human=lambda: terminal.table("Dataset", columns, rows))
