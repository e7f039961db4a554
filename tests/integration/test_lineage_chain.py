"""From the rows to the endpoint and back, on a workspace that `tongues run` has made, local and on S3.

The model is a random two-layer Llama. The whole road is walked by the command line; every file of the chain
is then changed by one byte, and the one that was changed has to be named.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from kserve_server import KServeServer, loading, ready, stale
from object_store import running_store

from tests.integration.test_pipeline_run import apertium, run, write_inputs
from tongues.core.errors import DataError, ServingError, SignatureError, TonguesError
from tongues.core.manifest import MANIFEST_NAME
from tongues.core.recipe import RegistrySection
from tongues.inference.ledger_segments import Segment, write_segment
from tongues.inference.ledger_use import USED_NAME, LedgerLook
from tongues.platform.tracking import Tracking
from tongues.promotion import signing
from tongues.promotion.lineage import LEDGER
from tongues.stages.ledger import ledger_path
from tongues.stages.lineage import chain_of, compare
from tongues.stages.serve import open_registered
from tongues.stages.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
TONGUES = str(Path(sys.executable).parent / "tongues")
__all__ = ["apertium"]


def silent(_):
    """Take a line and drop it."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    private = tmp_path_factory.mktemp("keys") / "signing.pem"
    return private, signing.new_key(private)


@pytest.fixture(scope="module")
def home(tmp_path_factory, apertium, keys):
    """Two versions in a local workspace: the second was trained with another learning rate."""
    folder = tmp_path_factory.mktemp("lineage")
    recipe = write_inputs(folder / "in")
    env = {"TONGUES_SIGNING_KEY": str(keys[0])}
    code, _, log = run(recipe, folder / "work", "--runner", "direct", env=env)
    assert code == 0, log
    text = recipe.read_text().replace("tuning: {", "tuning: {learning_rate: 3.0e-4, ")
    (second := recipe.with_name("second.yaml")).write_text(text)
    code, _, log = run(second, folder / "work", "--runner", "direct", env=env)
    assert code == 0, log
    return folder, Workspace(str(folder / "work"), say=silent)


def told(workspace, model="tiny@champion"):
    """What verify says, also where the chain cannot even be read."""
    try:
        return chain_of(workspace, model).verify()
    except (DataError, ServingError) as error:
        return [error.line()]


def files_of(workspace):
    """Every file of every folder of the champion's chain, its decision, and the files from outside."""
    links = list(chain_of(workspace, "tiny@champion").last.walk())
    folders = [Path(link.location) for link in links if link.manifest]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    ends = [link for link in links if link.manifest is None and not link.inputs and link.name != LEDGER]
    outside = [Path(link.location) for link in ends]
    decisions = [
        Path(link.location.removeprefix("file://")) for link in links if link.name.startswith("decision")
    ]
    return [*files, *outside, *decisions], folders


def test_untouched_chain_reaches_from_rows_to_alias_and_verifies(home):
    _, workspace = home
    chain = chain_of(workspace, "tiny@champion")
    assert chain.verify() == []
    stages = {link.manifest.stage for link in chain.last.walk() if link.manifest}
    assert stages == {
        *("prepare", "base", "translate", "gather", "assemble", "finetune"),
        *("contamination", "score", "evaluate"),
    }
    names = " ".join(link.name for link in chain.last.walk())
    for name in (
        "alias tiny@champion (promote 2",
        "version tiny/2",
        "decision passed",
        "suite-open",
        "source",
    ):
        assert name in names


def test_one_flipped_byte_of_any_file_of_the_chain_names_exactly_that_file(home):
    _, workspace = home
    files, folders = files_of(workspace)
    assert len(files) > 60 and len(folders) >= 12
    missed = []
    for path in files:
        whole = path.read_bytes()
        if not whole or path.name == "model.sig":  # the signature is verified with the key, see below
            continue
        path.write_bytes(
            whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :]
        )
        faults = told(workspace)
        path.write_bytes(whole)
        if not faults or str(path) not in faults[0]:
            missed.append((path, faults))
    assert missed == []
    assert told(workspace) == []


def entries_used(workspace):
    """Keys of the ledger's entries that the champion's chain lists."""
    links = chain_of(workspace, "tiny@champion").last.walk()
    lists = [Path(link.location) / USED_NAME for link in links if link.manifest]
    return {key for path in lists if path.is_file() for key in pq.read_table(path)["key"].to_pylist()}


