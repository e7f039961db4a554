"""The command `tongues`: collects the verbs and turns errors into one line and an exit code.

Exit codes: 0 ok, 1 one of our errors, 2 wrong usage, 3 the promotion gate refused,
75 training was interrupted and goes on where the same command is run again.
This module and the verbs import nothing heavy at the top, so that `--help` is there at once.
"""

import contextlib
import os
import sys

import typer

from tongues.cli import (
    assemble,
    cancel,
    chat,
    compile,
    doctor,
    evaluate,
    finetune,
    generate,
    history,
    ledger,
    lineage,
    logs,
    plan,
    promote,
    recipe,
    register,
    rollback,
    run,
    runs,
    serve,
    serving,
    sign,
    submit,
    suite,
    translate,
    watch,
)  # fmt: skip

# Threads that spin while they wait slow a busy CPU down several times; must be set before torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Libraries' progress bars fill a log with carriage returns; tqdm reads this when it is imported.
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_DISABLE", "1")

app = typer.Typer(
    name="tongues",
    help="Teach a language model new languages, on your own Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="Every verb takes --json; --debug shows the traceback of an error. Start with: tongues recipe ls",
)

for verb in (
    run,
    plan,
    translate,
    generate,
    assemble,
    finetune,
    evaluate,
    register,
    promote,
    rollback,
    history,
    serve,
    chat,
    compile,
    submit,
    watch,
    runs,
    logs,
    cancel,
    doctor,
):
    app.command(name=verb.__name__.rsplit(".", 1)[-1])(getattr(verb, verb.__name__.rsplit(".", 1)[-1]))
app.add_typer(recipe.app, name="recipe")
app.add_typer(suite.app, name="suite")
app.add_typer(lineage.app, name="lineage")
app.add_typer(sign.app, name="sign")
app.add_typer(ledger.app, name="ledger")
app.add_typer(serving.app, name="serving")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from tongues import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; the entry point of the installed script."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    # A library that prints must not get between a program and the one object it asked for.
    elsewhere = contextlib.redirect_stdout(sys.stderr) if "--json" in sys.argv else contextlib.nullcontext()
    try:
        with elsewhere:
            app()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again to go on from here\n")
        raise SystemExit(130) from None
    except Exception as error:
        if debug:
            raise
        raise SystemExit(_reported(error)) from None


def _reported(error: Exception) -> int:
    """Say what went wrong, in one of the processes that torchrun may have started; the exit code."""
    from tongues.cli.terminal import exit_code, report_error
    from tongues.tuning.ranks import Ranks

    if Ranks.here().leads:
        return report_error(error, as_json="--json" in sys.argv)
    from tongues.tuning.launch import leave_to_torchrun

    leave_to_torchrun(error)
    return exit_code(error)
