"""Metrics as Prometheus gets them, over HTTP."""

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tongues.core.errors import PreflightError
from tongues.core.meters import Meters
from tongues.platform.metrics_port import shown
from tongues.platform.processes import free_port


@pytest.fixture
def meters():
    one = Meters()
    one.begin("translate", "quickstart")
    one.set("tongues_translation_rows_total", 7, lang="gl", outcome="kept")
    return one


def test_a_scrape_sees_the_values_of_the_moment(meters, monkeypatch):
    port = free_port()
    monkeypatch.setenv("TONGUES_METRICS_PORT", str(port))
    with shown(meters, print):
        meters.set("tongues_translation_rows_total", 8, lang="gl", outcome="kept")
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    labels = 'lang="gl",model="quickstart",outcome="kept",step="translate"'
    assert f"tongues_translation_rows_total{{{labels}}} 8.0" in sorted_labels(page)
    assert "# TYPE tongues_translation_rows_total counter" in page


def sorted_labels(page: str) -> list[str]:
    found = []
    for line in page.splitlines():
        name, _, rest = line.partition("{")
        inside, _, value = rest.partition("}")
        found.append(f"{name}{{{','.join(sorted(inside.split(',')))}}}{value}")
    return found


def test_a_taken_port_is_said_and_stops_nothing(meters, monkeypatch):
    said = []
    with ThreadingHTTPServer(("0.0.0.0", 0), BaseHTTPRequestHandler) as taken:
        taken.allow_reuse_address = False
        monkeypatch.setenv("TONGUES_METRICS_PORT", str(taken.server_address[1]))
        with shown(meters, said.append):
            pass
    assert len(said) == 1 and "cannot be opened" in said[0]


def test_a_port_that_is_none_is_refused_by_its_name(meters, monkeypatch):
    monkeypatch.setenv("TONGUES_METRICS_PORT", "http")
    with pytest.raises(PreflightError, match="TONGUES_METRICS_PORT"), shown(meters, print):
        pass


class _Gateway(BaseHTTPRequestHandler):
    def do_PUT(self):
        self.server.got.append((self.path, self.rfile.read(int(self.headers["content-length"])).decode()))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_last_values_are_pushed_where_a_gateway_is_named(meters, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as gateway:
        gateway.got = []
        threading.Thread(target=gateway.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("TONGUES_PUSHGATEWAY_URL", f"http://127.0.0.1:{gateway.server_address[1]}")
        with shown(meters, print):
            meters.set("tongues_translation_rows_total", 9, lang="gl", outcome="kept")
        gateway.shutdown()
    [(path, body)] = gateway.got
    assert path.startswith("/metrics/job/tongues/") and "/step/translate" in path
    assert "} 9.0" in body


def test_a_gateway_that_is_away_is_said_and_stops_nothing(meters, monkeypatch):
    said = []
    monkeypatch.setenv("TONGUES_PUSHGATEWAY_URL", f"http://127.0.0.1:{free_port()}")
    with shown(meters, said.append):
        pass
    assert len(said) == 1 and "TONGUES_PUSHGATEWAY_URL" in said[0]
