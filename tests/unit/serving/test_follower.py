import itertools
import json
import threading
import time
from pathlib import Path

import pytest

from tongues.core.errors import RegistryError, StorageError
from tongues.core.ports import Identified
from tongues.serving.checks import Limits
from tongues.serving.door_process import Doors
from tongues.serving.follower import Follower
from tongues.serving.follower_ports import Ports, Settings
from tongues.serving.http_client import http
from tongues.serving.replicas import Replicas
from tongues.serving.revision import Prepared, Recorded, Revision
from tongues.serving.routes import read_routes
from tongues.serving.status import read_status

pytestmark = pytest.mark.slow


class Registry:
    """Aliases and files as a test wants them; the answer of a version names it."""

    def __init__(self, home: Path) -> None:
        self.home, self.aliases = home, {}
        self.down, self.gone, self.slow = False, set(), {}
        self.rolled_back, self.discarded = [], []

    def promote(self, model: str, version: int) -> Revision:
        self.aliases[model] = Revision(model, version, f"{version:064x}", f"s3://b/{model}/{version}")
        return self.aliases[model]

    def resolve(self, reference: str) -> Revision | None:
        if self.down:
            raise RegistryError("MLflow does not answer", where="http://mlflow")
        return self.aliases.get(reference.split("@", maxsplit=1)[0])

    def prepare(self, revision: Revision) -> Prepared:
        if (gate := self.slow.get(revision.served_as)) is not None:
            assert gate.wait(30)
        if revision.served_as in self.gone:
            raise StorageError("the files are gone", where=revision.uri)
        folder = self.home / "adapters" / revision.served_as
        folder.mkdir(parents=True, exist_ok=True)
        answer = f"answer {revision.version}"
        (folder / "answer.txt").write_text(answer)
        return Prepared(folder, (Recorded(revision.model, "Hello?", answer, revision.model),))

    def discard(self, prepared: Prepared) -> None:
        self.discarded.append(prepared.folder.name)

    def roll_back(self, revision: Revision, reason: str) -> None:
        if self.aliases[revision.model] == revision:
            self.rolled_back.append(reason)
            self.promote(revision.model, revision.version - 1)

    def identify(self, text, candidates):
        """Whatever was recorded is in its language; anything else is in none."""
        return Identified(candidates[0] if text.startswith("answer") else "und", 1.0)


class Case:
    """One endpoint of a test."""

    def __init__(self, home, vllms, open_door, *, servers=1, doors=1, models=("es",), watch_s=0.0):
        self.home, self.registry = home, Registry(home)
        self.servers = vllms(servers)
        self.urls = [open_door(hold_s=20) for _ in range(doors)]
        self.url = self.urls[0]
        self.models, self.limits = models, Limits(watch_s=watch_s, every_s=0.01)
        self.follower = self.start()

    def start(self):
        """A follower, new or after another one was killed."""
        one = self.registry
        ports = Ports(one.resolve, one.prepare, one.discard, one.roll_back, one.identify)
        replicas = Replicas([server.url for server in self.servers], self.home / "adapters")
        settings = Settings("adapter", poll_s=0.01, retry_s=0.02, limits=self.limits)
        references = [f"{model}@champion" for model in self.models]
        self.follower = Follower(
            references, ports, replicas, Doors(self.urls), self.home, settings, lambda _: None
        )
        return self.follower

    def until(self, condition):
        deadline = time.monotonic() + 20
        while True:
            self.follower.step()
            if condition():
                return
            assert time.monotonic() < deadline, read_status(self.home)
            time.sleep(0.002)

    def status(self, model="es"):
        return next(one for one in read_status(self.home).models if one.model == model)

    def serves(self, version, model="es", state="serving"):
        one = self.status(model)
        return one.state == state and one.serves.startswith(f"{model}.v{version}.")

    def ask(self, model="es", url=""):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello?"}]}
        reply = http().post(f"{url or self.url}/v1/chat/completions", json=body, timeout=30)
        return (
            reply.json()["choices"][0]["message"]["content"]
            if reply.status_code == 200
            else reply.status_code
        )

    def held(self):
        return [sorted(name.rsplit(".", 1)[0] for name in server.held) for server in self.servers]


@pytest.fixture
def case(tmp_path, vllms, open_door):
    return lambda **more: Case(tmp_path, vllms, open_door, **more)


def serving_one(case, **more):
    one = case(**more)
    for model in one.models:
        one.registry.promote(model, 1)
    one.until(lambda: all(one.serves(1, model) for model in one.models))
    return one


