"""`tongues serve`: an endpoint for a promoted model, on this machine or on a cluster."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.stages.kserve import Rendering


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
    target: Annotated[
        Literal["local", "kserve"], typer.Option(help="This machine, or a cluster with KServe.")
    ] = "local",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="On the cluster.")] = "tongues",
    render: Annotated[
        bool, typer.Option("--render", help="Print the KServe objects; no cluster is asked.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Let the cluster check the objects and keep nothing.")
    ] = False,
    with_runtime: Annotated[
        bool, typer.Option("--with-runtime", help="Add the ServingRuntime, where the chart is not installed.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take fields that another manager of the object has set.")
    ] = False,
    canary_url: Annotated[
        str,
        typer.Option(help="Where a canary is asked, as by a forwarded port; inside the cluster if absent."),
    ] = "",
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Serve a registered version with vLLM, checked file by file against its signature or manifest."""
    if model is None and not stop:
        raise typer.BadParameter("give MODEL@ALIAS, or --stop")
    if target == "kserve":
        if model is None or stop or beside_base or detach or port is not None:
            raise typer.BadParameter(
                "with --target kserve give MODEL@ALIAS; --stop, --beside-base, --detach and --port are for "
                "this machine"
            )
        made = _rendered(model, workspace, namespace, adapter, with_runtime)
        if render:
            items = made.items
            terminal.show({"objects": list(items)}, as_json=as_json, human=lambda: _print_yaml(items))
        else:
            _apply(made, workspace, dry_run, take_over, canary_url.rstrip("/"), as_json)
        return
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


def _rendered(
    model: str, workspace: str, namespace: str, adapter: bool | None, with_runtime: bool
) -> "Rendering":
    from tongues.cli.opening import open_workspace
    from tongues.stages.kserve import render

    place = open_workspace(workspace)
    return render(place, model, namespace=namespace, adapter=adapter, with_runtime=with_runtime)


def _apply(
    made: "Rendering", workspace: str, dry_run: bool, take_over: bool, canary_url: str, as_json: bool
) -> None:
    from tongues.cli.opening import open_workspace
    from tongues.stages.kserve import serve_on_kserve

    place = open_workspace(workspace)
    done = serve_on_kserve(place, made, dry_run=dry_run, take_over=take_over, canary_url=canary_url)
    what = f"{done.kind} {done.namespace}/{done.name} generation {done.generation}"
    kept = f"{what}: the cluster would take it; nothing was kept"
    line = kept if dry_run else f"{what} is ready at {done.url}"
    terminal.show(asdict(done) | {"dry_run": dry_run}, as_json=as_json, human=lambda: typer.echo(line))


def _print_yaml(items: Sequence[dict[str, Any]]) -> None:
    """Print objects as `kubectl apply -f -` reads them."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.explicit_start = True
    for item in items:
        yaml.dump(item, sys.stdout)


def _say(url: str, name: str, detach: bool) -> None:
    typer.echo(f"{name} answers at {url} (OpenAI-compatible). Talk to it: tongues chat --lang LANG")
    typer.echo("Stop it: tongues serve --stop" if detach else "Ctrl-C stops it.")


def _wait() -> None:
    """Stay until somebody interrupts; the endpoint ends with this process."""
    import signal

    signal.sigwait({signal.SIGINT, signal.SIGTERM})
