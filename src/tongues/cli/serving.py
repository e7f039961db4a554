"""`tongues serving`: endpoints that follow the registry."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.serving.follower import Follower
    from tongues.serving.status import Status
    from tongues.stages.follow import Wanted
    from tongues.stages.follow_kserve import ClusterFollower
    from tongues.stages.workspace import Workspace

app = typer.Typer(
    help="Endpoints that follow the registry's aliases.", no_args_is_help=True, rich_markup_mode=None
)
Name = typer.Option("--name", help="Name of the endpoint, where a workspace has several.")
Host = typer.Option("--host", help="Address to listen on; others than the loopback need --api-keys.")
Port = typer.Option("--port", help="TCP port for clients.", min=1, max=65535)
Keys = typer.Option("--api-keys", help="File with one API key per line; read again when it changes.")


@app.command()
def follow(
    references: Annotated[
        list[str],
        typer.Argument(help="One per language adapter or model.", metavar="MODEL@ALIAS..."),
    ],
    name: Annotated[str, Name] = "endpoint",
    mode: Annotated[
        Literal["adapter", "merged"] | None,
        typer.Option(help="One base with all adapters, or a server per model; the recipe decides if absent."),
    ] = None,
    host: Annotated[str, Host] = "127.0.0.1",
    port: Annotated[int, Port] = 8000,
    api_keys: Annotated[Path | None, Keys] = None,
    base: Annotated[
        str | None, typer.Option(help="Folder or URI of the base model; that of the first version if absent.")
    ] = None,
    replicas: Annotated[int, typer.Option(help="Servers of the base on this machine.", min=1)] = 1,
    server: Annotated[
        list[str] | None,
        typer.Option(help="A vLLM that runs already, as in a pod: its address, without /v1. Repeat it."),
    ] = None,
    door: Annotated[
        list[str] | None,
        typer.Option(help="A door that runs already, as in a pod: its address, without /v1. Repeat it."),
    ] = None,
    max_rank: Annotated[int, typer.Option(help="Highest rank of an adapter that may come.", min=1)] = 64,
    poll_s: Annotated[float, typer.Option(help="Seconds between two looks at the registry.", min=0.1)] = 2.0,
    watch_s: Annotated[
        float, typer.Option(help="Seconds a new version is watched before the one before is let go.", min=0)
    ] = 30.0,
    latency_s: Annotated[float, typer.Option(help="Longest answer to a check, in seconds.", min=0.1)] = 60.0,
    error_rate: Annotated[
        float, typer.Option(help="Highest share of requests that may fail.", min=0, max=1)
    ] = 0.02,
    language_drop: Annotated[
        float, typer.Option(help="How far answers in the language asked may fall.", min=0, max=1)
    ] = 0.25,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port for the follower's Prometheus metrics.", min=1, max=65535)
    ] = None,
    target: Annotated[
        Literal["local", "kserve"],
        typer.Option(help="Servers of this machine or pod, or InferenceServices as the recipes say."),
    ] = "local",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="On the cluster.")] = "tongues",
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Keep an endpoint as aliases want it, until Ctrl-C; the endpoint serves on (`tongues serving stop`)."""
    from tongues.cli.opening import open_workspace
    from tongues.serving.checks import Limits
    from tongues.stages.follow import Wanted

    limits = Limits(watch_s=watch_s, latency_s=latency_s, error_rate=error_rate, language_drop=language_drop)
    wanted = Wanted(
        tuple(references),
        name=name,
        mode=mode,
        host=host,
        port=port,
        api_keys=api_keys,
        base=base,
        replicas=replicas,
        servers=tuple(server or ()),
        doors=tuple(door or ()),
        max_rank=max_rank,
        poll_s=poll_s,
        limits=limits,
    )
    place = open_workspace(workspace)
    following = _following(place, wanted, target, namespace)
    if metrics_port is not None:
        following.metrics.serve(metrics_port, host)
    following.run(_interrupted())
    status(name=name, workspace=workspace, as_json=as_json)


def _following(
    place: "Workspace", wanted: "Wanted", target: str, namespace: str
) -> "Follower | ClusterFollower":
    from tongues.stages.follow import follower
    from tongues.stages.follow_kserve import ClusterFollower

    if target == "local":
        return follower(place, wanted)
    references, name = wanted.references, wanted.name
    return ClusterFollower(place, references, namespace=namespace, name=name, poll_s=wanted.poll_s)


def _interrupted() -> threading.Event:
    """Set by SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@app.command()
def door(
    routes: Annotated[Path, typer.Option(help="Routing table that the follower writes.")],
    host: Annotated[str, Host] = "127.0.0.1",
    port: Annotated[int, Port] = 8000,
    api_keys: Annotated[Path | None, Keys] = None,
    open_to_all: Annotated[
        bool, typer.Option("--no-api-keys", help="Let everybody in; something before the door keeps watch.")
    ] = False,
    hold_s: Annotated[float, typer.Option(help="How long a request waits for a server.", min=0)] = 120.0,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Let clients in on five paths, with API keys; `follow` starts it where it runs on one machine."""
    from tongues.serving.door import Door, run
    from tongues.serving.door_process import check_guarded

    check_guarded(host, guarded=api_keys is not None or open_to_all)
    run(lambda: Door(routes, api_keys, hold_s=hold_s), host=host, port=port)
    closed = {"closed": f"http://{host}:{port}"}
    terminal.show(closed, as_json=as_json, human=lambda: typer.echo(f"closed {closed['closed']}"))


@app.command()
def status(
    name: Annotated[str, Name] = "endpoint",
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Show what an endpoint serves, what it should, and why it does not."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.follow import status as read

    found = read(open_workspace(workspace), name)
    terminal.show(found.as_dict(), as_json=as_json, human=lambda: _show(found))


def _show(found: "Status") -> None:
    columns = ("model", "state", "serves", "wanted", "reason")
    rows = [(one.model, one.state, one.serves, one.wanted, one.reason) for one in found.models]
    mode = ", ".join(filter(None, (found.mode, found.mode_by)))
    terminal.table(f"{found.url} ({mode})", columns, rows)
    for place, names in found.places.items():
        typer.echo(f"{place}: {'does not answer' if names is None else ', '.join(names) or 'holds nothing'}")
    for line in filter(None, (found.registry, *found.trouble)):
        typer.echo(f"trouble: {line}")
    if found.stale_s:
        typer.echo(f"no follower: this is {found.stale_s:.0f} s old; the endpoint serves on as it was")


@app.command()
def stop(
    name: Annotated[str, Name] = "endpoint",
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Stop an endpoint's door and servers on this machine."""
    from tongues.cli.opening import open_workspace
    from tongues.stages.follow import stop as stop_all

    stopped = [endpoint.url for endpoint in stop_all(open_workspace(workspace), name)]
    lines = [f"stopped {url}" for url in stopped] or ["nothing was running"]
    terminal.show({"stopped": stopped}, as_json=as_json, human=lambda: typer.echo("\n".join(lines)))
