"""Render the chart, and from its default values write `manifests/base`.

Helm comes from the package helm-python-sdk, which carries it, or else from a `helm` on the path. No
cluster is asked: the APIs and the Kubernetes version that the templates may see are stated here.
"""

import argparse
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "helm" / "tongues"
BASE = ROOT / "manifests" / "base"
RELEASE = "tongues"
NAMESPACE = "tongues"
KUBE_VERSION = "v1.34.0"
API_VERSIONS = (
    "serving.kserve.io/v1alpha1",
    "serving.kserve.io/v1beta1",
    "trainer.kubeflow.org/v1alpha1",
    "kueue.x-k8s.io/v1beta2",
    "gateway.networking.k8s.io/v1",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
)
HEADER = "# Rendered from helm/tongues by manifests/render.py: change the chart, not this file.\n"
# Helm's own label and the chart version say nothing true about objects that kustomize applies.
HELM_LABELS = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n", re.MULTILINE)


class RenderError(Exception):
    """The chart did not render; the message is Helm's."""


def render(
    values: Mapping[str, Any] | None = None,
    *,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
    api_versions: Sequence[str] = API_VERSIONS,
) -> dict[str, str]:
    """Render the chart.

    Args:
        values: what differs from the chart's defaults.
        release: name of the release.
        namespace: namespace of the release.
        api_versions: group/version pairs that the pretended cluster has beside the built-in ones.

    Returns:
        Template path below `templates/` to rendered text; templates that render nothing are left out.

    Raises:
        RenderError: the values break the schema, or a template refused them.
    """
    with_helm = _render_sdk if importlib.util.find_spec("helm_python") else _render_binary
    rendered = with_helm(values or {}, release, namespace, list(api_versions))
    return {path: text.strip() + "\n" for path, text in sorted(rendered.items()) if text.strip()}


def _render_sdk(values: Mapping[str, Any], release: str, namespace: str, apis: list[str]) -> dict[str, str]:
    from helm_python import Chart, HelmError, _native

    options = {"name": release, "namespace": namespace, "api_versions": apis, "kube_version": KUBE_VERSION}
    with Chart.load(CHART) as chart:
        try:
            # The library takes API versions, but Chart.render() has no argument for them in 0.2.2.
            chart.validate_schema(dict(values))
            text = _native.call_string("helm_render", chart._raw(), json.dumps(values), json.dumps(options))
        except HelmError as error:
            raise RenderError(str(error)) from error
    return {path.split("/templates/", 1)[1]: rendered for path, rendered in json.loads(text).items()}


def _render_binary(
    values: Mapping[str, Any], release: str, namespace: str, apis: list[str]
) -> dict[str, str]:
    helm = shutil.which("helm")
    if helm is None:
        raise RenderError("no Helm here: install helm-python-sdk, or put helm on the path")
    flags = [flag for api in apis for flag in ("--api-versions", api)]
    command = [helm, "template", release, str(CHART), "-n", namespace, "--kube-version", KUBE_VERSION, *flags]
    done = subprocess.run(
        [*command, "-f", "-"], input=json.dumps(values), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RenderError(done.stderr.strip())
    rendered: dict[str, str] = {}
    for document in re.split(r"^---\n", done.stdout, flags=re.MULTILINE):
        if source := re.match(r"# Source: [^/]+/templates/(\S+)\n", document):
            rendered[source[1]] = rendered.get(source[1], "") + document[source.end() :]
    return rendered


def base_files() -> dict[str, str]:
    """What `manifests/base` must hold: file name to text."""
    files = {}
    for path, text in render().items():
        if path.startswith("tests/") or path.endswith(".txt"):
            continue
        files[path.replace("/", "-")] = HEADER + HELM_LABELS.sub("", text)
    resources = "".join(f"  - {name}\n" for name in sorted(files))
    files["kustomization.yaml"] = (
        f"{HEADER}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{resources}"
    )
    return files


def differences() -> list[str]:
    """Names of files in `manifests/base` that are missing, superfluous or out of date."""
    wanted = base_files()
    present = {file.name: file.read_text(encoding="utf-8") for file in BASE.glob("*")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def write_base() -> None:
    """Write `manifests/base` anew; files that the chart no longer renders go."""
    BASE.mkdir(exist_ok=True)
    for stale in BASE.glob("*.yaml"):
        stale.unlink()
    for name, text in base_files().items():
        (BASE / name).write_text(text, encoding="utf-8")


def main() -> int:
    """Write manifests/base, or with --check say whether it is up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when it is out of date")
    if not parser.parse_args().check:
        write_base()
        return 0
    stale = differences()
    for name in stale:
        print(f"manifests/base/{name} is out of date: run python manifests/render.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
