"""What the verbs share: printing a result for people or for programs, and reporting an error."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

from tongues.core.errors import ProblemsError, TonguesError

Recipe = typer.Argument(
    help="Recipe: a path, an s3:// URI, or the name of a shipped one (`tongues recipe ls`)."
)
Workspace = typer.Option(
    "--workspace", "-w", envvar="TONGUES_WORKSPACE", help="Folder or s3:// prefix that keeps every output."
)
Json = typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")

DEFAULT_WORKSPACE = ".tongues"

REFUSED = 3
"""Exit code where the promotion gate refused."""


def show(result: Mapping[str, Any], *, as_json: bool, human: Callable[[], None]) -> None:
    """Print a verb's result: one JSON object, or what a person wants to read."""
    if as_json:
        _write_json(dict(result))
    else:
        human()


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, lines: bool = False
) -> None:
    """Print a table on standard output; numbers are right-aligned, `lines` part long rows."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold", show_lines=lines)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(_is_number(row[index]) for row in rows)
        listed = any("\n" in str(row[index]) for row in rows)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=listed)
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    Console().print(grid)


def reasons(dropped: Mapping[str, int]) -> str:
    """Reasons for drops, a line each, as a cell of a table."""
    return "\n".join(f"{rows} {reason}" for reason, rows in sorted(dropped.items())) or "-"


def report_error(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong in one line (or one per problem) and return the exit code."""
    code = exit_code(error)
    if as_json:
        _write_json({"error": _as_dict(error), "exit_code": code})
    for line in _lines(error):
        sys.stderr.write(line + "\n")
    return code


def exit_code(error: Exception) -> int:
    """What the command ends with: an error's own code, 1 for what nobody foresaw."""
    return error.exit_code if isinstance(error, TonguesError) else 1


def _write_json(value: dict[str, Any]) -> None:
    """Write to the real standard output, which with --json nothing else reaches (see `main`)."""
    stream = sys.__stdout__ or sys.stdout
    stream.write(json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n")
    stream.flush()


def _lines(error: Exception) -> list[str]:
    if isinstance(error, ProblemsError) and len(error.problems) > 1:
        head = f"error: {error.where or 'before starting'}: {len(error.problems)} problems"
        return [
            head,
            *(f"  - {problem}" for problem in error.problems),
            *([f"fix: {error.fix}"] if error.fix else []),
        ]
    if isinstance(error, TonguesError):
        return [f"error: {error.line()}"]
    return [f"error: {type(error).__name__}: {error} (this is a bug in tongues; --debug shows where)"]


def _as_dict(error: Exception) -> dict[str, Any]:
    if not isinstance(error, TonguesError):
        return {"type": type(error).__name__, "what": str(error)}
    problems = {"problems": list(error.problems)} if isinstance(error, ProblemsError) else {}
    return {
        "type": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "fix": error.fix,
        **problems,
    }


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        or str(value).replace(".", "").replace("-", "").replace("+", "").isdigit()
    )
