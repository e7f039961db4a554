"""`tongues doctor`: what this machine or a cluster has, what is missing, and how to get it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import kubeflow, terminal

if TYPE_CHECKING:
    from tongues.platform.kfp_access import KfpAccess
    from tongues.stages.doctor import Finding


def doctor(
    recipe: Annotated[
        str | None,
        typer.Argument(help="With --cluster: recipe whose node pools, keys and queue it looks for."),
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Look at the cluster of kubectl's context; changes nothing.")
    ] = False,
    context: Annotated[str, typer.Option(help="kubectl context; the current one when absent.")] = "",
    host: kubeflow.Host = None,
    namespace: kubeflow.Namespace = "",
    token_file: kubeflow.TokenFile = None,
    user: kubeflow.User = "",
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Check this machine, or a cluster: what a run needs, whether it is there, how to mend what is missing.

    Of a cluster: version, APIs, rights, storage class, node pools, quotas, settings and secrets, and whether
    Kubeflow Pipelines, MLflow and the object store answer from here, where they are named.
    """
    from tongues.cli.opening import open_workspace
    from tongues.platform.kfp_access import access_to
    from tongues.stages.doctor import examine

    if recipe and not cluster:
        raise typer.BadParameter("a recipe is for --cluster", param_hint="RECIPE")
    if not cluster:
        _tell("This machine", examine(open_workspace(workspace)), as_json=as_json)
    kfp = access_to(host, namespace=namespace, token_file=token_file, user=user) if host else None
    title, findings = _look(recipe, context, namespace, workspace, kfp)
    _tell(title, findings, as_json=as_json)


def _look(
    recipe: str | None, context: str, namespace: str, workspace: str, kfp: "KfpAccess | None"
) -> "tuple[str, list[Finding]]":
    import os

    from tongues.cli.opening import open_recipe
    from tongues.core.progress import say_on_stderr
    from tongues.platform.kubernetes_api import KubernetesApi
    from tongues.stages.cluster_doctor import Questions, examine_cluster

    given = open_recipe(recipe).recipe if recipe else None
    tracking = (given.registry.tracking_uri if given else None) or os.environ.get("MLFLOW_TRACKING_URI", "")
    asked = Questions(namespace or "default", given, workspace, kfp, tracking)
    # Whoever looks wants to hear that it is away, and not to wait until it is back.
    place = KubernetesApi.here(say_on_stderr, context=context, patience_s=0.0)
    return f"Cluster {place.host}", examine_cluster(place, asked)


def _tell(title: str, findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Show them and end: 0 where all is well, 1 where something is missing."""
    rows = [("ok" if f.ok else "missing", f.name, f.found, "" if f.ok else f.fix) for f in findings]
    result = {"ok": all(f.ok for f in findings), "findings": [f.__dict__ for f in findings]}
    columns = ("state", "what", "found", "how to mend")
    terminal.show(result, as_json=as_json, human=lambda: terminal.table(title, columns, rows))
    raise typer.Exit(0 if result["ok"] else 1)
