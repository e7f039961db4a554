import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from pathlib import Path

import pytest

pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed: install tongues[kserve]")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "servers"))

from kserve_server import KServeServer, canary_failed, canary_loading
from kubernetes.client import ApiClient, Configuration

from tongues.core.errors import KubernetesError, ServingError
from tongues.core.ports import Identified
from tongues.platform.kserve_api import KServeApi
from tongues.platform.kserve_canary import Canary
from tongues.platform.kubernetes_api import KubernetesApi
from tongues.platform.request_counts import requests_of
from tongues.serving.checks import Limits, Watch
from tongues.serving.revision import Recorded
from tongues.serving.rollout import Examined, TakenBackError, roll_out

ADDRESS = "/apis/serving.kserve.io/v1beta1/namespaces/team-a/inferenceservices/gl"
WEIGHTS = (5, 20, 50)
RECORDED = (Recorded("gl", "Hello?", "answer 4", "gl"),)


def service(version):
    model = {"runtime": "tongues-vllm", "modelFormat": {"name": "vLLM"}, "storageUri": f"s3://b/{version}/"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "gl", "namespace": "team-a", "annotations": {}},
        "spec": {"predictor": {"model": model, "minReplicas": 2}},
    }


def identify(text, candidates):
    return Identified(candidates[0] if text.startswith("answer") else "und", 1.0)


class Case:
    """Version 3 serves on a cluster, version 4 answers at an address of its own."""

    def __init__(self, cluster, vllm, folder):
        access = Configuration()
        access.host, access.retries = cluster.url, False
        self.now, self.cluster, self.vllm, self.lines = 0.0, cluster, vllm, []
        api = KServeApi(
            KubernetesApi(ApiClient(access), lambda _: None),
            lambda _: None,
            wait=self.wait,
            clock=lambda: self.now,
        )
        api.apply(service(3))
        self.shares, self.at = [], {}
        cluster.shifted = self.shifted
        self.canary = Canary(api, api.find(service(3)), service(4), 4, timeout_s=60)
        (folder / "answer.txt").write_text("answer 4")
        vllm.held["gl"] = folder

    def wait(self, seconds):
        self.now += seconds

    def shifted(self, percent):
        """What a test wants to happen at a share happens when it is reached."""
        self.shares.append(percent)
        self.at.get(percent, lambda: None)()

    def roll_out(self, recorded=RECORDED, clients=None, **limits):
        self.limits = Limits(watch_s=60, every_s=10, **limits)
        examined = Examined(self.vllm.url, recorded, self.limits, identify, clients)
        roll_out(self.canary, WEIGHTS, examined, self.lines.append, wait=self.wait, clock=lambda: self.now)

    @property
    def spec(self):
        return self.cluster.objects[ADDRESS]["spec"]


@pytest.fixture
def case(tmp_path, vllms):
    stack = []

    def make(**world):
        stack.append(KServeServer(**world))
        (vllm,) = vllms()
        return Case(stack[-1].__enter__(), vllm, tmp_path)

    yield make
    for server in stack:
        server.__exit__()


def serves_as_before(one):
    return "canary" not in one.spec and one.spec["predictor"]["model"]["storageUri"] == "s3://b/3/"


def test_version_that_keeps_to_everything_goes_through_all_weights_and_is_watched_at_each(case):
    one = case()
    one.roll_out()
    assert one.shares == [0, 5, 20, 50]
    assert one.now >= 3 * 60 and len(one.vllm.asked) == 1 + 3 * 7  # smoke, then a round every 10 s
    assert one.spec["canary"][0]["trafficPercent"] == 50


def test_version_that_never_gets_ready_has_no_request_and_is_taken_away(case):
    one = case(canary=canary_loading)
    with pytest.raises(KubernetesError, match="not ready within 60 s"):
        one.roll_out()
    assert one.shares == [0, 0] and serves_as_before(one) and one.vllm.asked == []


def test_version_whose_weights_do_not_load_is_taken_away_at_once(case):
    one = case(canary=canary_failed)
    with pytest.raises(KubernetesError, match="ModelLoadFailed"):
        one.roll_out()
    assert serves_as_before(one) and one.now < 10