def test_one_flipped_byte_of_any_ledger_entry_that_was_used_names_exactly_that_entry(home):
    _, workspace = home
    path, keys = ledger_path(workspace), entries_used(workspace)
    whole, tried, missed = path.read_bytes(), 0, []
    with LedgerLook(path) as look:
        texts = {key: entry[1].encode() for key, entry in look.find(list(keys)).items() if entry[1]}
    assert len(texts) > 20
    for key, text in texts.items():
        if whole.count(text) != 1:
            continue  # it stands within another one too, so this byte might be that one's
        tried, at = tried + 1, whole.find(text)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        faults = told(workspace)
        path.write_bytes(whole)
        if len(faults) != 1 or f"{path}: entry {key.hex()[:12]}: changed" not in faults[0]:
            missed.append((key.hex(), faults))
    assert tried > 10 and missed == []
    assert told(workspace) == []


def test_two_versions_differ_first_in_the_learning_rate(home):
    _, workspace = home
    first, *_ = compare(workspace, "tiny/1", "tiny/2")
    assert (first.stage, first.kind, first.what) == ("finetune", "recipe", "tuning.learning_rate")
    assert compare(workspace, "tiny/2", "tiny/2") == []


def test_picture_stands_in_the_versions_run(home):
    _, workspace = home
    tracking = Tracking(RegistrySection(model="tiny"), workspace.local)
    run_id = tracking.models.version("tiny", 2).run_id
    svg = tracking.read_artifact(run_id, "lineage.svg").decode()
    assert svg.startswith("<svg") and "alias tiny@champion" in svg


def test_registered_model_is_signed_and_opened_with_the_key_alone(home, keys, monkeypatch):
    _, workspace = home
    monkeypatch.setenv("TONGUES_VERIFICATION_KEY", str(keys[1]))
    registered = open_registered(workspace, "tiny@champion")
    signature = registered.tuned.folder / "model.sig"
    for path, words in (
        (registered.tuned.folder / "merged" / "config.json", "changed since"),
        (signature, ""),
    ):
        whole = path.read_bytes()
        path.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
        with pytest.raises(SignatureError, match=words) as caught:
            open_registered(workspace, "tiny@champion")
        assert caught.value.where == str(path)
        path.write_bytes(whole)
    whole = signature.read_bytes()
    signature.unlink()
    with pytest.raises(SignatureError, match="not signed"):
        open_registered(workspace, "tiny@champion")
    signature.write_bytes(whole)
    open_registered(workspace, "tiny@champion")


