"""What a process of a step shows of itself while it works."""

import urllib.request

from tongues.core.meters import METER
from tongues.platform.processes import free_port
from tongues.stages.step_run import measured


def test_leading_process_of_a_training_shows_its_tokens_under_its_own_name(monkeypatch):
    monkeypatch.setenv("TONGUES_METRICS_PORT", str(port := free_port()))
    monkeypatch.setenv("TONGUES_RUN_ID", "run-1")
    with measured("rank", "tiny", print):
        METER.set("tongues_tuning_tokens_per_second", 7)
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    assert 'tongues_tuning_tokens_per_second{model="tiny",step="rank"} 7.0' in page
    assert 'run_id="run-1"' in page


def test_nothing_listens_where_no_port_is_named():
    said = []
    with measured("rank", "tiny", said.append):
        METER.set("tongues_tuning_tokens_per_second", 7)
    assert said == []
