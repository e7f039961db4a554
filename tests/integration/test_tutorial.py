"""The tutorial's own lines, from the recipe to the end of the first run, typed as they stand on the page.

Kubernetes is away. What the page's port-forwards lead to is a server with the shape of the Kubeflow Pipelines
API, and an object store, both over HTTP.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))

from kfp_api import KfpApi, Scene
from object_store import running_store
from written import ROOT, Page

pytestmark = pytest.mark.integration

PAGE = Page(ROOT / "docs" / "tutorial.md")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """The server after the page's lines were typed in a checkout."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in (".venv", "pipelines"):
        (checkout / name).symlink_to(ROOT / name)
    with KfpApi(scenes=[("SUCCEEDED", [Scene("promote")])]) as kfp, running_store("mlpipeline") as store:
        doors = {"localhost:8888": kfp.url, "localhost:9000": store.environment["AWS_ENDPOINT_URL_S3"]}
        copy = _block("tongues recipe cp")
        _typed(copy, checkout, doors)
        _change_the_last_section(checkout / "mine.yaml")
        path = copy.splitlines()[0]
        exports = [line for line in _block("TONGUES_KFP_HOST").splitlines() if line.startswith("export ")]
        submit = next(line for line in _block("tongues submit").splitlines() if "submit" in line)
        script = [path, _block("tongues compile"), *exports, submit.removeprefix("$ ")]
        yield kfp, store, _typed("\n".join(script), checkout, doors)


def test_run_is_started_once_and_watched_to_its_end(first_run):
    kfp, _, said = first_run
    (run,) = kfp.runs.values()
    assert run["service_account"] == "tongues-pipeline"
    assert "kind-pipelines/multilingual_tuning.yaml" in said and "SUCCEEDED" in said


def test_fields_are_those_that_the_page_has_one_fill_in(first_run):
    kfp, store, _ = first_run
    (run,) = kfp.runs.values()
    given = run["runtime_config"]["parameters"]
    assert given["workspace"] == "s3://mlpipeline/tongues"
    head, _, tail = given["recipe"].rpartition("/")
    assert (head.rpartition("/")[0], tail) == ("s3://mlpipeline/tongues/recipes", "mine.yaml")
    key = given["recipe"].removeprefix("s3://mlpipeline/")
    assert b"ready_timeout_s: 1800" in store.client.get_object(Bucket="mlpipeline", Key=key)["Body"].read()


def test_pipeline_needs_no_image_but_the_one_that_was_loaded_and_fits_the_machine(first_run):
    kfp, _, _ = first_run
    (version,) = kfp.versions.values()
    containers = {
        name: executor["container"]
        for name, executor in version["pipeline_spec"]["deploymentSpec"]["executors"].items()
    }
    assert {one["image"] for one in containers.values()} == {"tongues/cpu:0.1.0"}
    assert containers["exec-translate"]["resources"]["resourceCpuLimit"] == "1"
    assert containers["exec-finetune"]["resources"]["resourceMemoryLimit"] == "8Gi"


def _block(part: str) -> str:
    """The one block of the page in which a command stands, as it is typed."""
    (found,) = [block.text for block in PAGE.blocks if part in block.text and block.language != "yaml"]
    return found


def _change_the_last_section(recipe: Path) -> None:
    """What the page says of it: the section `serving` anew, and one more."""
    (anew,) = [block.text for block in PAGE.blocks if block.text.startswith("serving:\n  mode")]
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text[: text.index("serving:\n")] + anew, encoding="utf-8")


def _typed(lines: str, folder: Path, doors: dict[str, str]) -> str:
    """What a shell says that is given these lines; a door on the page's port is the server's own here."""
    for port, url in doors.items():
        lines = lines.replace(f"http://{port}", url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env=os.environ | {"password": "of-the-page"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
