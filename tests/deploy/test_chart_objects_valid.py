"""Every rendered object is one that an API server with strict field validation would take."""

import copy
from typing import Any

import crd_schemas
import kubernetes_validate
import pytest
import yaml
from chart_objects import CRDS, ROOT, Objects, from_value_set

KUBERNETES = "1.34"
EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))
PIPELINES = sorted((ROOT / "pipelines" / "compiled" / "kubernetes").glob("*.yaml"))
SERVED = [path for path in EXAMPLES if path.name.startswith("serve-")]

needs_crds = pytest.mark.skipif(not CRDS.is_dir(), reason=f"needs CRDs in {CRDS}; set TONGUES_CRDS")


def is_custom(item: dict[str, Any]) -> bool:
    group = item["apiVersion"].rpartition("/")[0]
    return group not in ("", "apps", "batch", "policy", "networking.k8s.io", "rbac.authorization.k8s.io")


def test_core_objects_strict_schema_valid(objects: Objects) -> None:
    core = [item for item in objects.items if not is_custom(item)]
    assert core
    for item in core:
        kubernetes_validate.validate(item, KUBERNETES, strict=True)


@needs_crds
def test_custom_resources_strict_schema_valid(objects: Objects) -> None:
    found = {
        item["metadata"]["name"]: crd_schemas.problems(item) for item in objects.items if is_custom(item)
    }
    assert {name: problems for name, problems in found.items() if problems} == {}


@needs_crds
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_strict_schema_valid(path: Any) -> None:
    for item in yaml.safe_load_all(path.read_text()):
        assert crd_schemas.problems(item) == []


@needs_crds
@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_compiled_pipeline_objects_strict_schema_valid(path: Any) -> None:
    items = list(yaml.load_all(path.read_text(), Loader=crd_schemas.YamlLoader))
    assert [item["kind"] for item in items] == ["Pipeline", "PipelineVersion"]
    assert {item["kind"]: crd_schemas.problems(item) for item in items} == {
        "Pipeline": [],
        "PipelineVersion": [],
    }


@needs_crds
@pytest.mark.parametrize("kind", ["Pipeline", "PipelineVersion"])
def test_compiled_pipeline_objects_misspelt_field_refused(kind: str) -> None:
    items = yaml.load_all(PIPELINES[0].read_text(), Loader=crd_schemas.YamlLoader)
    (item,) = (one for one in items if one["kind"] == kind)
    item["spec"]["pipelinName"] = "x"
    assert any("pipelinName" in problem for problem in crd_schemas.problems(item))


@needs_crds
@pytest.mark.parametrize(
    "where", [(), ("spec",), ("spec", "containers", 0), ("spec", "volumes", 0, "emptyDir")], ids=str
)
def test_crd_check_unknown_field_refused(where: tuple[Any, ...]) -> None:
    runtime = copy.deepcopy(from_value_set("default").of("ServingRuntime")[0])
    node = runtime
    for key in where:
        node = node[key]
    node["misspelt"] = 1
    assert any("misspelt" in problem for problem in crd_schemas.problems(runtime))


def test_core_check_unknown_field_refused() -> None:
    deployment = copy.deepcopy(from_value_set("default").of("Deployment")[0])
    deployment["spec"]["template"]["spec"]["containers"][0]["misspelt"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@pytest.mark.parametrize("path", SERVED, ids=lambda path: path.name)
def test_example_names_what_the_base_has(path: Any) -> None:
    base = from_value_set("default")
    for item in yaml.safe_load_all(path.read_text()):
        predictor = item["spec"]["predictor"]
        assert predictor["model"]["runtime"] in base.names("ServingRuntime")
        assert predictor["serviceAccountName"] in base.names("ServiceAccount")


@pytest.mark.parametrize("path", SERVED, ids=lambda path: path.name)
def test_example_model_folder_is_the_one_its_runtime_reads(path: Any) -> None:
    runtimes = {item["metadata"]["name"]: item for item in from_value_set("default").of("ServingRuntime")}
    for item in yaml.safe_load_all(path.read_text()):
        predictor = item["spec"]["predictor"]
        folder = runtimes[predictor["model"]["runtime"]]["spec"]["containers"][0]["command"][-1]
        mounts = [entry["mountPath"] for entry in predictor.get("storageUris", [])] or ["/mnt/models"]
        uris = [entry["uri"] for entry in predictor.get("storageUris", [])] or [
            predictor["model"]["storageUri"]
        ]
        assert folder in mounts
        assert all(uri.startswith("s3://") and uri.endswith("/") for uri in uris)


def test_example_train_job_names_runtime_and_queue_of_the_chart() -> None:
    (job,) = yaml.safe_load_all((ROOT / "manifests" / "examples" / "train-job.yaml").read_text())
    full = from_value_set("full-values.yaml")
    assert job["spec"]["runtimeRef"]["name"] in full.names("ClusterTrainingRuntime")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] in full.names("LocalQueue")


@needs_crds
def test_crd_rule_that_is_broken_seen() -> None:
    route = copy.deepcopy(from_value_set("full-values.yaml").of("HTTPRoute")[0])
    assert crd_schemas.problems(route) == []
    route["spec"]["rules"][0]["matches"][0]["path"]["value"] = "/v1//models"
    (problem,) = crd_schemas.problems(route)
    assert "must not contain '//'" in problem


@needs_crds
def test_crd_rules_of_a_field_with_a_default_see_the_default() -> None:
    gateway = copy.deepcopy(from_value_set("full-values.yaml").of("Gateway")[0])
    gateway["spec"]["listeners"][0]["protocol"] = "HTTP"
    assert any("tls must not be specified" in problem for problem in crd_schemas.problems(gateway))
