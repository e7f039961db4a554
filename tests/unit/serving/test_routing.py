import pytest

from tongues.serving.door_metrics import DoorState, together
from tongues.serving.routes import HOLD_S, ROUTES_NAME, Route, RouteTable, read_routes, write_routes
from tongues.serving.routing import Routing

OLD, NEW = (Route(model="es", served_as=f"es.v{n}.x", upstreams=("http://a",)) for n in (1, 2))
OTHER = Route(model="gl", served_as="gl.v1.x", upstreams=("http://a",))


@pytest.fixture
def routing(tmp_path):
    """The table of an endpoint on which version 1 is served; what was said."""
    lines = []

    def make(*, several=True):
        write_routes(tmp_path / ROUTES_NAME, RouteTable(generation=7, routes=(OLD, OTHER)))
        return Routing(tmp_path, lines.append, several=several), tmp_path / ROUTES_NAME, lines

    return make


def at(generation):
    return DoorState(generation)


def test_one_door_moves_a_model_at_once(routing):
    one, path, _ = routing(several=False)
    one.publish([NEW, OTHER], at(7))
    assert read_routes(path) == RouteTable(generation=8, routes=(NEW, OTHER))


def test_several_doors_hold_a_model_and_no_other_until_all_agree(routing):
    one, path, _ = routing()
    one.publish([NEW, OTHER], at(7))
    held = RouteTable(generation=8, routes=(OLD.model_copy(update={"hold_s": HOLD_S}), OTHER))
    assert read_routes(path) == held
    for door in (at(7), None):
        one.publish([NEW, OTHER], door)
        assert read_routes(path) == held
    one.publish([NEW, OTHER], at(8))
    assert read_routes(path) == RouteTable(generation=9, routes=(NEW, OTHER))
    assert not one.in_force(at(8)) and one.in_force(at(9))


def test_model_that_comes_or_goes_or_changes_servers_is_not_held(routing):
    one, path, _ = routing()
    moved = OLD.model_copy(update={"upstreams": ("http://a", "http://b")})
    one.publish([moved, Route(model="ca", served_as="ca.v1.x")], at(7))
    assert read_routes(path).routes == (moved, Route(model="ca", served_as="ca.v1.x"))


def test_alias_that_goes_back_during_a_hold_ends_it(routing):
    one, path, _ = routing()
    one.publish([NEW, OTHER], at(7))
    one.publish([OLD, OTHER], at(7))
    assert read_routes(path) == RouteTable(generation=9, routes=(OLD, OTHER))


def test_door_that_never_agrees_holds_nothing_up_for_long(routing, monkeypatch):
    one, path, lines = routing()
    now = [100.0]
    monkeypatch.setattr("tongues.serving.routing.time.monotonic", lambda: now[0])
    one.publish([NEW, OTHER], at(7))
    now[0] += HOLD_S - 1.1
    one.publish([NEW, OTHER], at(7))
    assert read_routes(path).generation == 8
    now[0] += 0.2
    one.publish([NEW, OTHER], at(7))
    assert read_routes(path).routes == (NEW, OTHER)
    assert lines == ["the doors do not agree within 4 s; moving all the same"]


def test_follower_that_finds_a_hold_of_the_one_before_goes_on_with_it(routing, tmp_path):
    one, path, lines = routing()
    one.publish([NEW, OTHER], at(7))
    after = Routing(tmp_path, lines.append, several=True)
    after.publish([NEW, OTHER], at(8))
    assert read_routes(path).routes == (NEW, OTHER)


def test_several_doors_are_as_old_as_the_oldest_and_count_together():
    one = DoorState(8, {"a": 1}, {"a": 5, "b": 2}, {"a": 1})
    other = DoorState(7, {"a": 2}, {"a": 1}, {})
    assert together([one, other]) == DoorState(7, {"a": 3}, {"a": 6, "b": 2}, {"a": 1})
