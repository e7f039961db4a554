from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.serving.reconcile import (
    Check,
    Load,
    Observed,
    Prepare,
    Revert,
    Routed,
    Settle,
    Switch,
    Unload,
    Withdraw,
    plan,
)
from tongues.serving.revision import Revision

MODELS = ("es", "ca")


def revision(model="es", version=1):
    return Revision(model, version, f"{version:064x}", f"s3://b/{model}/{version}")


def name(model="es", version=1):
    return revision(model, version).served_as


def served(version=1, *, fallback=None, verdict=None, model="es"):
    return {model: Routed(revision(model, version), fallback and revision(model, fallback), verdict)}


def test_new_alias_is_prepared_loaded_checked_and_switched_in_this_order():
    wanted, one = {"es": revision()}, revision()
    seen = Observed(loaded={"a": frozenset(), "b": frozenset()})
    assert plan(wanted, seen) == [Prepare(one)]
    seen = replace(seen, ready=frozenset({name()}))
    assert plan(wanted, seen) == [Load("a", one), Load("b", one)]
    seen = replace(seen, loaded={"a": frozenset({name()}), "b": frozenset({name()})})
    assert plan(wanted, seen) == [Check(one)]
    seen = replace(seen, checked=frozenset({name()}))
    assert plan(wanted, seen) == [Switch(one)]
    assert plan(wanted, replace(seen, routed=served())) == []


def test_newer_revision_comes_beside_the_one_that_serves():
    wanted = {"es": revision(version=2)}
    seen = Observed(loaded={"a": frozenset({name()})}, routed=served(), ready=frozenset({name(version=2)}))
    assert plan(wanted, seen) == [Load("a", revision(version=2))]


def test_one_before_goes_when_it_is_neither_fallback_nor_in_use():
    wanted, both = {"es": revision(version=2)}, frozenset({name(), name(version=2)})
    seen = Observed(loaded={"a": both}, routed=served(2, fallback=1), ready=both)
    assert plan(wanted, seen) == []
    seen = replace(seen, routed=served(2), in_use=frozenset({name()}))
    assert plan(wanted, seen) == []
    assert plan(wanted, replace(seen, in_use=frozenset())) == [Unload("a", name())]


def test_one_of_three_replicas_that_cannot_load_it_does_not_hold_the_others_up():
    here = frozenset({name()})
    seen = Observed(
        loaded={"a": here, "b": here, "c": frozenset()},
        ready=here,
        checked=here,
        failing=frozenset({("c", name())}),
    )
    assert plan({"es": revision()}, seen) == [Switch(revision())]
    due_again = replace(seen, failing=frozenset(), routed=served())
    assert plan({"es": revision()}, due_again) == [Load("c", revision())]


def test_two_of_three_that_cannot_load_it_leave_the_endpoint_as_it_is():
    seen = Observed(
        loaded={"a": frozenset({name()}), "b": frozenset(), "c": frozenset()},
        ready=frozenset({name()}),
        failing=frozenset({("b", name()), ("c", name())}),
    )
    assert plan({"es": revision()}, seen) == []


def test_restarted_replica_gets_back_what_serves_and_what_may_serve_again():
    both = frozenset({name(), name(version=2)})
    seen = Observed(loaded={"a": frozenset()}, routed=served(2, fallback=1), ready=both)
    assert plan({"es": revision(version=2)}, seen) == [Load("a", revision(version=2)), Load("a", revision())]


def test_held_back_revision_is_not_tried_and_what_serves_stays():
    seen = Observed(
        loaded={"a": frozenset({name(), name(version=2)})},
        routed=served(),
        ready=frozenset({name(), name(version=2)}),
        held_back=frozenset({name(version=2)}),
    )
    assert plan({"es": revision(version=2)}, seen) == [Unload("a", name(version=2))]


def test_verdict_settles_or_reverts_only_to_a_loaded_fallback():
    both = frozenset({name(), name(version=2)})
    wanted = {"es": revision(version=2)}
    seen = Observed(loaded={"a": both}, ready=both, routed=served(2, fallback=1, verdict="good"))
    assert plan(wanted, seen) == [Settle(revision(version=2))]
    seen = replace(seen, routed=served(2, fallback=1, verdict="bad"))
    assert plan(wanted, seen) == [Revert(revision(version=2), revision())]
    gone = replace(seen, loaded={"a": frozenset({name(version=2)})})
    assert Revert(revision(version=2), revision()) not in plan(wanted, gone)


def test_removed_alias_withdraws_the_model_before_anything_is_unloaded():
    seen = Observed(loaded={"a": frozenset({name()})}, routed=served(), ready=frozenset({name()}))
    assert plan({}, seen) == [Withdraw(revision())]
    assert plan({}, replace(seen, routed={})) == [Unload("a", name())]


