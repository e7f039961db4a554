"""Alerts and dashboard ask for metrics that the code has, by labels it has; every alert has its runbook."""

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from chart_objects import CHART, ROOT, from_value_set

from components.surroundings import METRICS_PORT
from tongues.core.meters import METERS
from tongues.serving.door_metrics import DoorMetrics
from tongues.serving.follower_metrics import FollowerMetrics

NAME = re.compile(r"(?:tongues_|vllm:)[a-z0-9_]+")
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
# What the code gives every metric of a step, and Prometheus every metric of a pod.
COMMON = {"step", "model", "pod", "namespace"}


def rules() -> list[dict[str, Any]]:
    (rule,) = from_value_set("full-values.yaml").of("PrometheusRule")
    return [one for group in rule["spec"]["groups"] for one in group["rules"]]


def dashboard() -> dict[str, Any]:
    found = from_value_set("full-values.yaml").of("ConfigMap")
    (board,) = (one for one in found if one["metadata"]["name"].endswith("-dashboard"))
    whole: dict[str, Any] = json.loads(board["data"]["tongues.json"])
    return whole


def expressions() -> Iterator[str]:
    """Everything that alerts, panels and the choice of a namespace ask Prometheus."""
    yield from (one["expr"] for one in rules())
    yield from (target["expr"] for panel in dashboard()["panels"] for target in panel["targets"])
    yield from (choice["query"] for choice in dashboard()["templating"]["list"])


def registered() -> Iterator[tuple[str, set[str]]]:
    """Name and labels of each metric of the follower and its door, as Prometheus gets them."""
    for registry in (FollowerMetrics().registry, DoorMetrics(1)._all):
        for collector in list(registry._collector_to_names):
            (metric,) = collector.describe()
            for ending in ENDINGS[metric.type]:
                yield f"{metric.name}{ending}", {*collector._labelnames, "le"}


def known() -> dict[str, set[str]]:
    """Metric to its labels, as the code has them."""
    return {name: {*meter.labels, *COMMON} for name, meter in METERS.items()} | dict(registered())


def unknown(asked: str) -> set[str]:
    return {name for name in NAME.findall(asked) if name.startswith("tongues_")} - known().keys()


@pytest.mark.parametrize("asked", sorted(set(expressions())))
def test_metrics_that_are_asked_for_exist_in_the_code(asked: str) -> None:
    assert unknown(asked) == set()


@pytest.mark.parametrize("asked", sorted(set(expressions())))
def test_labels_that_are_asked_for_are_those_of_the_metric(asked: str) -> None:
    names = [name for name in NAME.findall(asked) if name.startswith("tongues_")]
    has = COMMON.union(*(known()[name] for name in names))
    by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", asked) for label in group.split(",")}
    if not any(name.startswith("vllm:") for name in NAME.findall(asked)):
        assert by <= has


def test_misspelt_metric_seen() -> None:
    assert unknown("sum(tongues_translation_row_total)") == {"tongues_translation_row_total"}
    assert unknown("rate(tongues_door_requests[5m])") == {"tongues_door_requests"}


def test_metrics_of_vllm_exist_in_the_vllm_that_is_installed() -> None:
    vllm = find_spec("vllm")
    if vllm is None or vllm.origin is None:
        pytest.skip("vLLM is not installed: install tongues[serve-cpu]")
    source = (Path(vllm.origin).parent / "v1" / "metrics" / "loggers.py").read_text()
    names = {name for asked in expressions() for name in NAME.findall(asked) if name.startswith("vllm:")}
    defined = set(re.findall(r'name="(vllm:\w+)"', source))
    assert len(names) >= 4
    assert {name for name in names if re.sub(r"_(total|bucket)$", "", name) not in defined} == set()


@pytest.mark.parametrize(
    "metric",
    [
        "tongues_translation_rows_total",
        "tongues_translation_tokens_total",
        "tongues_translation_errors_total",
        "tongues_translation_dropped_rows_total",
        "tongues_translation_cost_total",
        "tongues_tuning_tokens_per_second",
        "tongues_tuning_mfu_ratio",
    ],
)
def test_dashboard_shows_what_translation_and_tuning_measure(metric: str) -> None:
    shown = " ".join(target["expr"] for panel in dashboard()["panels"] for target in panel["targets"])
    assert metric in shown


def test_panels_ask_for_the_chosen_namespace_and_alerts_for_that_of_the_release() -> None:
    panels = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    assert all('namespace="$namespace"' in one for one in panels)
    assert all('namespace="tongues"' in one["expr"] for one in rules())


def test_panels_are_numbered_once_and_cover_no_other() -> None:
    panels = dashboard()["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_alerts_runbooks_exist() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert sorted(one["alert"] for one in rules()) == sorted(headings)
    links = {one["annotations"]["runbook_url"] for one in rules()}
    assert links == {f"docs/runbooks.md#{heading.lower()}" for heading in headings}


def test_monitors_of_runs_ask_the_port_that_steps_open() -> None:
    monitors = {one["metadata"]["name"]: one for one in from_value_set("full-values.yaml").of("PodMonitor")}
    for name, container in (("tongues-steps", "main"), ("tongues-trainers", "node")):
        (endpoint,) = monitors[name]["spec"]["podMetricsEndpoints"]
        keep, address = endpoint["relabelings"]
        assert keep["regex"] == container
        assert address["replacement"] == f"$1:{METRICS_PORT}" and address["targetLabel"] == "__address__"
    template = (CHART / "templates" / "network" / "_runs.tpl").read_text()
    assert f"{{port: {METRICS_PORT}, protocol: TCP}}" in template
