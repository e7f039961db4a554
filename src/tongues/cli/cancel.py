"""`tongues cancel`: end a run on Kubeflow Pipelines."""

from typing import Annotated

import typer

from tongues.cli import kubeflow, terminal


def cancel(
    run: kubeflow.RunName,
    host: kubeflow.Host = None,
    namespace: kubeflow.Namespace = "",
    token_file: kubeflow.TokenFile = None,
    user: kubeflow.User = "",
    wait_s: Annotated[float, typer.Option(min=0, help="Seconds to wait for the end.")] = 120.0,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """End a run and wait until it has ended; finished work is kept and found by the next run.

    Its TrainJobs, of which Kubeflow Pipelines knows nothing, are deleted with kubectl's access.
    """
    from tongues.stages import remote_runs

    server = kubeflow.connect(host, namespace, token_file, user)
    before = server.find(run)
    after = remote_runs.cancel(server, before, remote_runs.Pace(first_s=1.0, patience_s=wait_s))
    # Only now: a step that still runs would make its job again.
    deleted = _free_nodes(after.run_id, server.pods_namespace)
    result = after.as_dict() | {"before": before.state, "ended": after.ended, "asked": not before.ended}
    still = f"{after.name}: asked to end, still {after.state} after {wait_s:g} s; its pods get time to finish"
    ended = f"{after.name}: {after.state}" + (" already, nothing to do" if before.ended else "")
    terminal.show(
        result | {"train_jobs_deleted": deleted},
        as_json=as_json,
        human=lambda: typer.echo(ended if after.ended else still),
    )
    raise typer.Exit(0 if after.ended else 1)


def _free_nodes(run_id: str, namespace: str) -> list[str] | None:
    """The TrainJobs that were deleted; None, with a word on standard error, where nobody could look."""
    from tongues.core.errors import KubernetesError
    from tongues.core.progress import say_on_stderr
    from tongues.stages.finetune_nodes import free_nodes_of

    try:
        return free_nodes_of(run_id, namespace, say_on_stderr)
    except KubernetesError as error:
        say_on_stderr(f"TrainJobs were not looked for: {error.what}. If the run has some: {error.fix}")
        return None
