"""A new version on a cluster gets its clients by weight; one that fails them goes back, as its alias does."""

import os
from functools import partial

from tongues.core.errors import ServingError, TonguesError
from tongues.core.recipe import CanarySection
from tongues.data.language_id import RestrictedIdentifier
from tongues.platform.kserve_canary import Canary
from tongues.platform.model_versions import ModelVersion
from tongues.platform.request_counts import requests_of
from tongues.serving.checks import Limits
from tongues.serving.revision import Revision
from tongues.serving.rollout import Examined, TakenBackError, roll_out
from tongues.stages.follow import KEY_VARIABLE, endpoint_home
from tongues.stages.revisions import Fetched, RegistryAliases, revision_of
from tongues.stages.workspace import Workspace


def by_canary(
    workspace: Workspace,
    version: ModelVersion,
    section: CanarySection,
    canary: Canary,
    *,
    url: str = "",
    prometheus_url: str | None = None,
) -> None:
    """Bring a canary to its last weight; what is promoted then has proved itself.

    Args:
        workspace: its MLflow holds the version.
        version: the new one.
        section: weights and limits.
        canary: the new revision on the cluster.
        url: where it is asked; its own address inside the cluster if empty.
        prometheus_url: what counts clients' requests; None where nothing does.

    Raises:
        TakenBackError: it failed under live checks; the alias `champion` is back at the version before.
        TonguesError: it did not come up, answers otherwise than at evaluation, or gets no requests.
    """
    revision, clients = revision_of(version), None
    if prometheus_url is None:
        workspace.say(f"{version.model}: checked by questions alone; no prometheus_url to count clients by")
    else:
        pods = canary.service_name
        clients = partial(requests_of, prometheus_url, namespace=canary.namespace, pods=pods)
    examined = Examined(
        url=url or canary.url,
        recorded=Fetched(endpoint_home(workspace, f"kserve-{version.model}")).recorded(revision),
        limits=_limits(section),
        identify=RestrictedIdentifier(),
        clients=clients,
        key=os.environ.get(KEY_VARIABLE, ""),
    )
    try:
        roll_out(canary, section.weights, examined, workspace.say)
    except TakenBackError as error:
        _roll_back(workspace, revision, error)
        raise


def _limits(section: CanarySection) -> Limits:
    return Limits(
        latency_s=section.latency_s,
        error_rate=section.error_rate,
        language_drop=section.language_drop,
        watch_s=section.watch_s,
    )


def _roll_back(workspace: Workspace, revision: Revision, taken_back: TakenBackError) -> None:
    try:
        RegistryAliases(workspace).roll_back(revision, str(taken_back))
    except TonguesError as error:
        what = f"{taken_back.what}; taken back on the cluster, but not in the registry ({error})"
        fix = f"tongues rollback {revision.model}"
        raise ServingError(what, where=taken_back.where, fix=fix) from error
