"""From what the registry says and what the servers hold to what is to be done next: no input, no output.

The same rules serve both modes. In adapter mode a place is a replica, which holds many revisions; in
merged mode there is one place, and each revision it holds is a server of its own.

    prepare ─► load on every place ─► check ─► switch ─► watch ─► settle, or revert
                                               unload the one before, once nobody uses it ◄─┘

A revision is loaded beside the one that serves, under a name of its own, and clients are moved by one
change of the routing table. So a request is answered by one revision from its first token to its last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tongues.serving.revision import Revision

Verdict = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Routed:
    """What clients of a model get.

    Args:
        revision: that answers.
        fallback: the one before, kept loaded while this one is watched; None once it has proved itself.
        verdict: of the live checks; None while they go on.
    """

    revision: Revision
    fallback: Revision | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What is there at this moment, by the names that servers use.

    Args:
        loaded: place to the names it holds; a place that does not answer is not in it.
        routed: model to what its clients get.
        ready: names whose files are here and verified.
        checked: names that passed their checks.
        held_back: names that are not to be tried now: refused, or taken back.
        failing: (place, name) pairs whose last loading failed and is not due again.
        busy: names that something is being done with.
        in_use: names with requests in flight.
    """

    loaded: Mapping[str, frozenset[str]] = field(default_factory=dict)
    routed: Mapping[str, Routed] = field(default_factory=dict)
    ready: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    held_back: frozenset[str] = frozenset()
    failing: frozenset[tuple[str, str]] = frozenset()
    busy: frozenset[str] = frozenset()
    in_use: frozenset[str] = frozenset()

    def places_with(self, name: str) -> list[str]:
        """Places that hold a name, in order."""
        return [place for place, names in self.loaded.items() if name in names]


@dataclass(frozen=True, slots=True)
class Prepare:
    """Fetch and verify a revision's files."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Load:
    """Have a place hold a revision."""

    place: str
    revision: Revision


@dataclass(frozen=True, slots=True)
class Check:
    """Ask a revision, where it is loaded, what was recorded at its evaluation."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Switch:
    """Give a model's clients this revision from now on."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Settle:
    """The revision proved itself: the one before is no longer needed."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Revert:
    """The revision failed under live checks: give clients the one before again."""

    revision: Revision
    fallback: Revision


@dataclass(frozen=True, slots=True)
class Withdraw:
    """No alias stands for the model any more."""

    revision: Revision


@dataclass(frozen=True, slots=True)
class Unload:
    """Nobody needs this name at this place."""

    place: str
    name: str


Action = Prepare | Load | Check | Switch | Settle | Revert | Withdraw | Unload


def plan(wanted: Mapping[str, Revision], seen: Observed) -> list[Action]:
    """What to do next; empty when the endpoint is as the registry wants it, or cannot become so now.

    Args:
        wanted: model to the revision its alias stands for, in the order to serve them.
        seen: what is there.

    Returns:
        Actions that do not depend on each other's results. None of them takes away what a client may
        be using: routed revisions, their fallbacks and those with requests in flight stay loaded.
    """
    actions: list[Action] = []
    for revision in wanted.values():
        actions += _towards(revision, seen)
    for model, routed in seen.routed.items():
        actions += _watched(routed, seen)
        if model not in wanted:
            actions.append(Withdraw(routed.revision))
    return [*actions, *_not_needed(wanted, seen)]


def _towards(revision: Revision, seen: Observed) -> Iterator[Action]:
    """The next step of one model; what serves is kept on every place, also while a newer one is coming."""
    name, routed = revision.served_as, seen.routed.get(revision.model)
    if routed is not None:
        yield from _spread(routed.revision, seen)
    if routed is not None and routed.fallback is not None:
        yield from _spread(routed.fallback, seen)
    if (routed is not None and routed.revision == revision) or name in seen.held_back | seen.busy:
        return
    if name not in seen.ready:
        yield Prepare(revision)
    elif loads := list(_spread(revision, seen)):
        yield from loads
    elif 2 * len(seen.places_with(name)) > len(seen.loaded):
        yield Switch(revision) if name in seen.checked else Check(revision)


def _spread(revision: Revision, seen: Observed) -> Iterator[Action]:
    """Load it wherever it is missing and may be tried."""
    name = revision.served_as
    if name not in seen.ready or name in seen.busy:
        return
    for place, names in seen.loaded.items():
        if name not in names and (place, name) not in seen.failing:
            yield Load(place, revision)


def _watched(routed: Routed, seen: Observed) -> Iterator[Action]:
    if routed.fallback is None or routed.verdict is None:
        return
    if routed.verdict == "good":
        yield Settle(routed.revision)
    elif seen.places_with(routed.fallback.served_as):
        yield Revert(routed.revision, routed.fallback)


def _not_needed(wanted: Mapping[str, Revision], seen: Observed) -> Iterator[Unload]:
    routed = [one for r in seen.routed.values() for one in (r.revision, r.fallback) if one is not None]
    coming = {one.served_as for one in wanted.values()} - seen.held_back
    needed = coming | {one.served_as for one in routed} | seen.in_use | seen.busy
    for place, names in seen.loaded.items():
        yield from (Unload(place, name) for name in sorted(names - needed))
