import shutil
import stat
from pathlib import Path

import pytest

pytest.importorskip("model_signing", reason="model-signing is not installed: install tongues[registry]")

from tongues.core.digests import digest_files, digest_value
from tongues.core.errors import SignatureError
from tongues.core.manifest import (
    MANIFEST_NAME,
    SIGNATURE_NAME,
    Manifest,
    read_manifest,
    verify_files,
    write_manifest,
)
from tongues.promotion import signing

FILES = {
    "merged/model.safetensors": b"\x00weights" * 40,
    "adapter/adapter_config.json": b'{"r": 4}',
    "mask preview ñ.txt": "sí, 中文, עברית".encode(),
}


def finished(folder: Path) -> Path:
    """A finished folder with a model's files."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    manifest = Manifest(
        stage="finetune",
        key="k" * 20,
        inputs={},
        params_sha256="0" * 64,
        recipe_sha256="1" * 64,
        content_sha256=digest_value("x"),
        files=digest_files(folder),
        wall_s=0.1,
        finished_at="2026-11-28T00:00:00+00:00",
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    private = tmp_path_factory.mktemp("keys") / "signing.pem"
    return private, signing.new_key(private)


@pytest.fixture
def folder(tmp_path, keys):
    folder = finished(tmp_path / "model")
    signing.sign(folder, keys[0])
    return folder


def test_new_key_private_part_is_for_its_owner_alone_and_never_overwritten(keys):
    private, public = keys
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes()
    with pytest.raises(SignatureError, match="not overwritten"):
        signing.new_key(private)
    assert private.read_bytes() == before and public.name == "signing.pem.pub"


def test_signed_folder_verifies_and_stays_what_its_manifest_says(folder, keys):
    signing.verify(folder, keys[1])
    assert verify_files(folder, read_manifest(folder)) == []


def test_signature_verifies_wherever_the_folder_is_moved(folder, keys):
    signing.verify(folder.rename(folder.with_name("elsewhere")), keys[1])


def test_verify_one_flipped_byte_of_any_file_names_exactly_that_file(folder, keys):
    for name in (*FILES, MANIFEST_NAME):
        path = folder / name
        whole = path.read_bytes()
        for at in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(SignatureError, match="changed since it was signed") as caught:
                signing.verify(folder, keys[1])
            assert caught.value.where == str(path)
        path.write_bytes(whole)
    signing.verify(folder, keys[1])


def test_verify_every_tenth_byte_of_the_signature_flipped_is_refused(folder, keys):
    path = folder / SIGNATURE_NAME
    whole = path.read_bytes()
    for at in range(0, len(whole), 10):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(SignatureError):
            signing.verify(folder, keys[1])


@pytest.mark.parametrize("name", ["stray.py", ".gitattributes", "merged/.git/config", "a, b'.txt"])
def test_verify_added_file_is_refused_also_one_that_tools_pass_over(folder, keys, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("x")
    with pytest.raises(SignatureError, match="added after the signature"):
        signing.verify(folder, keys[1])


def test_verify_missing_file_is_named(folder, keys):
    (folder / "adapter" / "adapter_config.json").unlink()
    with pytest.raises(SignatureError, match=r"adapter/adapter_config.json: missing"):
        signing.verify(folder, keys[1])


def test_verify_link_out_of_the_folder_is_refused(folder, keys, tmp_path):
    outside = tmp_path / "outside"
    shutil.move(folder / "adapter" / "adapter_config.json", outside)
    (folder / "adapter" / "adapter_config.json").symlink_to(outside)
    with pytest.raises(SignatureError):
        signing.verify(folder, keys[1])


def test_verify_unsigned_folder_is_refused(folder, keys):
    (folder / SIGNATURE_NAME).unlink()
    with pytest.raises(SignatureError, match="not signed"):
        signing.verify(folder, keys[1])


def test_verify_with_another_key_or_none_is_refused(folder, keys, tmp_path):
    other = signing.new_key(tmp_path / "other")
    with pytest.raises(SignatureError, match="does not hold"):
        signing.verify(folder, other)
    with pytest.raises(SignatureError, match="no public key here"):
        signing.verify(folder, tmp_path / "absent")
    with pytest.raises(SignatureError, match="does not hold"):
        signing.verify(folder, keys[0])  # the private key is no public one


def test_verify_signature_of_another_folder_is_refused(folder, keys, tmp_path):
    other = finished(tmp_path / "other-model")
    (other / "mask preview ñ.txt").unlink()
    manifest = read_manifest(other)
    write_manifest(
        other, manifest.model_copy(update={"files": digest_files(other, leave_out={MANIFEST_NAME})})
    )
    shutil.copyfile(folder / SIGNATURE_NAME, other / SIGNATURE_NAME)
    with pytest.raises(SignatureError):
        signing.verify(other, keys[1])


def test_sign_folder_that_is_not_what_its_manifest_says_is_refused(folder, keys):
    (folder / "mask preview ñ.txt").write_text("changed")
    with pytest.raises(SignatureError, match=r"mask preview ñ.txt: changed"):
        signing.sign(folder, keys[0])


@pytest.mark.parametrize(
    "content", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_sign_with_what_is_no_key_says_so_and_leaves_the_old_signature(folder, keys, tmp_path, content):
    key, before = tmp_path / "key", (folder / SIGNATURE_NAME).read_bytes()
    key.write_text(content)
    with pytest.raises(SignatureError, match="cannot sign with this key"):
        signing.sign(folder, key)
    assert (folder / SIGNATURE_NAME).read_bytes() == before
