import pytest

from tongues.core.digests import digest_files
from tongues.core.errors import StorageError
from tongues.core.manifest import Manifest, write_manifest
from tongues.platform import storage


def finished(folder):
    folder.mkdir()
    (folder / "sub").mkdir()
    (folder / "sub" / "ñ.txt").write_text("hola")
    fields = {"stage": "s", "key": "k", "inputs": {}, "params_sha256": "p", "recipe_sha256": "r"}
    files = digest_files(folder)
    write_manifest(folder, Manifest(**fields, content_sha256="c", files=files, wall_s=0, finished_at="t"))
    return folder


def test_local_path_reads_plain_and_file_uris(tmp_path):
    assert storage.local_path(str(tmp_path)) == tmp_path
    assert storage.local_path(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    assert storage.local_path("s3://bucket/key") is None


@pytest.mark.parametrize("uri", ["gs://b/k", "http://h/x"])
def test_unknown_scheme_names_the_known_ones(uri):
    with pytest.raises(StorageError, match="use s3://, file:// or a plain path"):
        storage.local_path(uri)


def test_bytes_round_trip_and_missing_file_is_none(tmp_path):
    uri = f"file://{tmp_path}/deep/f"
    assert storage.read_bytes(uri) is None
    storage.write_bytes(uri, b"\0x")
    assert storage.read_bytes(uri) == b"\0x"


def test_fetch_file_that_is_missing_says_which(tmp_path):
    with pytest.raises(StorageError, match=r"gone\.jsonl: no such file"):
        storage.fetch_file(str(tmp_path / "gone.jsonl"), tmp_path / "x")


def test_publish_then_fetch_gives_the_same_folder(tmp_path):
    folder = finished(tmp_path / "work")
    storage.publish_folder(folder, f"file://{tmp_path}/there")
    assert storage.list_names(str(tmp_path / "there")) == ["manifest.json", "sub/ñ.txt"]
    assert storage.fetch_folder(str(tmp_path / "there"), tmp_path / "into") == tmp_path / "there"


def test_fetch_folder_without_manifest_is_an_error(tmp_path):
    (tmp_path / "half").mkdir()
    with pytest.raises(StorageError, match="no finished output"):
        storage.fetch_folder(str(tmp_path / "half"), tmp_path / "into")
