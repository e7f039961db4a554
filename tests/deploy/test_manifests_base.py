"""manifests/base is what the chart renders, every time the same."""

import shutil
from pathlib import Path

import pytest
from chart_objects import KUSTOMIZED, ROOT, from_kustomize, has_kubectl, parse, render

needs_kubectl = pytest.mark.skipif(not has_kubectl(), reason="needs kubectl for kustomize")


def test_base_equals_the_render() -> None:
    assert render.differences() == []


def test_base_twice_rendered_is_the_same() -> None:
    assert render.base_files() == render.base_files()


@pytest.mark.skipif(
    shutil.which("helm") is None, reason="needs a helm on the path to compare with the package"
)
def test_base_helm_binary_renders_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from_package = render.base_files()
    monkeypatch.setattr(render, "_render_sdk", render._render_binary)
    assert render.base_files() == from_package


def test_base_lost_changed_and_stray_files_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "BASE", tmp_path)
    render.write_base()
    (tmp_path / "mlflow-service.yaml").unlink()
    (tmp_path / "stray.yaml").write_text("kind: Pod\n")
    with (tmp_path / "pipeline-role.yaml").open("a") as file:
        file.write("# edited\n")
    assert render.differences() == ["mlflow-service.yaml", "pipeline-role.yaml", "stray.yaml"]


def test_base_holds_nothing_of_helm_but_the_objects() -> None:
    files = render.base_files()
    assert not [name for name in files if name.startswith(("tests-", "checks", "NOTES"))]
    assert not [name for name, text in files.items() if "managed-by" in text or "helm.sh/chart" in text]
    assert len(parse(files)) == len(files)


@needs_kubectl
@pytest.mark.parametrize("folder", KUSTOMIZED)
def test_overlay_keeps_the_base_but_for_what_it_says(folder: str) -> None:
    base = {item["metadata"]["name"] for item in parse(render.base_files()) if "metadata" in item}
    built = {item["metadata"]["name"] for item in from_kustomize(folder).items}
    assert built - {"tongues"} == base - ({"tongues-vllm-adapter"} if folder.endswith("local") else set())


@needs_kubectl
def test_overlay_local_asks_for_no_accelerator() -> None:
    text = str(from_kustomize("overlays/local").items)
    assert "nvidia.com" not in text
    assert "vllm-openai-cpu:" in text


@needs_kubectl
def test_example_pool_selects_its_nodes() -> None:
    for runtime in from_kustomize("examples/gpu-pool-gke").of("ServingRuntime"):
        assert runtime["spec"]["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}


def test_overlay_cpu_image_is_the_chart_one() -> None:
    chart = render.render({"serving": {"device": "cpu"}})["serving/runtime-merged.yaml"]
    patch = (ROOT / "manifests" / "overlays" / "local" / "runtime-cpu.yaml").read_text()
    image = next(line.split("image: ")[1] for line in chart.splitlines() if " image: " in line)
    assert f"value: {image}\n" in patch