def test_answer_that_evaluation_did_not_get_stops_it_before_a_client_sees_it(case):
    one = case()
    one.vllm.wrong.add("gl")
    with pytest.raises(ServingError, match="evaluation got 'answer 4'") as caught:
        one.roll_out()
    assert one.shares == [0, 0] and serves_as_before(one)
    assert not isinstance(caught.value, TakenBackError)


def test_errors_at_20_percent_take_it_back_and_nobody_gets_more_of_it(case):
    one = case()
    one.at[20] = lambda: one.vllm.broken.add("gl")
    with pytest.raises(TakenBackError, match="1 of 1 requests failed") as caught:
        one.roll_out()
    assert one.shares == [0, 5, 20, 0] and serves_as_before(one)
    assert caught.value.where == "gl at 20 % of the requests"
    assert one.lines[-1] == "gl: all requests go to what served before"


def test_other_language_at_20_percent_takes_it_back(case):
    one = case()
    one.at[20] = lambda: one.vllm.wrong.add("gl")
    with pytest.raises(TakenBackError, match="100% of its answers are in another language, 0% at evaluation"):
        one.roll_out()
    assert one.shares == [0, 5, 20, 0] and serves_as_before(one)


def test_slow_answer_takes_it_back():
    watch = Watch(RECORDED, Limits(latency_s=60.0), identify, asked=7, slowest_s=60.1)
    assert watch.complaint(answered=0, failed=0) == "an answer took 60.1 s (limit 60 s)"


def test_clients_that_fail_where_questions_do_not_take_it_back(case):
    one, counted = case(), [(0, 0)]
    one.at[20] = lambda: counted.append((200, 9))
    with pytest.raises(TakenBackError, match=r"9 of 200 requests failed \(limit 2%\)"):
        one.roll_out(clients=lambda: counted[-1])
    assert one.shares == [0, 5, 20, 0] and serves_as_before(one)


def test_clients_that_nobody_counted_stop_it_since_nothing_was_measured(case):
    one = case()

    def clients():
        raise ServingError("no requests counted of pods gl-v4-predictor-*", where="http://prometheus")

    with pytest.raises(ServingError, match="no requests counted") as caught:
        one.roll_out(clients=clients)
    assert serves_as_before(one) and not isinstance(caught.value, TakenBackError)


def test_version_without_recorded_answers_is_not_rolled_out(case):
    one = case()
    with pytest.raises(ServingError, match="recorded no answers"):
        one.roll_out(recorded=())
    assert serves_as_before(one)


def test_kserve_that_shares_nothing_out_has_the_canary_taken_away_again(case):
    one = case(shares="none")
    with pytest.raises(ServingError, match="no share of the requests"):
        one.roll_out()
    assert one.shares == [0, 5, 0] and serves_as_before(one)


def test_interrupt_leaves_no_canary_behind(case):
    one = case()

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.roll_out(clients=interrupt)
    assert serves_as_before(one)


@pytest.fixture
def prometheus():
    """A server that answers a query as Prometheus does; the test says what."""
    told = {"result": [], "status": 200, "queries": []}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            told["queries"].append(self.path)
            content = dumps({"status": "success", "data": {"result": told["result"]}}).encode()
            self.send_response(told["status"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", told
    server.shutdown()
    server.server_close()


def test_requests_are_counted_by_status_and_server_errors_are_failures(prometheus):
    url, told = prometheus
    counts = {"2xx": "190", "4xx": "7", "5xx": "3"}
    told["result"] = [{"metric": {"status": s}, "value": [1, n]} for s, n in counts.items()]
    assert requests_of(url, namespace="team-a", pods="gl-v4-predictor") == (200, 3)
    assert "gl-v4-predictor" in told["queries"][0] and "team-a" in told["queries"][0]


@pytest.mark.parametrize("status", [200, 503])
def test_prometheus_that_saw_nothing_or_is_ill_is_no_measurement_of_zero(prometheus, status):
    url, told = prometheus
    told["status"] = status
    with pytest.raises(ServingError, match="counted"):
        requests_of(url, namespace="team-a", pods="gl-v4-predictor")
