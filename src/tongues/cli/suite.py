"""`tongues suite`: list the standard evaluation suites, and show what is in one."""

from typing import Annotated

import typer

from tongues.cli import terminal

app = typer.Typer(help="List the standard evaluation suites and show their sets.", no_args_is_help=True)


@app.command()
def ls(as_json: Annotated[bool, terminal.Json] = False) -> None:
    """List the standard suites."""
    from tongues.core.standard_suites import SUITE_NAMES, standard_suite

    suites = [standard_suite(name) for name in SUITE_NAMES]
    rows = [(one.name, one.version, len(one.sets), one.about) for one in suites]
    columns = ("name", "version", "sets", "what")
    result = {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in rows}
    terminal.show(result, as_json=as_json, human=lambda: terminal.table("Suites", columns, rows))


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a suite, as `tongues suite ls` has it.")],
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Show a suite's sets: by what each is measured, who wrote its text, and in which languages."""
    from tongues.core.standard_suites import SUITE_NAMES, standard_suite

    if name not in SUITE_NAMES:
        raise typer.BadParameter(f"no suite {name!r}; there are: {', '.join(SUITE_NAMES)}")
    suite = standard_suite(name)
    rows = [
        (
            one.name,
            one.about,
            one.measured_by,
            one.text,
            " ".join(one.languages) or "as its files",
            one.source,
        )
        for one in suite.sets
    ]
    columns = ("set", "what", "measured by", "text", "languages", "source")
    title = f"{suite.name}, version {suite.version}"
    terminal.show(
        suite.model_dump(mode="json"),
        as_json=as_json,
        human=lambda: terminal.table(title, columns, rows),
    )
