"""What the registry adds to a chain: the version, the gate's decision, the alias, the endpoints.

Each is a link by digest like the folders are, and is read again and compared when the chain is verified.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from tongues.core.digests import digest_value
from tongues.core.errors import RegistryError
from tongues.core.manifest import MANIFEST_NAME
from tongues.platform.model_versions import ModelVersion
from tongues.platform.tracking import Tracking
from tongues.promotion.journal import Journal
from tongues.promotion.lineage import Link
from tongues.promotion.registry import CHAMPION, DECISION_NAME

ENDPOINT_TAG = "tongues.endpoint."
"""Starts the tags under which a version keeps where it is served: NAMESPACE/NAME behind it."""


def version_link(
    tracking: Tracking, version: ModelVersion, artefact: Link, evaluation: Link | None, weights_sha256: str
) -> Link:
    """A registered version over what it names: its artefact, its evaluation, the decision about it.

    Args:
        tracking: the MLflow that holds it.
        version: as it stands there.
        artefact: the tuned model's folder, with everything behind it.
        evaluation: the comparison's folder; None where none was recorded.
        weights_sha256: digest of the weights as the artefact's manifest has it.
    """
    faults = [
        *_expected(artefact, version.tags.get("tongues.manifest_sha256"), "registered"),
        *(
            _expected(evaluation, version.tags.get("tongues.evaluation_sha256"), "registered")
            if evaluation
            else ()
        ),
    ]
    if version.sha256 and version.sha256 != weights_sha256:
        faults.append(
            f"{artefact.location}/{MANIFEST_NAME}: names other weights than version {version.version}"
        )
    decision = decision_link(tracking, version, evaluation)
    inputs = tuple(
        link for link in (decision, None if decision else evaluation, artefact) if link is not None
    )
    name = f"version {version.model}/{version.version}"
    return Link(name, version.sha256, version.uri, None, inputs, tuple(faults))


def decision_link(tracking: Tracking, version: ModelVersion, evaluation: Link | None) -> Link | None:
    """The gate's decision about a version, over the evaluation it was made from; None before there is one."""
    digest = version.tags.get("tongues.decision_sha256")
    if digest is None:
        return None
    where = tracking.artifact_uri(version.run_id, DECISION_NAME)
    try:
        content = tracking.read_artifact(version.run_id, DECISION_NAME)
        faults = _decision_faults(content, digest, version, where)
    except RegistryError as error:
        faults = [f"{where}: missing ({error.what})"]
    name = f"decision {version.tags.get('tongues.decision', '')}".strip()
    return Link(name, digest, where, None, (evaluation,) if evaluation else (), tuple(faults))


def _decision_faults(content: bytes, digest: str, version: ModelVersion, where: str) -> list[str]:
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        return [f"{where}: changed (sha256 {actual[:12]}, expected {digest[:12]})"]
    if json.loads(content)["candidate_sha256"] != version.sha256:
        return [f"{where}: decides about other weights than version {version.version}"]
    return []


def alias_link(tracking: Tracking, alias: str, version: ModelVersion, below: Link) -> Link:
    """An alias over the version it stands for, with the move that pointed it there."""
    name = f"alias {version.model}@{alias}"
    moves = Journal(tracking, version.model).moves() if alias == CHAMPION else []
    last = moves[-1] if moves and moves[-1].after == version.version else None
    if last is None:
        digest = digest_value([version.model, alias, version.version, version.sha256])
        return Link(name, digest, tracking.shown_uri, None, (below,))
    faults: tuple[str, ...] = ()
    decided = version.tags.get("tongues.decision_sha256", "")
    if last.decision_sha256 and last.decision_sha256 != decided:
        faults = (f"{name}: moved on decision {last.decision_sha256[:12]}, the version names {decided[:12]}",)
    digest = digest_value(last.model_dump(mode="json"))
    return Link(
        f"{name} ({last.action} {last.number}, {last.who})",
        digest,
        tracking.shown_uri,
        None,
        (below,),
        faults,
    )


def endpoint_links(version: ModelVersion, local: Mapping[str, str], below: Link) -> Sequence[Link]:
    """Where a version is served: KServe objects as they were applied, and servers of this workspace.

    Args:
        version: its tags say what was applied where.
        local: URL of a local server to the folder that it serves.
        below: the alias or version they serve.
    """
    links = [
        Link(f"endpoint {url}", digest_value([folder, below.digest]), url, None, (below,))
        for url, folder in sorted(local.items())
    ]
    for tag, value in sorted(version.tags.items()):
        if tag.startswith(ENDPOINT_TAG):
            applied = json.loads(value)
            name = f"endpoint {tag.removeprefix(ENDPOINT_TAG)} generation {applied['generation']}"
            links.append(Link(name, applied["sha256"], applied["url"], None, (below,)))
    return links


def _expected(link: Link, digest: str | None, how: str) -> list[str]:
    if digest is None or link.digest == digest:
        return []
    return [f"{link.location}/{MANIFEST_NAME}: changed (not the one that was {how})"]
