"""The status of an endpoint, out of what its follower knows."""

from collections.abc import Mapping, Sequence

from tongues.serving.aliases import Aliases
from tongues.serving.checks import Finding
from tongues.serving.memory import Memory
from tongues.serving.replicas import Holdings
from tongues.serving.setbacks import Setbacks
from tongues.serving.status import ModelStatus, State


def models_told(
    aliases: Aliases,
    memory: Memory,
    setbacks: Setbacks,
    holdings: Holdings,
    findings: Mapping[str, Sequence[Finding]],
    switch_s: Mapping[str, float],
    *,
    door_is_behind: bool,
) -> tuple[ModelStatus, ...]:
    """The status of every model, in the order followed; none serves what the door does not yet go by."""

    def told(model: str) -> ModelStatus:
        serving, wanted = memory.serving.get(model), aliases.wanted.get(model)
        serves = serving.revision.served_as if serving else ""
        name = wanted.served_as if wanted else ""
        reason = _reason(model, name, aliases, memory, setbacks)
        checks = findings.get(name) or findings.get(serves) or ()
        return ModelStatus(
            model=model,
            reference=aliases.references[model],
            state=_state(model, name, reason, aliases, memory, door_is_behind),
            wanted=name,
            serves=serves,
            fallback=serving.fallback.served_as if serving and serving.fallback else "",
            since=serving.since if serving else 0.0,
            switch_s=switch_s.get(serves),
            servers=tuple(names[serves] for names in holdings.values() if serves in names),
            reason=reason,
            checks=tuple(map(str, checks)),
        )

    return tuple(map(told, aliases.references))


def _state(
    model: str, wanted: str, reason: str, aliases: Aliases, memory: Memory, door_is_behind: bool
) -> State:
    if wanted in memory.taken_back:
        return "taken-back"
    if model in aliases.unusable:
        return "refused"
    serving = memory.serving.get(model)
    if serving and serving.revision.served_as == wanted and not door_is_behind:
        return "watched" if serving.fallback else "serving"
    if not wanted:
        return "absent"
    return "refused" if reason else "coming"


def _reason(model: str, wanted: str, aliases: Aliases, memory: Memory, setbacks: Setbacks) -> str:
    """The newest reason first: what the alias stands for cannot be served, or is not everywhere."""
    told = [aliases.unusable.get(model, ""), memory.taken_back.get(wanted, ""), *setbacks.about(wanted)]
    return "; ".join(dict.fromkeys(filter(None, told)))
