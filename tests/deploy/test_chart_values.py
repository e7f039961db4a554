"""The values: closed schema, complete documentation, clear refusals."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from chart_objects import CHART, ROOT, VALUE_SETS, at, from_chart, load_script, nested, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
readme = load_script(ROOT / "helm" / "readme.py")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return SCHEMA["definitions"][reference.rpartition("/")[2]] if reference else schema


def closed_paths(schema: dict[str, Any] = SCHEMA, prefix: str = "") -> Iterator[str]:
    """Dotted path of every value that the schema names, at every level."""
    for key, child in resolved(schema).get("properties", {}).items():
        path = f"{prefix}{key}"
        yield path
        yield from closed_paths(child, f"{path}.")


PATHS = list(closed_paths())


def test_schema_names_exactly_the_values_there_are() -> None:
    free = (
        "resources.requests",
        "resources.limits",
        "kueue.quota",
        "quota.hard",
        "defaultLimit",
        "defaultRequest",
    )

    def keys(values: Any, path: str = "") -> Iterator[str]:
        if isinstance(values, dict) and not path.endswith(free):
            for key, value in values.items():
                yield f"{path}.{key}".lstrip(".")
                yield from keys(value, f"{path}.{key}")

    assert sorted(keys(DEFAULTS)) == sorted(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_schema_misspelt_key_refused(path: str) -> None:
    with pytest.raises(render.RenderError, match=f"{path.rpartition('.')[2]}x"):
        render.render(nested(f"{path}x", at(DEFAULTS, path)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mlflow.replicas", 0),
        ("mlflow.replicas", "2"),
        ("mlflow.image.tag", "latest"),
        ("mlflow.image.digest", "sha256:12"),
        ("mlflow.auth.existingSecret", ""),
        ("mlflow.auth.defaultPermission", "ADMIN"),
        ("mlflow.database.kind", "postgres"),
        ("mlflow.artifacts.destination", "bucket/prefix"),
        ("mlflow.persistence.size", "ten"),
        ("mlflow.resources.limit", {}),
        ("serving.device", "tpu"),
        ("serving.adapter.maxLoraRank", 100),
        ("serving.gpu.resource", "gpu"),
        ("serving.runAsUser", 0),
        ("podSecurity.runAsUser", 0),
        ("networkPolicy.dns.to", []),
        ("networkPolicy.serving.from", [{}]),
        ("networkPolicy.serving.from", [{"podSelectr": {}}]),
        ("imagePullSecrets", ["name"]),
    ],
)
def test_schema_impossible_value_refused(path: str, value: Any) -> None:
    with pytest.raises(render.RenderError, match=path.rpartition(".")[2]):
        render.render(nested(path, value))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mlflow": {"replicas": 2}}, ["mlflow.replicas is 2", "sqlite", "s3://BUCKET/PREFIX"]),
        ({"mlflow": {"database": {"kind": "external"}}}, ["mlflow.database.existingSecret is empty"]),
        ({"mlflow": {"artifacts": {"existingSecret": "s3"}}}, ["mlflow.artifacts.destination is empty"]),
        ({"serving": {"merged": {"enabled": False}, "adapter": {"enabled": False}}}, ["both false"]),
    ],
)
def test_checks_values_that_contradict_refused_with_the_fix(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(render.RenderError) as refused:
        render.render(values)
    assert [word for word in words if word not in str(refused.value)] == []


def test_checks_absent_apis_all_named_at_once() -> None:
    with pytest.raises(render.RenderError) as refused:
        render.render({"pipeline": {"train": True}}, api_versions=())
    assert "serving.kserve.io/v1alpha1" in str(refused.value)
    assert "trainer.kubeflow.org/v1alpha1" in str(refused.value)


def test_checks_switched_off_renders_without_apis() -> None:
    values = {"checks": {"capabilities": False}}
    assert from_chart(values, api_versions=()).names("ServingRuntime") == {
        "tongues-vllm",
        "tongues-vllm-adapter",
    }


def test_checks_absent_api_of_a_part_switched_off_renders() -> None:
    assert not from_chart({"serving": {"enabled": False}}, api_versions=()).of("ServingRuntime")


def test_lint_no_warnings() -> None:
    helm = pytest.importorskip("helm_python", reason="helm lint runs through helm-python-sdk")
    for name in VALUE_SETS:
        values = {} if name == "default" else yaml.safe_load((CHART / "ci" / name).read_text())
        # Lint renders without a cluster, where no API is known.
        report = helm.lint(
            CHART, {**values, "checks": {"capabilities": False}}, namespace="tongues", strict=True
        )
        assert report["errors"] == []
        assert [message for message in report["messages"] if message["severity"] > 1] == []


def test_readme_equals_what_values_say() -> None:
    assert (CHART / "README.md").read_text() == readme.readme()


def test_readme_documents_every_value() -> None:
    documented = {row.path for row in readme.documented()}
    leaves = {path for path in PATHS if not any(other.startswith(f"{path}.") for other in PATHS)}
    covered = {
        path for path in leaves if any(path == row or path.startswith(f"{row}.") for row in documented)
    }
    assert leaves - covered == set()


def test_readme_undocumented_value_refused(tmp_path: Any) -> None:
    (tmp_path / "values.yaml").write_text("# -- Said.\na: 1\nb:\n  c: 2\n")
    with pytest.raises(ValueError, match=r"b\.c"):
        readme.documented(tmp_path)


def test_notes_name_the_secret_to_make_and_the_runtimes() -> None:
    notes = render.render({"mlflow": {"auth": {"existingSecret": "own-secret"}}})["NOTES.txt"]
    assert "create secret generic own-secret" in notes
    assert "tongues-vllm-adapter" in notes
    assert "helm test tongues" in notes
