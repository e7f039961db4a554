"""What the deploy tests look at: rendered objects, and the pods among them."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "tongues"
CRDS = Path(os.environ.get("TONGUES_CRDS", ROOT.parent / "shared" / "crds"))
VALUE_SETS = ["default", *sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))]
KUSTOMIZED = [
    "overlays/local",
    "overlays/gpu",
    "examples/gpu-pool-gke",
    "examples/gpu-pool-eks",
    "examples/gpu-pool-aks",
]
# Trainer's JobSet puts it on every pod of a TrainJob.
TRAINER_LABELS = {"jobset.sigs.k8s.io/jobset-name": "job"}
CLUSTER_KINDS = {"Namespace", "ClusterQueue", "ResourceFlavor", "ClusterTrainingRuntime"}


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deploy_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


render = load_script(ROOT / "manifests" / "render.py")


@dataclass(frozen=True)
class PodView:
    """A pod as some object will make it."""

    owner: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@dataclass(frozen=True)
class Objects:
    """All objects of one release, with the values it was rendered from."""

    items: list[dict[str, Any]]
    values: dict[str, Any]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.items if item["kind"] == kind]

    def names(self, kind: str) -> set[str]:
        return {item["metadata"]["name"] for item in self.of(kind)}

    def pods(self) -> Iterator[PodView]:
        for item in self.items:
            owner = f"{item['kind']}/{item['metadata']['name']}"
            if item["kind"] in ("Deployment", "Job"):
                template = item["spec"]["template"]
                yield PodView(owner, template["metadata"]["labels"], template["spec"])
            elif item["kind"] == "Pod":
                yield PodView(owner, item["metadata"]["labels"], item["spec"])
            elif item["kind"] == "ServingRuntime":
                yield PodView(owner, item["spec"]["labels"], item["spec"])
            elif item["kind"].endswith("TrainingRuntime"):
                for job in item["spec"]["template"]["spec"]["replicatedJobs"]:
                    yield PodView(owner, TRAINER_LABELS, job["template"]["spec"]["template"]["spec"])


def parse(rendered: dict[str, str]) -> list[dict[str, Any]]:
    texts = [text for path, text in rendered.items() if not path.endswith(".txt")]
    return [item for text in texts for item in yaml.safe_load_all(text) if item]


def from_chart(values: dict[str, Any] | None = None, **options: Any) -> Objects:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    return Objects(parse(render.render(values, **options)), merged(defaults, values or {}))


@cache
def from_value_set(name: str) -> Objects:
    return from_chart({} if name == "default" else yaml.safe_load((CHART / "ci" / name).read_text()))


@cache
def from_kustomize(folder: str) -> Objects:
    done = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "manifests" / folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Objects(list(yaml.safe_load_all(done.stdout)), from_value_set("default").values)


def has_kubectl() -> bool:
    return shutil.which("kubectl") is not None


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


def at(values: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a tree."""
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    for child in children:
        yield from walk(child)
