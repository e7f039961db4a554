import json

import pytest

from tongues import __version__
from tongues.core.digests import digest_file, digest_files, digest_value
from tongues.core.errors import DataError
from tongues.core.manifest import MANIFEST_NAME, Manifest, Tally, read_manifest, work_key, write_manifest
from tongues.promotion.lineage import chain, render, verify
from tongues.promotion.lineage_store import StoreReader


def finish(root, stage, inputs, text, sources=None):
    """A finished folder as stages leave it; inputs are folders, or digests of files."""
    links = {n: i if isinstance(i, str) else read_manifest(i).digest() for n, i in inputs.items()}
    contents = {n: i if isinstance(i, str) else read_manifest(i).content_sha256 for n, i in inputs.items()}
    key = work_key(stage, contents, digest_value({}))
    folder = root / stage / key
    (folder / "rows").mkdir(parents=True)
    (folder / "rows" / "part-00000.parquet").write_text(text, encoding="utf-8")
    files = digest_files(folder)
    manifest = Manifest(
        stage=stage,
        key=key,
        inputs=links,
        params_sha256=digest_value({}),
        recipe_sha256="r" * 64,
        content_sha256=digest_value(text),
        files=files,
        tallies={"es": Tally(rows_in=3, rows_out=3)},
        observed={"sources": sources or {}},
        wall_s=0.1,
        finished_at="2026-01-01T00:00:00+00:00",
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def world(tmp_path):
    """source.jsonl -> prepare -> translate/es, translate/ca -> gather -> finetune (with base)."""
    source = tmp_path / "outside" / "source.jsonl"
    source.parent.mkdir()
    source.write_text("{}\n", encoding="utf-8")
    root = tmp_path / "workspace"
    noted = {"source": str(source)}
    folders = {"prepare": finish(root, "prepare", {"source": digest_file(source)}, "rows", noted)}
    folders["es"] = finish(root, "translate-es", {"source": folders["prepare"]}, "filas")
    folders["ca"] = finish(root, "translate-ca", {"source": folders["prepare"]}, "files")
    folders["gather"] = finish(root, "gather", {"es": folders["es"], "ca": folders["ca"]}, "store")
    folders["base"] = finish(root, "base", {}, "weights")
    folders["tuned"] = finish(root, "finetune", {"data": folders["gather"], "base": folders["base"]}, "tuned")
    return root, source, folders


def walk(world):
    root, _, folders = world
    return chain(str(folders["tuned"]), StoreReader(str(root)))


def test_chain_of_six_stages_reaches_the_source_file_and_lists_each_link_once(world):
    _, source, folders = world
    links = list(walk(world).walk())
    assert {link.location for link in links} == {str(source), *map(str, folders.values())}
    assert len(links) == 7


def test_verify_untouched_chain_finds_nothing(world):
    root, _, _ = world
    assert verify(walk(world), StoreReader(str(root))) == []


def test_verify_one_flipped_byte_anywhere_names_exactly_that_file(world):
    root, source, _ = world
    last = walk(world)
    files = [source, *(path for path in root.rglob("*.parquet"))]
    assert len(files) == 7
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        (fault,) = verify(last, StoreReader(str(root)))
        assert fault.startswith(f"{path}: changed (sha256 ")
        path.write_bytes(whole)
    assert verify(last, StoreReader(str(root))) == []


def test_verify_flipping_each_byte_of_each_manifest_names_that_manifest(world):
    root, _, folders = world
    registered = walk(world).digest
    missed = []
    for name, folder in folders.items():
        path = folder / MANIFEST_NAME
        whole = path.read_bytes()
        for at in range(0, len(whole), 41):  # every 41st byte: a prime, so that all fields are met
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            try:
                faults = verify(walk(world), StoreReader(str(root)), expected=registered)
            except DataError as error:  # the last manifest itself cannot be read
                faults = [error.line()]
            if not any(str(path) in fault for fault in faults):
                missed.append((name, at, whole[max(0, at - 30) : at + 5], faults))
        path.write_bytes(whole)
    assert missed == []


def test_verify_altered_manifest_beside_other_runs_is_told_apart_from_them(world):
    root, _, folders = world
    for text in ("one more run", "and another"):
        finish(root, f"merge-{len(text)}", {"data": folders["gather"]}, text)
    path = folders["gather"] / MANIFEST_NAME
    path.write_bytes(
        path.read_bytes().replace(b'"rows_out":3', b'"rows_out":2').replace(b'"rows_in":3', b'"rows_in":2')
    )
    (fault,) = verify(walk(world), StoreReader(str(root)))
    assert fault == f"{path}: changed (another digest than {folders['tuned']} read)"


def test_verify_manifest_written_anew_with_the_same_meaning_is_named(world):
    root, _, folders = world
    path = folders["es"] / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=2), encoding="utf-8")
    assert verify(walk(world), StoreReader(str(root))) == [f"{path}: changed (not as it was written)"]


def test_verify_missing_and_extra_files_are_named(world):
    root, _, folders = world
    last = walk(world)
    (folders["es"] / "rows" / "part-00000.parquet").unlink()
    (folders["ca"] / "stray.txt").write_text("x", encoding="utf-8")
    faults = verify(last, StoreReader(str(root)))
    assert sorted(faults) == sorted(
        [
            f"{folders['es'] / 'rows' / 'part-00000.parquet'}: missing",
            f"{folders['ca'] / 'stray.txt'}: not named in the manifest",
        ]
    )


def test_verify_deleted_stage_is_reported_as_missing_input(world):
    root, _, folders = world
    for path in sorted(folders["gather"].rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (fault, *_) = verify(walk(world), StoreReader(str(root)))
    assert "input 'data'" in fault
    assert str(folders["tuned"]) in fault


def test_chain_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(DataError, match="no manifest here"):
        chain(str(tmp_path), StoreReader(str(tmp_path)))


def test_render_shows_every_folder_as_a_tree_with_row_counts(world):
    _, _, folders = world
    text = render(walk(world))
    assert all(str(folder) in text for folder in folders.values())
    assert text.startswith("finetune  ")
    assert "├── base" in text and "└── data" in text and "3 rows" in text
    assert text.count("(shown above)") == 1


def test_code_version_in_manifest_is_the_one_keys_are_made_with(world):
    _, _, folders = world
    assert json.loads((folders["tuned"] / MANIFEST_NAME).read_bytes())["code_version"] == __version__