def test_alias_moves_and_clients_get_the_new_version_and_the_old_one_goes(case):
    one = serving_one(case)
    assert one.ask() == "answer 1"
    one.registry.promote("es", 2)
    one.until(lambda: one.serves(2) and one.held() == [["es.v2"]])
    assert one.ask() == "answer 2"
    one.until(lambda: one.registry.discarded)
    assert [name.rsplit(".", 1)[0] for name in one.registry.discarded] == ["es.v1"]


def test_client_that_spreads_over_two_doors_sees_each_promotion_once(case):
    one = serving_one(case, doors=2)
    seen, stop = [], threading.Event()

    def ask():
        urls = itertools.cycle(one.urls)
        while not stop.is_set():
            seen.append(one.ask(url=next(urls)))

    client = threading.Thread(target=ask)
    client.start()
    try:
        for version in range(2, 8):
            one.registry.promote("es", version)
            one.until(lambda now=version: one.serves(now))
            asked = len(seen)
            one.until(lambda so_far=asked: len(seen) > so_far + 4)
    finally:
        stop.set()
        client.join()
    assert [answer for answer, _ in itertools.groupby(seen)] == [f"answer {n}" for n in range(1, 8)]


def test_request_in_flight_is_answered_by_the_version_it_began_with(case):
    one = serving_one(case)
    (server,) = one.servers
    server.gate.clear()
    said, before = [], len(server.asked)
    asking = threading.Thread(target=lambda: said.append(one.ask()))
    asking.start()
    one.until(lambda: len(server.asked) > before)
    before = len(server.asked)
    one.registry.promote("es", 2)
    one.until(lambda: len(server.asked) > before)  # the check of version 2 waits at the gate too
    assert one.held() == [["es.v1", "es.v2"]]
    server.gate.set()
    asking.join(20)
    one.until(lambda: one.serves(2) and one.held() == [["es.v2"]])
    assert said == ["answer 1"]


def test_two_models_come_and_go_in_the_order_followed(case):
    one = case(models=("es", "ca"))
    one.registry.promote("ca", 1)
    one.until(lambda: one.serves(1, "ca"))
    one.registry.promote("es", 1)
    one.until(lambda: one.serves(1, "es"))
    one.until(lambda: http().get(f"{one.url}/v1/models").json()["data"][1:])
    assert [card["id"] for card in http().get(f"{one.url}/v1/models").json()["data"]] == ["es", "ca"]
    del one.registry.aliases["es"]
    one.until(lambda: one.status("es").state == "absent" and one.held() == [["ca.v1"]])
    assert (one.ask("ca"), one.ask("es")) == ("answer 1", 404)


def test_files_gone_are_refused_with_the_reason_and_the_endpoint_is_unchanged(case):
    one = serving_one(case)
    one.registry.gone.add(one.registry.promote("es", 2).served_as)
    one.until(lambda: one.status().state == "refused")
    assert "the files are gone" in one.status().reason
    assert (one.ask(), one.held()) == ("answer 1", [["es.v1"]])
    one.registry.gone.clear()
    one.until(lambda: one.serves(2))
    assert one.status().reason == ""


def test_answer_that_evaluation_did_not_get_is_refused_before_any_client_sees_it(case):
    one = serving_one(case)
    one.servers[0].wrong.add(one.registry.promote("es", 2).served_as)
    one.until(lambda: one.status().state == "refused" and one.held() == [["es.v1"]])
    assert "'something else', evaluation got 'answer 2'" in one.status().reason
    assert one.ask() == "answer 1"


def test_registry_away_is_told_and_what_serves_is_kept_up(case):
    one = serving_one(case)
    one.registry.down = True
    one.until(lambda: "MLflow does not answer" in read_status(one.home).registry)
    one.servers[0].stop()
    one.until(lambda: read_routes(one.home / "routes.json").routes[0].upstreams == ())
    one.servers[0].start()
    one.until(lambda: one.held() == [["es.v1"]] and one.serves(1))
    one.start()  # a follower that never heard the registry
    one.until(lambda: one.serves(1) and "MLflow" in read_status(one.home).registry)
    assert one.ask() == "answer 1"
    one.registry.down = False
    one.until(lambda: read_status(one.home).registry == "")


def test_one_replica_of_three_that_fails_to_load_gets_no_requests_until_it_has_loaded(case):
    one = serving_one(case, servers=3)
    sick = one.servers[2]
    name = one.registry.promote("es", 2).served_as
    sick.refuses.add(name)
    one.until(lambda: one.serves(2))
    assert len(one.status().servers) == 2
    assert "out of memory" in one.status().reason
    assert {one.ask() for _ in range(6)} == {"answer 2"}
    sick.refuses.clear()
    one.until(lambda: len(one.status().servers) == 3 and one.status().reason == "")
    one.until(lambda: one.held() == [["es.v2"]] * 3)


