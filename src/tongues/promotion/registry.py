"""Register a version, promote it, roll back, and say what an alias stands for.

candidate   the version registered last
champion    the version that serves; moves only when the gate has passed
previous    the champion before; where `rollback` goes
"""

import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from tongues.core.errors import GateRefusedError, RegistryError
from tongues.platform.model_versions import ModelVersion
from tongues.platform.tracking import Tracking
from tongues.promotion.gate import Decision
from tongues.promotion.journal import Journal, Move

CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"
DECISION_NAME = "promotion/decision.json"
"""The decision about a version, in the artifacts of its run."""
_REFERENCE = re.compile(r"^(?:models:/)?(?P<model>[^@/:]+)(?:@(?P<alias>[\w-]+)|/(?P<version>\d+))$")


class Promotion(BaseModel):
    """What became of a promotion or a rollback.

    Args:
        model: registered name.
        version: the champion now.
        uri: folder of its weights.
        sha256: content digest of its weights.
        previous: the champion before; None if there was none.
        moved: false where the version was champion already.
        sentence: the same for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    version: int
    uri: str
    sha256: str
    previous: int | None
    moved: bool
    sentence: str


def register(
    tracking: Tracking, *, model: str, uri: str, sha256: str, run_id: str, tags: Mapping[str, str]
) -> ModelVersion:
    """Register weights as a version and call it the candidate; the same weights once only.

    Args:
        tracking: the MLflow to register in.
        model: registered name; created if absent.
        uri: folder of the weights, readable by whoever will serve them.
        sha256: their content digest, the one that the scores name.
        run_id: run that holds ``scores.json`` and the report.
        tags: base model, recipe, dataset, manifest and report digests, licence; each is stored
            under "tongues." and its name.
    """
    named = {f"tongues.{name}": value for name, value in tags.items()}
    Journal(tracking, model).open()
    version = tracking.models.create_version(model, uri=uri, sha256=sha256, run_id=run_id, tags=named)
    tracking.models.set_alias(model, CANDIDATE, version.version)
    return version


def resolve(tracking: Tracking, reference: str) -> ModelVersion:
    """The version that a reference stands for at this moment.

    Args:
        tracking: the MLflow to ask.
        reference: ``MODEL@ALIAS`` or ``MODEL/VERSION``, with or without ``models:/`` in front.

    Raises:
        RegistryError: not a reference, or nothing stands under it.
    """
    match = _REFERENCE.match(reference)
    if match is None:
        raise RegistryError(
            "not a model reference", where=reference, fix="write MODEL@ALIAS, such as quickstart@champion"
        )
    model, alias = match["model"], match["alias"]
    if alias is None:
        return tracking.models.version(model, int(match["version"]))
    found = tracking.models.by_alias(model, alias)
    if found is None:
        numbers = [v.version for v in tracking.models.versions(model)]
        has = f"it has versions {numbers}" if numbers else "there is no such model"
        fix = "run `tongues run RECIPE` or `tongues promote RECIPE` first"
        raise RegistryError(f"nothing stands under this alias; {has}", where=reference, fix=fix)
    return found


def champion(tracking: Tracking, model: str) -> ModelVersion | None:
    """The version that serves; None where none was promoted yet."""
    return tracking.models.by_alias(model, CHAMPION)


def promote(
    tracking: Tracking, model: str, version: int, decision: Decision, *, expected_champion: int | None
) -> Promotion:
    """Make a version the champion, if the gate let it pass.

    Args:
        tracking: the MLflow that holds the model.
        model: registered name.
        version: the candidate.
        decision: what the gate said of these very weights.
        expected_champion: version that was champion when the gate compared; None if none was.

    Returns:
        The new state; `moved` is false where the version was champion already.

    Raises:
        GateRefusedError: the gate refused; the decision is stored, nothing moved.
        RegistryError: the decision is about other weights, or the champion changed meanwhile.
    """
    candidate = tracking.models.version(model, version)
    _same_weights(candidate, decision)
    _store(tracking, candidate, decision)
    current = champion(tracking, model)
    if current is not None and current.version == version:
        return _promotion(candidate, None, moved=False)
    if not decision.passed:
        raise GateRefusedError(
            f"the gate refused version {version}; nothing moved: " + "; ".join(decision.reasons),
            where=model,
            fix="improve the data or the training; the policy is the gate section of the recipe",
        )
    _unchanged(current, expected_champion, model)
    journal = Journal(tracking, model)
    journal.claim(
        "promote",
        before=expected_champion,
        after=version,
        reason=f"the gate passed against {decision.reference_role} {decision.reference}",
        decision_sha256=decision.digest(),
    )
    return _move(tracking, candidate, expected_champion)


def rollback(tracking: Tracking, model: str, *, reason: str) -> Promotion:
    """Make the previous champion the champion again; a second rollback undoes the first.

    Raises:
        RegistryError: there is no previous champion, or somebody is moving it at this moment.
    """
    current, former = champion(tracking, model), tracking.models.by_alias(model, PREVIOUS)
    if current is None or former is None:
        raise RegistryError("there is no previous champion to go back to", where=model)
    Journal(tracking, model).claim("rollback", before=current.version, after=former.version, reason=reason)
    return _move(tracking, former, current.version)


def history(tracking: Tracking, model: str) -> list[Move]:
    """Every promotion and rollback of a model, oldest first."""
    return Journal(tracking, model).moves()


def _same_weights(candidate: ModelVersion, decision: Decision) -> None:
    if candidate.sha256 != decision.candidate_sha256:
        raise RegistryError(
            f"the decision is about weights {decision.candidate_sha256[:12]}, "
            f"the version holds {candidate.sha256[:12] or 'weights of unknown digest'}",
            where=f"{candidate.model} version {candidate.version}",
            fix="evaluate and decide on this version",
        )


def _store(tracking: Tracking, candidate: ModelVersion, decision: Decision) -> None:
    """Keep the decision with the version, whatever it says."""
    said = {
        "tongues.decision": "passed" if decision.passed else "refused",
        "tongues.decision_sha256": decision.digest(),
    }
    tracking.models.tag_version(candidate.model, candidate.version, said)
    if candidate.run_id:
        tracking.log_text(candidate.run_id, decision.to_json().decode(), DECISION_NAME)
        tracking.log_text(candidate.run_id, decision.to_markdown(), "promotion/decision.md")


def _unchanged(current: ModelVersion | None, expected: int | None, model: str) -> None:
    actual = current.version if current else None
    if actual != expected:
        raise RegistryError(
            f"the champion changed meanwhile: it was {_named(expected)}, now it is {_named(actual)}",
            where=model,
            fix="evaluate against the new champion, then promote again",
        )


def _move(tracking: Tracking, target: ModelVersion, before: int | None) -> Promotion:
    """Point the aliases; `previous` first, so that a crash in between leaves a way back."""
    _unchanged(champion(tracking, target.model), before, target.model)
    if before is not None:
        tracking.models.set_alias(target.model, PREVIOUS, before)
    tracking.models.set_alias(target.model, CHAMPION, target.version)
    _unchanged(champion(tracking, target.model), target.version, target.model)
    return _promotion(target, before, moved=True)


def _promotion(target: ModelVersion, before: int | None, *, moved: bool) -> Promotion:
    name = f"{target.model} version {target.version}"
    was = f"; it was {_named(before)}, which is now {PREVIOUS}" if before is not None else ""
    return Promotion(
        model=target.model,
        version=target.version,
        uri=target.uri,
        sha256=target.sha256,
        previous=before,
        moved=moved,
        sentence=f"{name} is the champion{was}"
        if moved
        else f"{name} was the champion already; nothing moved",
    )


def _named(version: int | None) -> str:
    return "none" if version is None else f"version {version}"
