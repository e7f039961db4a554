import json

import pytest

from tests.handmade_versions import HandMade
from tongues.core.errors import ServingError, SignatureError, StorageError, TonguesError
from tongues.core.recipe import RegistrySection
from tongues.promotion import signing
from tongues.serving.replicas import Replicas
from tongues.serving.revision import check_name
from tongues.stages import signatures
from tongues.stages.revisions import Fetched, revision_of
from tongues.stages.signatures import voucher
from tongues.stages.workspace import Workspace


@pytest.fixture
def made(tmp_path):
    (tmp_path / "made").mkdir()
    return HandMade(Workspace(str(tmp_path / "work"), say=lambda _: None), tmp_path / "made")


@pytest.fixture
def fetched(tmp_path):
    return Fetched(tmp_path / "home")


def adapter(fetched, made, tuned, **more):
    base = made.base()
    return fetched.adapter(
        revision_of(made.version(tuned)),
        base=base.folder,
        base_digest=base.manifest.digest(),
        **{"max_rank": 8} | more,
    )


def test_adapter_is_written_out_with_the_servers_own_base_path_and_its_recorded_answers(made, fetched):
    tuned = made.tuned()
    prepared = adapter(fetched, made, tuned)
    assert prepared.folder.parent == fetched.adapters
    assert sorted(p.name for p in prepared.folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((prepared.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(made.base().folder)
    assert [(one.lang, one.prompt) for one in prepared.recorded] == [("es", "Hello?")]
    original = tuned.folder / "adapter" / "adapter_config.json"
    assert json.loads(original.read_text())["base_model_name_or_path"] == "Tiny"


def test_adapter_that_was_damaged_after_it_was_written_is_written_again(made, fetched):
    tuned = made.tuned()
    weights = adapter(fetched, made, tuned).folder / "adapter_model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + b"\x00")
    adapter(fetched, made, tuned)
    assert weights.read_bytes() == good


def test_files_that_are_gone_are_named(made, fetched):
    tuned = made.tuned()
    (tuned.folder / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(StorageError, match=r"adapter_model\.safetensors: no such file"):
        adapter(fetched, made, tuned)


def test_folder_that_is_gone_is_told(made, fetched):
    tuned = made.tuned()
    revision = revision_of(made.version(tuned))
    (tuned.folder / "manifest.json").unlink()
    with pytest.raises(StorageError, match="the files are gone"):
        fetched.merged(revision)


@pytest.mark.parametrize(
    "name", ["adapter/adapter_model.safetensors", "adapter/adapter_config.json", "manifest.json"]
)
def test_any_byte_that_changed_is_refused_by_file_name(made, fetched, name):
    tuned = made.tuned()
    version = made.version(tuned)
    path = tuned.folder / name
    content = path.read_bytes()
    at = content.index(b'"stage"') + 3 if name == "manifest.json" else len(content) - 2
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    base = made.base()
    with pytest.raises(TonguesError, match=rf"{path.name}: (changed|not a valid)"):
        fetched.adapter(
            revision_of(version), base=base.folder, base_digest=base.manifest.digest(), max_rank=8
        )
    assert not fetched.adapters.exists()


def test_merged_weights_with_a_file_that_nobody_registered_are_refused(made, fetched):
    tuned = made.tuned()
    assert fetched.merged(revision_of(made.version(tuned))).folder == tuned.folder / "merged"
    (tuned.folder / "merged" / "extra.safetensors").write_bytes(b"")
    with pytest.raises(ServingError, match=r"its manifest does not name: \['merged/extra\.safetensors'\]"):
        fetched.merged(revision_of(made.version(tuned)))


@pytest.mark.parametrize(
    ("reason", "more"),
    [
        ("tuned on another base", {"base": "two"}),
        ("rank 16 is above the server's 8", {"r": 16}),
        ("rank 32 is above the server's 8", {"rank_pattern": {"q_proj": 32}}),
        ("peft_type is 'IA3', not LORA", {"peft_type": "IA3"}),
        ("serves no use_dora", {"use_dora": True}),
        (r"serves no modules_to_save \(\['embed_tokens'\]\)", {"modules_to_save": ["embed_tokens"]}),
        ("serves no trainable_token_indices", {"trainable_token_indices": [7]}),
        (
            r"no LoRA, as of added tokens: base_model\.model\.embed_tokens",
            {"tensors": ("base_model.model.embed_tokens.weight",)},
        ),
        ("tokens that the base does not have: <gl>", {"tokens": ("<s>", "<gl>")}),
    ],
)
def test_adapter_that_the_server_could_not_serve_is_refused_with_the_reason(made, fetched, reason, more):
    with pytest.raises(ServingError, match=reason):
        adapter(fetched, made, made.tuned(**more))
    assert not fetched.adapters.exists()


def test_unsigned_version_is_refused_before_anything_is_written_for_the_server(made, tmp_path):
    def unsigned(folder):
        assert sorted(p.name for p in folder.iterdir()) == [
            "adapter",
            "manifest.json",
            "merged",
            "recipe.yaml",
        ]
        raise ServingError("not signed", where=str(folder))

    with pytest.raises(ServingError, match="not signed"):
        adapter(Fetched(tmp_path / "home", unsigned), made, made.tuned())
    assert not (tmp_path / "home" / "adapters").exists()


def test_evaluation_that_changed_is_refused(made, fetched):
    tuned = made.tuned()
    (made.evaluated(tuned).folder / "recorded.json").write_text("[]")
    with pytest.raises(StorageError, match=r"recorded\.json: changed"):
        adapter(fetched, made, tuned)


def test_version_without_the_tags_that_pin_it_is_refused(made):
    version = made.version(made.tuned())
    del version.tags["tongues.manifest_sha256"]
    with pytest.raises(ServingError, match=r"version 1 lacks the tags tongues\.manifest_sha256"):
        revision_of(version)


@pytest.mark.parametrize(
    "name", ["a/b", "../up", "..", "a..b", "a b", "", ".hidden", "é", "a\nb", "a" * 101, "a%2Fb"]
)
def test_name_that_could_lead_elsewhere_is_refused(name):
    with pytest.raises(ServingError, match="not a name that a server may load"):
        check_name(name)


def test_folder_outside_the_allowed_one_is_never_loaded(made, fetched, tmp_path):
    revision = revision_of(made.version(made.tuned()))
    replicas = Replicas(["http://127.0.0.1:9"], fetched.adapters)
    for folder in (tmp_path, fetched.adapters / ".." / revision.served_as, fetched.adapters / "other"):
        with pytest.raises(ServingError, match="the only folder to load from"):
            replicas.load("http://127.0.0.1:9", revision, folder)
    link = fetched.adapters / revision.served_as
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path)
    with pytest.raises(ServingError, match="the only folder to load from"):
        replicas.load("http://127.0.0.1:9", revision, link)


def test_discard_removes_what_was_written_and_leaves_the_workspace_alone(made, fetched):
    tuned = made.tuned()
    written, own = adapter(fetched, made, tuned), fetched.merged(revision_of(made.version(tuned)))
    fetched.discard(written)
    fetched.discard(own)
    assert not written.folder.exists()
    assert own.folder.exists()


def test_signed_revision_is_taken_and_one_signed_by_another_or_not_at_all_is_refused(
    made, tmp_path, monkeypatch
):
    tuned, key, other = made.tuned(), tmp_path / "key", tmp_path / "other"
    publics = [signing.new_key(path) for path in (key, other)]
    monkeypatch.setenv("TONGUES_VERIFICATION_KEY", str(publics[0]))
    careful = Fetched(tmp_path / "home", voucher())
    with pytest.raises(SignatureError, match="not signed"):
        adapter(careful, made, tuned)
    signing.sign(tuned.folder, other)
    with pytest.raises(SignatureError, match="does not hold"):
        adapter(careful, made, tuned)
    signing.sign(tuned.folder, key)
    assert adapter(careful, made, tuned).folder.is_dir()


def test_key_of_the_pod_is_taken_where_none_is_named(tmp_path, monkeypatch):
    mounted, named = tmp_path / "signing.pem", tmp_path / "mine.pem"
    for variable in ("TONGUES_SIGNING_KEY", "TONGUES_VERIFICATION_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(signatures, "MOUNTED_SIGNING_KEY", mounted)
    monkeypatch.setattr(signatures, "MOUNTED_VERIFICATION_KEY", mounted.with_suffix(".pem.pub"))
    section = RegistrySection(model="m")
    assert (signatures.signing_key(section), signatures.verification_key()) == (None, None)
    public = signing.new_key(mounted)
    assert (signatures.signing_key(section), signatures.verification_key()) == (mounted, public)
    monkeypatch.setenv("TONGUES_SIGNING_KEY", str(named))
    assert signatures.signing_key(section) == named, "one that is named has to be there"