@dataclass
class World:
    """An endpoint without processes: actions are carried out by hand, some of them fail."""

    wanted: dict = field(default_factory=dict)
    loaded: dict = field(default_factory=lambda: {place: set() for place in "abc"})
    routed: dict = field(default_factory=dict)
    ready: set = field(default_factory=set)
    checked: set = field(default_factory=set)
    refused: set = field(default_factory=set)
    failing: set = field(default_factory=set)
    in_use: set = field(default_factory=set)
    away: set = field(default_factory=set)
    switches: list = field(default_factory=list)

    def observed(self):
        return Observed(
            loaded={
                place: frozenset(names) for place, names in self.loaded.items() if place not in self.away
            },
            routed=dict(self.routed),
            ready=frozenset(self.ready),
            checked=frozenset(self.checked),
            held_back=frozenset(self.refused),
            failing=frozenset(self.failing),
            in_use=frozenset(self.in_use),
        )

    def carry_out(self, action, *, fails):
        match action:
            case Prepare(one):
                (self.refused if fails else self.ready).add(one.served_as)
            case Load(place, one):
                if fails:
                    self.failing.add((place, one.served_as))
                else:
                    self.loaded[place].add(one.served_as)
            case Check(one):
                (self.refused if fails else self.checked).add(one.served_as)
            case Switch(one):
                assert sum(one.served_as in names for names in self.loaded.values()) >= 1
                before = self.routed.get(one.model)
                self.routed[one.model] = Routed(one, before.fallback or before.revision if before else None)
                self.switches.append(one.served_as)
            case Settle(one):
                self.routed[one.model] = Routed(one)
            case Revert(one, fallback):
                self.routed[one.model] = Routed(fallback)
                self.refused.add(one.served_as)
            case Withdraw(one):
                del self.routed[one.model]
            case Unload(place, gone):
                kept = [r for one in self.routed.values() for r in (one.revision, one.fallback) if r]
                assert gone not in self.in_use, "somebody is being answered by it"
                assert gone not in {one.served_as for one in kept}, "clients get it, or may again"
                self.loaded[place].discard(gone)


EVENTS = st.sampled_from(
    ["promote", "remove", "crash", "away", "back", "ask", "answered", "good", "bad", "due"]
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_happens_nothing_in_use_is_taken_away_and_the_endpoint_comes_to_rest_as_wanted(data):
    world = World()
    for version, event in enumerate(data.draw(st.lists(EVENTS, max_size=25)), 1):
        model, place = data.draw(st.sampled_from(MODELS)), data.draw(st.sampled_from("abc"))
        happen(world, event, model, place, version)
        for action in plan(world.wanted, world.observed()):
            if data.draw(st.booleans()):  # a follower may be killed between any two
                world.carry_out(action, fails=data.draw(st.integers(0, 4)) == 0)
    settle(world)
    for model, one in world.wanted.items():
        routed = world.routed.get(model)
        if one.served_as in world.refused:
            assert routed is None or routed.revision != one
        else:
            assert routed == Routed(one)
            assert all(one.served_as in names for names in world.loaded.values())
    assert world.routed.keys() <= world.wanted.keys()
    needed = {one.served_as for one in world.wanted.values()} | {
        one.revision.served_as for one in world.routed.values()
    }
    assert set().union(*world.loaded.values()) <= needed


def happen(world, event, model, place, version):
    match event:
        case "promote":
            world.wanted[model] = revision(model, version)
        case "remove":
            world.wanted.pop(model, None)
        case "crash":
            world.loaded[place].clear()
        case "away":
            world.away.add(place)
        case "back":
            world.away.discard(place)
        case "ask" if model in world.routed:
            world.in_use.add(world.routed[model].revision.served_as)
        case "answered":
            world.in_use.clear()
        case "good" | "bad" if model in world.routed and world.routed[model].fallback:
            world.routed[model] = replace(world.routed[model], verdict=event)
        case "due":
            world.failing.clear()


def settle(world):
    """Let everything that is possible succeed, until there is nothing left to do."""
    world.away.clear()
    world.in_use.clear()
    for _ in range(20):
        world.failing.clear()
        for model, one in world.routed.items():
            if one.fallback and one.verdict is None:
                world.routed[model] = replace(one, verdict="good")
        actions = plan(world.wanted, world.observed())
        if not actions:
            return
        for action in actions:
            world.carry_out(action, fails=False)
    raise AssertionError(f"does not come to rest: {plan(world.wanted, world.observed())}")
