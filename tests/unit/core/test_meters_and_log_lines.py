"""Values a process measures, and its lines of log, in both forms."""

import json

import pytest

from tongues.core.log_lines import MARK, log_line, message_of, trace_id
from tongues.core.meters import METERS, Meters


def test_only_known_metrics_with_their_own_labels_are_taken():
    meters = Meters()
    meters.set("tongues_translation_rows_total", 3, lang="es", outcome="kept")
    with pytest.raises(KeyError, match="lang"):
        meters.set("tongues_translation_rows_total", 3, lang="es")
    with pytest.raises(KeyError):
        meters.set("tongues_no_such_thing", 1)


def test_a_count_that_starts_over_does_not_make_the_counter_fall():
    meters = Meters()
    for seen in (5, 9, 2, 10):
        meters.raise_to("tongues_translation_requests_total", seen, lang="es", engine="e")
        if seen == 2:
            assert meters.get("tongues_translation_requests_total", lang="es", engine="e") == 9
    assert meters.get("tongues_translation_requests_total", lang="es", engine="e") == 10


def test_a_new_step_forgets_the_values_of_the_one_before():
    meters = Meters()
    meters.set("tongues_tuning_loss", 2.5)
    meters.begin("evaluate", "m")
    assert set(meters.snapshot()) == {"tongues_step_started_timestamp_seconds"}


def test_names_of_metrics_keep_prometheus_rules():
    for name, meter in METERS.items():
        assert name.startswith("tongues_") and name.endswith("_total") == (meter.kind == "counter")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("message", ["error: es: chrF fell", "translate es: 3/9 rows", 'مرحبا {"a": 1}'])
def test_a_line_is_read_back_as_it_was_said(monkeypatch, form, message):
    monkeypatch.setenv("TONGUES_LOG_FORMAT", form)
    line = log_line(message, mark=MARK)
    assert message_of(f"[KFP] {line}\n") == message
    assert message_of("launcher: " + message) is None


def test_a_json_line_names_run_trace_and_level(monkeypatch):
    monkeypatch.setenv("TONGUES_LOG_FORMAT", "json")
    monkeypatch.setenv("TONGUES_RUN_ID", "3f0c")
    told = json.loads(log_line("error: x"))
    assert (told["level"], told["run_id"], len(told["trace_id"])) == ("error", "3f0c", 32)


def test_a_callers_trace_is_kept(monkeypatch):
    monkeypatch.setenv("TONGUES_RUN_ID", "3f0c")
    own = trace_id()
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    assert trace_id() == "ab" * 16 != own
