"""Write every object of tongues as one file each, for `make verify-cluster` to show to a cluster."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from render import API_VERSIONS, ROOT, render

HOOK = "helm.sh/hook"
EXAMPLES = ROOT / "manifests" / "examples"
PIPELINES = ROOT / "pipelines" / "compiled" / "kubernetes"


def chart_objects(values: dict[str, Any], namespace: str) -> Iterator[dict[str, Any]]:
    """What a release with these values makes, the pods of `helm test` and hook Jobs among it."""
    for path, text in render(values, namespace=namespace, api_versions=API_VERSIONS).items():
        if not path.endswith(".txt"):
            yield from (item for item in yaml.safe_load_all(text) if item)


def example_objects(namespace: str) -> Iterator[dict[str, Any]]:
    """What users apply themselves: InferenceServices, and a TrainJob in the queue."""
    for file in sorted(EXAMPLES.glob("*.yaml")):
        for item in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            item["metadata"]["namespace"] = namespace
            yield item


def pipeline_objects(namespace: str) -> Iterator[dict[str, Any]]:
    """The compiled pipelines and their versions, as they stand beside the compiled files."""
    for file in sorted(PIPELINES.glob("*.yaml")):
        for item in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            item["metadata"]["namespace"] = namespace
            yield item


def main() -> int:
    """Write one JSON object per file (a subset of YAML)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--values", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    values = yaml.safe_load(options.values.read_text(encoding="utf-8")) or {}
    space = options.namespace
    for number, item in enumerate(
        [*chart_objects(values, space), *example_objects(space), *pipeline_objects(space)]
    ):
        name = f"{number:03}-{item['kind'].lower()}-{item['metadata']['name']}.yaml"
        (options.out / name).write_text(json.dumps(item, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
