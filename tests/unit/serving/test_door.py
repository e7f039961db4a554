import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from openai import AuthenticationError, OpenAI

from tongues.core.errors import ServingError
from tongues.serving.door import Door, read_keys
from tongues.serving.door_metrics import read_state
from tongues.serving.door_process import LocalDoor, check_guarded
from tongues.serving.routes import Route, RouteTable, read_routes, write_routes


@pytest.fixture
def client():
    with httpx.Client(timeout=30) as opened:
        yield opened


@pytest.fixture
def served(vllms, tmp_path):
    """Servers that hold es.v1.x, and the table that leads to them."""

    def make(count=1, name="es.v1.x"):
        servers = vllms(count)
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "answer.txt").write_text(f"answer of {name}")
        for server in servers:
            server.held[name] = folder
        return servers

    return make


def route(tmp_path, *servers, name="es.v1.x", generation=1):
    routes = (Route(model="es", served_as=name, upstreams=tuple(server.url for server in servers)),)
    write_routes(tmp_path / "routes.json", RouteTable(generation=generation, routes=routes))


def ask(client, url, model="es", **headers):
    body = {"model": model, "messages": [{"role": "user", "content": "Hello?"}], "max_tokens": 4}
    return client.post(f"{url}/v1/chat/completions", json=body, headers=headers)


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def state(client, url):
    return read_state(client.get(f"{url}/metrics").text)


def test_model_that_is_held_waits_for_the_next_table_and_at_most_its_time(
    client, served, open_door, tmp_path
):
    (old,), (new,) = served(name="es.v1.x"), served(name="es.v2.x")
    held = Route(model="es", served_as="es.v1.x", upstreams=(old.url,), hold_s=30.0)
    write_routes(tmp_path / "routes.json", RouteTable(generation=1, routes=(held,)))
    url = open_door()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, client, url)
        until(lambda: state(client, url).generation == 1)
        route(tmp_path, new, name="es.v2.x", generation=2)
        assert asked.result().json()["model"] == "es.v2.x"
    brief = held.model_copy(update={"hold_s": 0.2})
    write_routes(tmp_path / "routes.json", RouteTable(generation=3, routes=(brief,)))
    until(lambda: state(client, url).generation == 3)
    assert ask(client, url).json()["model"] == "es.v1.x"  # nobody came to move it
    assert old.asked == ["es.v1.x"]


def test_answer_to_a_model_says_which_revision_gave_it(client, served, open_door, tmp_path):
    (server,) = served()
    route(tmp_path, server)
    reply = ask(client, open_door())
    assert reply.json()["model"] == "es.v1.x"
    assert reply.json()["choices"][0]["message"]["content"] == "answer of es.v1.x"
    assert server.asked == ["es.v1.x"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
        "//v1/load_lora_adapter",
        "/v1/./load_lora_adapter",
        "/v1/chat/completions/../../load_lora_adapter",
        "/v1/%6Coad_lora_adapter",
        "/v1/completions/..%2Fload_lora_adapter",
        "/tokenize",
        "/invocations",
        "/pause",
        "/v1/responses",
        "/",
    ],
)
def test_nothing_but_five_paths_leads_inside(client, served, open_door, tmp_path, path):
    (server,) = served()
    route(tmp_path, server)
    held = dict(server.held)
    request = client.build_request("POST", open_door(), json={"lora_name": "es.v1.x", "lora_path": "/etc"})
    request.url = request.url.copy_with(raw_path=path.encode())
    assert client.send(request).status_code in (404, 405)
    assert server.held == held


def test_keys_are_asked_for_and_a_new_one_counts_at_once(client, served, open_door, tmp_path):
    (server,) = served()
    route(tmp_path, server)
    keys = tmp_path / "keys"
    keys.write_text("first\n")
    url = open_door(keys=keys)
    assert ask(client, url).status_code == 401
    assert ask(client, url, Authorization="Bearer wrong").status_code == 401
    assert ask(client, url, Authorization="Bearer").status_code == 401
    assert ask(client, url, Authorization="Bearer first").status_code == 200
    assert client.get(f"{url}/v1/models").status_code == 401
    assert client.get(f"{url}/health").status_code == client.get(f"{url}/metrics").status_code == 200
    keys.write_text("second\nthird\n")
    until(lambda: ask(client, url, Authorization="Bearer third").status_code == 200)
    assert ask(client, url, Authorization="Bearer first").status_code == 401
    with (
        OpenAI(base_url=f"{url}/v1", api_key="first", max_retries=0) as openai,
        pytest.raises(AuthenticationError),
    ):
        openai.models.list()


def test_keys_file_that_is_empty_or_gone_is_refused(tmp_path):
    (tmp_path / "keys").write_text("\n \n")
    with pytest.raises(ServingError, match="no API key in it"):
        read_keys(tmp_path / "keys")
    with pytest.raises(ServingError, match="cannot be read"):
        read_keys(tmp_path / "none")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5"])
