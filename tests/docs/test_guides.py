"""Tutorial and how-tos fit the pinned versions, the chart, the examples and the pipelines."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_objects import CHART, Objects, from_chart, merged
from written import ROOT, Page, all_but_pages

from tongues.core.recipe import NodePoolSection, SourceSection
from tongues.core.records import SourceRow
from tongues.data.sources import read_source
from tongues.stages.node_fit import pool_problem

TUTORIAL = Page(ROOT / "docs" / "tutorial.md")
DATA = Page(ROOT / "docs" / "how-to" / "bring-your-data.md")
TENANTS = Page(ROOT / "docs" / "how-to" / "multi-tenant.md")
PINNED = yaml.safe_load((ROOT / "manifests/prerequisites/versions.yaml").read_text(encoding="utf-8"))
# Said by Kubernetes, Helm, CUDA, MLflow and by registries; everything else is ours.
OF_OTHERS = {
    "ImagePullBackOff", "ErrImagePull … unauthorized", "ErrImageNeverPull", "storage-initializer",
    "x509: certificate signed by unknown authority", "violates PodSecurity", "exceeded quota", "Bus error",
    "didn't match Pod's node affinity/selector", "had untolerated taint", "Insufficient nvidia.com/gpu",
    "Insufficient cpu", "memory", "CUDA driver version is insufficient", "kubectl describe pod",
    "helm rollback", "Invalid Host header", "Detected out-of-date database schema",
}  # fmt: skip
POOLS = Page(ROOT / "docs" / "how-to" / "gpu-pools.md")
HOW_TOS = [Page(path) for path in sorted((ROOT / "docs" / "how-to").glob("*.md"))]


def test_versions_are_those_that_everything_is_checked_against():
    names = {"Kubernetes": "kubernetes", "Kubeflow Pipelines": "kfp", "KServe": "kserve"}
    stated = dict(re.findall(r"^\| ([\w -]+) \| ([\d.]+) \| ", TUTORIAL.prose, re.MULTILINE))
    for name in ("cert-manager", *names):
        assert stated[name] == PINNED[names.get(name, name)]
    assert stated["kubectl"] == PINNED["kubernetes"]


def test_commands_name_no_other_version():
    script = "\n".join(block.text for block in TUTORIAL.blocks if block.language == "sh")
    pattern = r"(cert-manager|kserve|kfp|pipelines)[^\n]*?(?:/v|=|--version v|/)(\d+\.\d+\.\d+)"
    found = [(part.replace("pipelines", "kfp"), version) for part, version in re.findall(pattern, script)]
    assert len(found) == 6 and [one for one in found if one[1] != PINNED[one[0]]] == []
    assert f"kindest/node:v{PINNED['kubernetes']}." in script


def test_chart_with_the_tutorials_values_is_what_the_tutorial_says():
    made = _rendered(TUTORIAL, "no-gpu-values.yaml", namespace="kubeflow")
    assert {"tongues-pipeline", "tongues-serving"} <= made.names("ServiceAccount")
    assert made.names("ServingRuntime") == {"tongues-vllm"}
    serving = next(one for one in made.of("NetworkPolicy") if one["metadata"]["name"] == "tongues-serving")
    fetch = serving["spec"]["egress"][-1]
    assert fetch["ports"] == [{"port": 8333, "protocol": "TCP"}]
    assert fetch["to"] == [{"podSelector": {"matchLabels": {"app": "seaweedfs"}}}]
    account = next(one for one in made.of("ServiceAccount") if one["metadata"]["name"] == "tongues-serving")
    assert account["secrets"] == [{"name": "tongues-pipeline-s3"}]


def test_chart_takes_a_teams_values_in_its_namespace_and_in_no_other():
    made = _rendered(TENANTS, "multi-user-values.yaml", namespace="team-a")
    assert made.names("LocalQueue") == {"team-a"}
    with pytest.raises(Exception, match=r"tenant\.enabled is true, but pipeline\.launcher\.root"):
        _rendered(TENANTS, "multi-user-values.yaml", namespace="team-b")


def test_fields_that_the_tutorial_fills_in_are_fields_of_the_pipeline():
    named = re.findall(r"^\| `(\w+)` \| `s3://", TUTORIAL.prose, re.MULTILINE)
    compiled = (ROOT / "pipelines" / "compiled" / "multilingual_tuning.yaml").read_text(encoding="utf-8")
    inputs = next(yaml.safe_load_all(compiled))["root"]["inputDefinitions"]["parameters"]
    needed = {name for name, one in inputs.items() if not one.get("isOptional")}
    assert set(named) == needed == {"recipe", "workspace"}


def test_rows_that_the_page_shows_are_read_as_it_says(tmp_path):
    shown = next(block.text for block in DATA.blocks if block.language == "json")
    (tmp_path / "support.jsonl").write_text(shown, encoding="utf-8")
    section = SourceSection(uri="support.jsonl", dataset="support", licence="CC-BY-4.0")
    rows = list(read_source(tmp_path / "support.jsonl", section=section))
    assert [type(row) for row in rows] == [SourceRow] * 3
    assert (rows[0].category, rows[1].protect, rows[2].skip) == (
        "support",
        ("acme login",),
        "about the English word",
    )
    columns = {column for row in shown.splitlines() for column in json.loads(row)}
    assert columns | {"keep"} == set(re.findall(r"^\| `(\w+)` \| (?:yes|no) \|", DATA.prose, re.MULTILINE))


@pytest.mark.parametrize("cloud", ["GKE", "EKS", "AKS"])
def test_pools_bear_the_label_that_example_and_value_set_ask_for(cloud):
    label, taint = _pool(cloud)
    example = _loaded(ROOT / "manifests" / "examples" / f"gpu-pool-{cloud.lower()}" / "pool.yaml")
    values = merged(_loaded(CHART / "values.yaml"), _loaded(CHART / "ci" / f"{cloud.lower()}-values.yaml"))
    selector, tolerations = (operation["value"] for operation in example)
    assert label == selector == values["serving"]["nodeSelector"]
    for tolerated in (tolerations, values["serving"]["tolerations"]):
        assert pool_problem(NodePoolSection(tolerations=tolerated), [_node(label, taint)]) == ("", "")


def test_recipe_of_the_pools_fits_a_node_of_them_and_no_other():
    recipe = yaml.safe_load(next(one.text for one in POOLS.blocks if one.text.startswith("node_pools:")))
    label, taint = _pool("GKE")
    for step in ("finetune", "evaluate"):
        pool = NodePoolSection.model_validate(recipe["node_pools"][step])
        assert pool_problem(pool, [_node(label, taint)]) == ("", "")
        assert "no node has" in pool_problem(pool, [_node({}, taint)])[0]
        assert "tainted" in pool_problem(pool, [_node(label, "dedicated=db:NoSchedule")])[0]


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.path.stem)
def test_how_to_says_when_how_to_see_it_and_what_goes_wrong(page):
    heads = re.findall(r"^##+ (.+)$", page.prose, re.MULTILINE)
    assert "**When you need this:**" in page.prose.split("\n## ")[0]
    assert any(head.startswith("See that it worked") for head in heads)
    assert heads[-1] == "When it does not work"


@pytest.mark.parametrize("page", [TUTORIAL, *HOW_TOS], ids=lambda page: page.path.stem)
def test_messages_that_a_page_explains_are_those_that_are_said(page):
    lines = page.text.rpartition("## When it does not work")[2].splitlines()
    seen = [span for line in lines for span in re.findall(r"`([^`]+)`", line.partition(" | ")[0])]
    pieces = {piece.strip() for span in seen for piece in span.split("…") if span not in OF_OTHERS}
    assert {piece for piece in pieces if piece not in all_but_pages()} == set()


def _pool(cloud: str) -> tuple[dict[str, str], str]:
    """Label and taint of a cloud's GPU nodes, as the page has them in its table or gives them to the pool."""
    row = next(line for line in POOLS.prose.splitlines() if line.startswith(f"| {cloud}"))
    label, *taints = re.findall(r"`([^`]+)`", row)
    of_the_pool = re.search(r"taints its nodes\s+`([^`]+)`", POOLS.prose)
    assert of_the_pool
    return yaml.safe_load(label), taints[0] if taints else of_the_pool[1]


def _node(labels: dict[str, str], taint: str) -> dict[str, Any]:
    (key, _, rest), effect = taint.partition("="), taint.rpartition(":")[2]
    taints = [{"key": key, "value": rest.partition(":")[0], "effect": effect}]
    return {
        "metadata": {"labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": {"nvidia.com/gpu": "1"}},
    }


def _loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _rendered(page: Page, value_set: str, *, namespace: str) -> Objects:
    """The chart with a value set and the page's first block of values upon it."""
    blocks = [yaml.safe_load(block.text) for block in page.blocks if "-values.yaml, upon" in block.text]
    assert len(blocks) == 1
    base: dict[str, Any] = _loaded(CHART / "ci" / value_set)
    return from_chart(merged(base, blocks[0]), namespace=namespace)
