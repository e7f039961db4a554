"""`tongues serve`: an endpoint for a promoted model, on this machine."""

from typing import Annotated

import typer

from tongues.cli import terminal


def serve(
    model: Annotated[
        str | None, typer.Argument(help="MODEL@ALIAS or MODEL/VERSION, such as quickstart@champion.")
    ] = None,
    adapter: Annotated[
        bool | None,
        typer.Option(
            "--adapter/--merged", help="Base with adapter, or merged weights; the recipe decides if absent."
        ),
    ] = None,
    beside_base: Annotated[
        bool, typer.Option("--beside-base", help="Start the base model too, to compare.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.", min=0, max=65535)] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it running and return.")] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the endpoint of this name, or all of the workspace.")
    ] = False,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Serve a registered version with vLLM, checked file by file against its manifest."""
    if model is None and not stop:
        raise typer.BadParameter("give MODEL@ALIAS, or --stop")
    from tongues.cli.opening import open_workspace
    from tongues.stages.serve import serve as start
    from tongues.stages.serve import stop as stop_running

    place = open_workspace(workspace)
    if stop or model is None:
        stopped = [endpoint.url for endpoint in stop_running(place, model)]
        lines = [f"stopped {url}" for url in stopped] or ["no endpoint was running"]
        terminal.show({"stopped": stopped}, as_json=as_json, human=lambda: typer.echo("\n".join(lines)))
        return
    endpoints = start(place, model, adapter=adapter, beside_base=beside_base, port=port, detach=detach)
    result = {"endpoints": [{"url": e.url, "model": e.name, "pid": e.pid, "log": e.log} for e in endpoints]}
    terminal.show(result, as_json=as_json, human=lambda: _say(endpoints[0].url, endpoints[0].name, detach))
    if not detach:
        _wait()


def _say(url: str, name: str, detach: bool) -> None:
    typer.echo(f"{name} answers at {url} (OpenAI-compatible). Talk to it: tongues chat --lang LANG")
    typer.echo("Stop it: tongues serve --stop" if detach else "Ctrl-C stops it.")


def _wait() -> None:
    """Stay until somebody interrupts; the endpoint ends with this process."""
    import signal

    signal.sigwait({signal.SIGINT, signal.SIGTERM})
