"""An exported data set goes where others find it: an object store and the hub, both over HTTP."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

import hub as hub_server

from tongues.core.errors import StorageError
from tongues.platform.hub import push

pytestmark = pytest.mark.integration
PUSH = """
import sys
from pathlib import Path
from tongues.core.errors import StorageError
from tongues.platform.hub import push
try:
    print(push(Path(sys.argv[1]), sys.argv[2]))
except StorageError as error:
    sys.exit(error.line())
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set" / "train").mkdir(parents=True)
    (tmp_path / "set" / "README.md").write_text("---\nlicense: mit\n---\n# नमस्ते\n", encoding="utf-8")
    (tmp_path / "set" / "train" / "00000.parquet").write_bytes(bytes(range(256)) * 40)
    return tmp_path / "set"


def to_hub(folder, url, token=hub_server.TOKEN):
    """In a process of its own: the hub's client reads its address when it is imported."""
    environment = {"HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", PUSH, str(folder), "hf://org/lessons"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_folder_reaches_an_empty_prefix_whole_and_a_full_one_is_left_alone(folder, object_store):
    assert push(folder, "s3://tongues/lessons/1") == "s3://tongues/lessons/1"
    stored = {o["Key"] for o in object_store.client.list_objects_v2(Bucket="tongues")["Contents"]}
    assert stored == {"lessons/1/README.md", "lessons/1/train/00000.parquet"}
    body = object_store.client.get_object(Bucket="tongues", Key="lessons/1/train/00000.parquet")[
        "Body"
    ].read()
    assert body == (folder / "train" / "00000.parquet").read_bytes()
    with pytest.raises(StorageError, match=r"holds 2 files, README\.md among them"):
        push(folder, "s3://tongues/lessons/1")


def test_hub_gets_one_commit_to_a_private_data_set(folder):
    with hub_server.Hub() as hub:
        done = to_hub(folder, hub.url)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().startswith(f"{hub.url}/datasets/org/lessons/commit/")
        assert hub.private == {"org/lessons": True}
        content = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
        assert hub.files == {"org/lessons": content}
        again = to_hub(folder, hub.url)
        assert (again.returncode, hub.private) == (0, {"org/lessons": True})


def test_hub_that_refuses_the_token_is_an_error_with_what_to_do(folder):
    with hub_server.Hub() as hub:
        refused = to_hub(folder, hub.url, token="hf_wrong")
        assert refused.returncode == 1
        assert "the hub refused" in refused.stderr and "HF_TOKEN" in refused.stderr
        assert hub.files == {}
