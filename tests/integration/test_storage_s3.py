"""The object store over real HTTP: moto's server with boto3 as the pods use it."""

from pathlib import Path

import pytest

from tongues.core.digests import digest_files
from tongues.core.errors import StorageError
from tongues.core.manifest import Manifest, read_manifest, write_manifest
from tongues.core.recipe_file import load_recipe
from tongues.platform import storage
from tongues.stages.lineage import chain_of_output
from tongues.stages.workspace import Report, Workspace

pytestmark = pytest.mark.integration
QUICKSTART = Path(__file__).resolve().parents[2] / "recipes" / "quickstart.yaml"


def finished(folder):
    folder.mkdir()
    (folder / "part.bin").write_bytes(b"\0" * 10_000)
    fields = {"stage": "s", "key": "k", "inputs": {}, "params_sha256": "p", "recipe_sha256": "r"}
    files = digest_files(folder)
    write_manifest(folder, Manifest(**fields, content_sha256="c", files=files, wall_s=0, finished_at="t"))
    return folder


def test_publish_and_fetch_over_http_give_the_same_bytes(bucket, tmp_path):
    storage.publish_folder(finished(tmp_path / "a"), f"{bucket}/a")
    fetched = storage.fetch_folder(f"{bucket}/a", tmp_path / "b")
    assert digest_files(fetched) == digest_files(tmp_path / "a")
    assert storage.list_names(f"{bucket}/a") == ["manifest.json", "part.bin"]


def test_fetch_of_a_changed_file_is_refused_and_names_it(bucket, tmp_path):
    storage.publish_folder(finished(tmp_path / "a"), f"{bucket}/a")
    storage.write_bytes(f"{bucket}/a/part.bin", b"\0" * 9_999 + b"\1")
    with pytest.raises(StorageError, match=r"part\.bin: changed in the store"):
        storage.fetch_folder(f"{bucket}/a", tmp_path / "b")
    assert read_manifest(tmp_path / "b") is None


def test_half_uploaded_folder_is_not_finished(bucket, tmp_path):
    storage.write_bytes(f"{bucket}/half/part.bin", b"x")
    assert storage.read_manifest_at(f"{bucket}/half") is None
    with pytest.raises(StorageError, match="no finished output"):
        storage.fetch_folder(f"{bucket}/half", tmp_path / "b")


def test_number_sign_belongs_to_the_key(bucket):
    storage.write_bytes("s3://tongues/in/recipe.yaml", b"whole")
    assert not storage.exists("s3://tongues/in/recipe.yaml#es")
    storage.write_bytes("s3://tongues/in/my#1.yaml", b"another")
    assert storage.read_bytes("s3://tongues/in/my#1.yaml") == b"another"


def test_missing_bucket_says_what_to_check(bucket):
    with pytest.raises(StorageError, match="AWS_ENDPOINT_URL_S3"):
        storage.write_bytes("s3://nowhere/x", b"x")


def test_workspace_on_s3_is_found_finished_from_another_machine(bucket, tmp_path):
    def work(folder):
        (folder / "out").write_text("once")
        return Report()

    def go(scratch, work):
        place = Workspace(bucket, scratch=scratch, say=lambda _: None)
        return place.finish("stage", recipe=load_recipe(QUICKSTART), inputs={"f": "1"}, params=1, work=work)

    first = go(tmp_path / "laptop", work)
    second = go(tmp_path / "pod", lambda folder: pytest.fail("did the work again"))
    assert second.manifest == first.manifest
    assert (second.folder / "out").read_text() == "once"


def test_lineage_of_a_model_in_s3_is_verified_from_a_machine_that_holds_nothing(bucket, tmp_path):
    def workspace(machine):
        return Workspace(f"{bucket}/lineage", tmp_path / machine, say=lambda _: None)

    def made(stage, inputs):
        def work(folder):
            (folder / "content.txt").write_text(stage, encoding="utf-8")
            return Report()

        return workspace("here").finish(stage, recipe=recipe, inputs=inputs, params={}, work=work)

    recipe = load_recipe(Path("recipes/quickstart.yaml"))
    data = made("assemble", {})
    model = made("finetune", {"dataset": data})
    there = workspace("there")
    assert chain_of_output(there, there.open(model.uri)).verify() == []
    storage.write_bytes(storage.join(data.uri, "content.txt"), b"other")
    elsewhere = workspace("elsewhere")
    (fault,) = chain_of_output(elsewhere, elsewhere.open(model.uri)).verify()
    assert "content.txt" in fault
