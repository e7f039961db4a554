"""The hook Job's program against a Kubeflow Pipelines server, standalone and multi-user."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from chart_objects import CHART, ROOT, from_value_set
from kfp_api import KfpApi

COMPILED = ROOT / "pipelines" / "compiled" / "evaluate_model.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(COMPILED, tmp_path)
    return tmp_path


def upload(api: KfpApi, folder: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    env = {"KFP_HOST": api.url, "KFP_NAMESPACE": "", "PIPELINES_FOLDER": str(folder), "HOME": str(folder)}
    program = (CHART / "files" / "upload_pipelines.py").read_text()
    return subprocess.run(
        [sys.executable, "-c", program],
        env=env | changes | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_upload_new_version_only_when_the_content_changed(folder: Path) -> None:
    with KfpApi() as api:
        first, again = upload(api, folder), upload(api, folder)
        assert (first.returncode, again.returncode) == (0, 0), first.stderr
        assert first.stdout.rstrip().endswith(": uploaded")
        assert again.stdout.rstrip().endswith(": was there already")
        file = folder / COMPILED.name
        file.write_text(file.read_text().replace("description: ", "description: new ", 1))
        assert upload(api, folder).stdout.rstrip().endswith(": uploaded")
        assert len(api.versions) == 2


def test_upload_multi_user_shows_its_token(folder: Path) -> None:
    token = folder / "token"
    token.write_text("token-of-ada")
    with KfpApi(multi_user=True) as api:
        done = upload(api, folder, KFP_NAMESPACE="team-a", KFP_TOKEN_FILE=str(token))
        assert done.returncode == 0, done.stderr
        refused = upload(api, folder, KFP_NAMESPACE="team-b", KFP_TOKEN_FILE=str(token))
        assert refused.returncode != 0
        assert len(api.versions) == 1


def test_upload_token_is_where_the_job_mounts_it() -> None:
    (job,) = from_value_set("multi-user-values.yaml").of("Job")
    spec = job["spec"]["template"]["spec"]
    (box,) = spec["containers"]
    env = {entry["name"]: entry["value"] for entry in box["env"]}
    mount = next(one["mountPath"] for one in box["volumeMounts"] if one["name"] == "token")
    source = next(volume for volume in spec["volumes"] if volume["name"] == "token")["projected"]["sources"][
        0
    ]
    assert env["KFP_TOKEN_FILE"] == f"{mount}/{source['serviceAccountToken']['path']}"
    assert yaml.safe_load(env["KFP_NAMESPACE"]) == "tongues"