def test_promotion_during_a_promotion_the_newest_wins_and_the_one_between_is_never_served(case):
    one = serving_one(case)
    between = one.registry.promote("es", 2).served_as
    one.registry.slow[between] = threading.Event()
    one.until(lambda: one.status().state == "coming")
    one.registry.promote("es", 3)
    one.until(lambda: one.serves(3))
    one.registry.slow[between].set()
    one.until(lambda: between in one.registry.discarded)
    assert between not in one.servers[0].asked
    assert one.held() == [["es.v3"]]


def test_slow_object_store_holds_up_its_own_model_only(case):
    one = serving_one(case, models=("es", "ca"))
    name = one.registry.promote("es", 2).served_as
    one.registry.slow[name] = threading.Event()
    one.registry.promote("ca", 2)
    one.until(lambda: one.serves(2, "ca"))
    assert (one.status("es").state, one.ask("es")) == ("coming", "answer 1")
    one.registry.slow[name].set()
    one.until(lambda: one.serves(2, "es"))


@pytest.mark.parametrize("steps", range(1, 12))
def test_follower_killed_anywhere_in_a_promotion_the_next_one_finishes_it(case, steps):
    one = serving_one(case)
    one.registry.promote("es", 2)
    for _ in range(steps):
        one.follower.step()
        time.sleep(0.003)
    one.start()
    one.until(lambda: one.serves(2) and one.held() == [["es.v2"]])
    assert one.ask() == "answer 2"


def test_version_that_fails_under_live_checks_is_taken_back_here_and_in_the_registry(case):
    one = serving_one(case, watch_s=60.0)
    name = one.registry.promote("es", 2).served_as
    one.until(lambda: one.serves(2, state="watched"))
    one.servers[0].wrong.add(name)
    one.until(lambda: one.serves(1) and one.held() == [["es.v1"]])
    assert one.registry.rolled_back
    assert "in another language" in one.registry.rolled_back[0]
    assert one.ask() == "answer 1"


def test_version_whose_requests_fail_is_taken_back_also_while_the_registry_is_away(case):
    one = serving_one(case, watch_s=60.0)
    name = one.registry.promote("es", 2).served_as
    one.until(lambda: one.serves(2, state="watched"))
    one.registry.down = True
    one.servers[0].broken.add(name)
    one.until(lambda: one.status().state == "taken-back" and one.held() == [["es.v1"]])
    assert "requests failed" in one.status().reason
    assert one.ask() == "answer 1"
    one.start()  # a follower that must not try it again once it hears of it
    one.until(lambda: "MLflow" in read_status(one.home).registry)
    one.registry.down = False
    one.until(lambda: one.registry.rolled_back and one.serves(1))
    assert one.held() == [["es.v1"]]


def test_version_that_proves_itself_lets_the_one_before_go(case):
    one = serving_one(case, watch_s=0.2)
    one.registry.promote("es", 2)
    one.until(lambda: one.serves(2, state="watched"))
    assert one.held() == [["es.v1", "es.v2"]]
    one.until(lambda: one.serves(2) and one.held() == [["es.v2"]])


def test_version_that_was_taken_back_may_be_promoted_again(case):
    one = serving_one(case, watch_s=0.2)
    name = one.registry.promote("es", 2).served_as
    one.until(lambda: one.serves(2, state="watched"))
    one.servers[0].wrong.add(name)
    one.until(lambda: one.serves(1))
    one.servers[0].wrong.clear()
    one.registry.promote("es", 2)
    one.until(lambda: one.serves(2) and one.held() == [["es.v2"]])


def test_metrics_say_what_is_served_and_how_it_went(case):
    from prometheus_client import generate_latest

    one = serving_one(case)
    text = generate_latest(one.follower.metrics.registry).decode()
    name = one.status().serves
    assert f'tongues_follower_revision_info{{model="es",revision="{name}"}} 1.0' in text
    assert 'tongues_follower_model_state{model="es",state="serving"} 1.0' in text
    assert 'tongues_follower_checks_total{check="answer",lang="es",model="es",result="ok"} 1.0' in text
    assert "tongues_follower_registry_up 1.0" in text
    assert "tongues_follower_switch_seconds_count 1.0" in text
    assert f'tongues_follower_place_up{{place="{one.servers[0].url}"}} 1.0' in text


def test_memory_that_is_damaged_is_told_and_not_built_upon(case):
    from tongues.core.errors import ServingError

    one = serving_one(case)
    (one.home / "follower.json").write_text(json.dumps({"serving": 1}))
    with pytest.raises(ServingError, match=r"not a follower's memory.*move it away"):
        one.start()