def test_signature_verifies_with_the_standard_tool(home, keys):
    _, workspace = home
    folder = open_registered(workspace, "tiny@champion").tuned.folder
    command = [Path(sys.executable).parent / "model_signing", "verify", "key", folder]
    command += ["--signature", folder / "model.sig", "--public_key", keys[1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_folder_rewritten_with_a_manifest_that_fits_is_not_the_registered_one(home):
    """Without a key the registry's digest still tells; a base with one changed byte is told too."""
    _, workspace = home
    registered = open_registered(workspace, "tiny@champion")
    path = registered.tuned.folder / MANIFEST_NAME
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"mode":"lora"', b'"mode":"full"'))
    with pytest.raises(ServingError, match="not the one that was registered as version 2"):
        open_registered(workspace, "tiny@champion")
    path.write_bytes(whole)
    base = registered.base.folder / "config.json"
    whole = base.read_bytes()
    base.write_bytes(whole + b" ")
    with pytest.raises(ServingError, match=r"base/\w+/config.json: changed"):
        open_registered(workspace, "tiny@champion")
    base.write_bytes(whole)


def test_chain_of_a_copied_workspace_is_that_of_the_copy(home, tmp_path):
    _, workspace = home
    shutil.copytree(workspace.local, tmp_path / "copy")
    copy = Workspace(str(tmp_path / "copy"), say=silent)
    folders = [link.location for link in chain_of(copy, "tiny@champion").last.walk() if link.manifest]
    assert all(folder.startswith(str(tmp_path / "copy")) for folder in folders)
    assert told(copy) == []


@pytest.fixture(scope="module")
def remote(tmp_path_factory, apertium, keys):
    """One version in a workspace on S3, over HTTP."""
    folder = tmp_path_factory.mktemp("remote")
    recipe = write_inputs(folder / "in")
    with running_store("tongues") as store:
        env = store.environment | {"TONGUES_SIGNING_KEY": str(keys[0]), "HOME": str(folder)}
        code, _, log = run(recipe, "s3://tongues/work", "--runner", "direct", env=env)
        assert code == 0, log
        yield store, folder, env | {"TONGUES_VERIFICATION_KEY": str(keys[1])}


def tongues(env, *arguments):
    command = [TONGUES, *arguments, "-w", "s3://tongues/work", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | env)
    return done.returncode, json.loads(done.stdout)


def test_remote_chain_is_read_in_the_store_and_a_flipped_object_is_named(remote):
    store, _, env = remote
    code, answer = tongues(env, "lineage", "verify", "tiny@champion")
    assert (code, answer["faults"]) == (0, [])
    for end in ("merged/model.safetensors", "rows/part-00000.parquet", "comparison.json", MANIFEST_NAME):
        keys = [i["Key"] for i in store.client.list_objects_v2(Bucket="tongues", Prefix="work/")["Contents"]]
        key = next(key for key in keys if key.endswith(end))
        whole = store.client.get_object(Bucket="tongues", Key=key)["Body"].read()
        store.client.put_object(
            Bucket="tongues", Key=key, Body=whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
        )
        code, answer = tongues(env, "lineage", "verify", "tiny@champion")
        assert code == 1 and f"s3://tongues/{key}" in json.dumps(answer), (key, answer)
        store.client.put_object(Bucket="tongues", Key=key, Body=whole)


def test_remote_ledger_is_read_in_the_store_and_an_entry_that_changed_there_is_named(remote, tmp_path):
    store, _, env = remote
    found = store.client.list_objects_v2(Bucket="tongues", Prefix="work/ledger/")["Contents"]
    (key,) = (one["Key"] for one in found)
    whole = store.client.get_object(Bucket="tongues", Key=key)["Body"].read()
    (tmp_path / "old.parquet").write_bytes(whole)
    listed = store.client.list_objects_v2(Bucket="tongues", Prefix="work/translate/")["Contents"]
    used = next(one["Key"] for one in listed if one["Key"].endswith(f"/{USED_NAME}"))
    store.client.download_file("tongues", used, str(tmp_path / USED_NAME))
    changed = pq.read_table(tmp_path / USED_NAME)["key"].to_pylist()[0]  # others were asked for to measure
    with Segment(tmp_path / "old.parquet") as segment:
        entries = [(e[0], "another", *e[2:]) if e[0] == changed else e for e in segment.entries()]
        write_segment(tmp_path / "new.parquet", entries, segment.totals)
    store.client.put_object(Bucket="tongues", Key=key, Body=(tmp_path / "new.parquet").read_bytes())
    code, answer = tongues(env, "lineage", "verify", "tiny@champion")
    store.client.put_object(Bucket="tongues", Key=key, Body=whole)
    assert code == 1
    assert f"s3://tongues/work/ledger: entry {changed.hex()[:12]}: changed" in json.dumps(answer)


def test_version_goes_to_kserve_and_its_chain_then_ends_at_the_endpoint(remote, tmp_path):
    _, _, env = remote
    serve = ("serve", "tiny@champion", "--target", "kserve", "-n", "team-a")
    code, rendered = tongues(env, *serve, "--render", "--with-runtime")
    assert code == 0
    runtime, service = rendered["objects"]
    assert runtime["kind"] == "ServingRuntime"
    assert service["spec"]["predictor"]["model"]["storageUri"].startswith("s3://tongues/work/finetune/")
    with KServeServer(statuses=(stale, loading, ready)) as server:
        env |= {"KUBECONFIG": str(server.kubeconfig(tmp_path))}
        code, answer = tongues(env, *serve, "--dry-run")
        assert (code, answer["dry_run"], server.objects) == (0, True, {})
        code, answer = tongues(env, *serve)
        assert (code, answer["generation"]) == (0, 1), answer
        assert answer["url"] == "http://quickstart-predictor.team-a.svc.cluster.local"
        server.refuse = 403
        code, answer = tongues(env, *serve)
        assert code == 1 and "pipeline.serve=true" in answer["error"]["fix"]
    code, answer = tongues(env, "lineage", "show", "tiny@champion")
    assert answer["links"][0]["name"] == "endpoint team-a/tiny generation 1"
    code, answer = tongues(env, "lineage", "verify", "tiny@champion")
    assert code == 0, answer


def test_unsigned_or_changed_artefact_never_reaches_the_cluster(remote, tmp_path):
    store, _, env = remote
    keys = [i["Key"] for i in store.client.list_objects_v2(Bucket="tongues", Prefix="work/")["Contents"]]
    (key,) = (key for key in keys if key.endswith("/model.sig"))
    whole = store.client.get_object(Bucket="tongues", Key=key)["Body"].read()
    store.client.delete_object(Bucket="tongues", Key=key)
    with KServeServer() as server:
        env |= {"KUBECONFIG": str(server.kubeconfig(tmp_path))}
        code, answer = tongues(env, "serve", "tiny@champion", "--target", "kserve", "-n", "team-a")
        assert code == 1 and answer["error"]["type"] == "SignatureError"
        assert server.requests == []
    store.client.put_object(Bucket="tongues", Key=key, Body=whole)
    assert issubclass(SignatureError, TonguesError)
