"""`tongues ledger`: look at, move and tidy up the answers that were paid for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.inference.ledger import Ledger
    from tongues.stages.ledger import Contents

app = typer.Typer(
    help="Look at, move and tidy up the ledger: every answer that was paid for.", no_args_is_help=True
)


@app.command()
def show(
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Count entries, stored failures and bytes, and what each job has spent."""
    from tongues.stages.ledger import describe

    with _opened(workspace, must_exist=True) as ledger:
        contents = describe(ledger)
    terminal.show(contents.as_dict(), as_json=as_json, human=lambda: _print(contents))


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Write all entries, with what was spent, as one Parquet file in key order."""
    with _opened(workspace, must_exist=True) as ledger:
        entries = ledger.export_segment(file)
    result = {"entries": entries, "file": str(file)}
    terminal.show(result, as_json=as_json, human=lambda: typer.echo(f"{file}: {entries} entries"))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Parquet file that `tongues ledger export` wrote.")],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Take over an exported file; doing it twice changes nothing."""
    with _opened(workspace) as ledger:
        _show_taken(ledger.import_segment(file), ledger, file, as_json=as_json)


@app.command()
def merge(
    file: Annotated[Path, typer.Argument(help="Ledger file of another workspace (translations.sqlite).")],
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Take over another ledger; doing it twice changes nothing."""
    with _opened(workspace) as ledger:
        _show_taken(ledger.merge(file), ledger, file, as_json=as_json)


@app.command()
def compact(
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Rewrite the local file without gaps; in an object store, make one segment of many."""
    from dataclasses import asdict

    from tongues.cli.opening import open_workspace
    from tongues.stages.ledger import compact_segments

    with _opened(workspace, must_exist=True) as ledger:
        before, after = ledger.compact()
    published = compact_segments(open_workspace(workspace))
    lines = [f"{ledger.path}: {before} bytes before, {after} after"]
    if published.name:
        lines.append(f"{published.segments} segments are now {published.name}: {published.entries} entries")
    result = {"bytes_before": before, "bytes_after": after, "published": asdict(published)}
    terminal.show(result, as_json=as_json, human=lambda: typer.echo("\n".join(lines)))


@contextmanager
def _opened(workspace: str, *, must_exist: bool = False) -> Iterator["Ledger"]:
    from tongues.cli.opening import open_workspace
    from tongues.stages.ledger import open_ledger, require_ledger

    place = open_workspace(workspace)
    if must_exist:
        require_ledger(place)
    with open_ledger(place, "by-hand") as ledger:
        yield ledger


def _show_taken(taken: int, ledger: "Ledger", file: Path, *, as_json: bool) -> None:
    total = len(ledger)
    result = {"file": str(file), "new": taken, "entries": total}
    line = f"{file}: {taken} new entries, {total} in all"
    terminal.show(result, as_json=as_json, human=lambda: typer.echo(line))


def _print(contents: "Contents") -> None:
    failed = ", ".join(f"{count} {reason}" for reason, count in contents.failures.items()) or "none"
    mib = contents.bytes / 2**20
    typer.echo(f"{contents.path}: {contents.entries} entries, {mib:.1f} MiB; failures among them: {failed}")
    columns = ("account", "requests", "characters", "tokens in", "tokens out", "cost")
    rows = [
        (account, s.requests, s.characters, s.prompt_tokens, s.completion_tokens, s.cost)
        for account, s in contents.spent.items()
    ]
    if rows:
        terminal.table("Spent per job", columns, rows)