def test_door_that_others_reach_needs_keys(tmp_path, host):
    with pytest.raises(ServingError, match="needs API keys"):
        LocalDoor(tmp_path, host=host, port=8000, keys=None)
    check_guarded(host, guarded=True)


def test_server_that_is_gone_or_lost_its_adapters_is_passed_over(client, served, open_door, tmp_path):
    gone, empty, good = served(3)
    route(tmp_path, gone, empty, good)
    url = open_door()
    gone.stop()
    empty.held.clear()
    assert {ask(client, url).status_code for _ in range(6)} == {200}


def test_request_waits_for_a_server_that_is_away_and_is_answered(client, served, open_door, tmp_path):
    (server,) = served()
    held = dict(server.held)
    route(tmp_path)
    url = open_door()
    replies = []
    asking = threading.Thread(target=lambda: replies.append(ask(client, url)))
    asking.start()
    server.stop()
    server.start()
    server.held.update(held)
    route(tmp_path, server, generation=2)
    asking.join(20)
    assert [reply.status_code for reply in replies] == [200]


def test_server_that_crashes_under_a_request_has_it_answered_elsewhere(client, served, open_door, tmp_path):
    first, second = served(2)
    route(tmp_path, first)
    url = open_door()
    first.gate.clear()
    replies = []
    asking = threading.Thread(target=lambda: replies.append(ask(client, url)))
    asking.start()
    until(lambda: first.asked)
    first.stop()
    route(tmp_path, second, generation=2)
    until(lambda: state(client, url).generation == 2)
    first.gate.set()
    asking.join(20)
    assert [reply.status_code for reply in replies] == [200]
    assert second.asked == ["es.v1.x"]


def test_nobody_comes_in_time_the_client_is_told_to_come_again(client, open_door, tmp_path):
    route(tmp_path)
    reply = ask(client, open_door(hold_s=0.05))
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
    assert "no server for 'es' within 0.05 s" in reply.json()["error"]["message"]


def test_error_that_lasts_is_passed_on(client, served, open_door, tmp_path):
    (server,) = served()
    route(tmp_path, server)
    server.broken.add("es.v1.x")
    url = open_door()
    assert ask(client, url).status_code == 500
    until(lambda: state(client, url).failed == {"es.v1.x": 1})


def test_request_in_flight_is_counted_under_its_revision(client, served, open_door, tmp_path):
    (server,) = served()
    route(tmp_path, server)
    url = open_door()
    server.gate.clear()
    asking = threading.Thread(target=lambda: ask(client, url))
    asking.start()
    until(lambda: state(client, url).in_flight == {"es.v1.x": 1})
    server.gate.set()
    asking.join(20)
    until(lambda: state(client, url).in_flight == {"es.v1.x": 0})
    assert state(client, url).answered == {"es.v1.x": 1}


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'"text"', b'{"messages": []}'])
def test_body_that_names_no_model_is_refused(client, open_door, tmp_path, body):
    route(tmp_path)
    reply = client.post(f"{open_door()}/v1/completions", content=body)
    assert reply.status_code == 400
    assert "JSON object with a model" in reply.json()["error"]["message"]


def test_model_that_nobody_serves_is_404_with_those_there_are(client, served, open_door, tmp_path):
    (server,) = served()
    route(tmp_path, server)
    url = open_door()
    reply = ask(client, url, model="es.v1.x")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
    assert reply.json()["error"]["message"] == "no model 'es.v1.x' here; there are: es"
    assert 'model="es.v1.x"' not in client.get(f"{url}/metrics").text


def test_table_that_is_damaged_leaves_the_last_good_one_in_force(client, served, open_door, tmp_path):
    (server,) = served()
    route(tmp_path, server)
    url = open_door()
    (tmp_path / "routes.json").write_text("{")
    time.sleep(0.2)  # several looks at the file
    assert ask(client, url).status_code == 200
    with pytest.raises(ServingError, match="not a routing table"):
        Door(tmp_path / "routes.json")


def test_health_says_whether_anybody_can_be_answered(client, served, open_door, tmp_path):
    url = open_door()
    assert client.get(f"{url}/health").status_code == 503
    (server,) = served()
    route(tmp_path, server)
    until(lambda: client.get(f"{url}/health").status_code == 200)


def test_table_that_says_the_same_keeps_its_number(tmp_path):
    table = RouteTable(generation=3, routes=(Route(model="es", served_as="es.v1.x"),))
    assert table.followed_by(table.routes) is table
    assert table.followed_by([]).generation == 4
    assert read_routes(tmp_path / "routes.json") == RouteTable()
    write_routes(tmp_path / "routes.json", table)
    assert json.loads((tmp_path / "routes.json").read_text())["generation"] == 3
