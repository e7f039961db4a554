"""What keeps a recipe from running in pods is said here, before anything is sent."""

import re
from pathlib import Path

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe_file import parse_recipe
from tongues.stages.given import read_recipe
from tongues.stages.remote_preflight import check_remote, pod_recipe, upload

QUICKSTART = Path(__file__).resolve().parents[3] / "recipes" / "quickstart.yaml"
WORKSPACE = "s3://bucket/work"


@pytest.fixture
def no_store(monkeypatch):
    """An object store that cannot be reached from here, and says so at once."""

    def away(uri):
        from tongues.core.errors import StorageError

        raise StorageError("the object store refused", where=uri)

    monkeypatch.setattr("tongues.platform.storage._s3_exists", away)


@pytest.fixture
def recipe(tmp_path):
    def make(text=None, **replaced):
        text = text or re.sub(r"(uri): quickstart/", r"\1: s3://b/q/", QUICKSTART.read_text(encoding="utf-8"))
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
        return read_recipe(str(tmp_path / "r.yaml"))

    return make


def problems(given, workspace=WORKSPACE):
    with pytest.raises(PreflightError) as caught:
        check_remote(given, workspace)
    return caught.value


def test_a_recipe_with_remote_files_is_sent_as_its_own_text(recipe, no_store):
    given = recipe()
    check_remote(given, WORKSPACE)
    text = pod_recipe(given)
    assert text.startswith("#") and parse_recipe(text.encode(), where="x").digest() == given.recipe.digest()


def test_every_local_file_and_folder_is_named_with_the_way_out(no_store):
    found = problems(read_recipe(str(QUICKSTART)), "work")
    named = [line.split(":")[0] for line in found.problems]
    suite = [f"evaluation.suite.{name}_uri" for name in ("choices", "translation", "open")]
    assert named == ["--workspace work", "source.uri", *suite]
    assert "--upload" in found.fix


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "mlflow.localhost"])
def test_an_address_of_this_machine_is_refused(host, recipe, no_store):
    given = recipe(**{"registry:\n": f"registry:\n  tracking_uri: http://{host}:5000\n"})
    assert "is the pod itself" in problems(given).problems[0]


def test_a_tracking_file_is_refused_and_a_server_is_not(recipe, no_store):
    for uri, fine in (("sqlite:////tmp/m.db", False), ("http://mlflow.mlflow:5000", True)):
        given = recipe(**{"registry:\n": f"registry:\n  tracking_uri: {uri}\n"})
        if fine:
            check_remote(given, WORKSPACE)
        else:
            assert "is a file of the pod" in problems(given).problems[0]


def test_an_endpoint_on_this_machine_is_refused(recipe, no_store):
    engine = "kind: openai\n    model: m\n    endpoints: [{base_url: 'http://localhost:8000/v1'}]"
    found = problems(recipe(**{"kind: apertium": engine}))
    assert found.problems == (
        "translation.engine.endpoints.0.base_url: http://localhost:8000/v1 is the pod itself inside a pod; "
        "write an address that the cluster reaches",
    )


def test_a_key_that_no_step_gets_is_named(no_store, recipe):
    endpoint = "{base_url: http://translator.team-a:8000/v1, api_key_env: MY_KEY}"
    engine = f"kind: openai\n    model: m\n    endpoints: [{endpoint}]"
    told = problems(recipe(**{"kind: apertium": engine})).problems
    assert [line for line in told if "no step gets MY_KEY" in line and "tongues-pipeline-engines" in line]


def test_a_variant_of_an_ablation_travels_as_a_recipe_of_its_own(no_store):
    path = QUICKSTART.with_name("ablation-quick.yaml")
    variant = read_recipe(f"{path}#taco")
    assert parse_recipe(pod_recipe(variant).encode(), where="x").digest() == variant.recipe.digest()


def test_a_text_too_long_for_an_argument_is_refused(recipe, no_store):
    given = recipe(**{"registry:\n": "# " + "long " * 20_000 + "\nregistry:\n"})
    assert "--upload sends its address" in problems(given).problems[0]


def test_an_upload_without_an_object_store_or_with_missing_files_is_refused(tmp_path):
    (tmp_path / "r.yaml").write_text(QUICKSTART.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(PreflightError) as caught:
        upload(read_recipe(str(tmp_path / "r.yaml")), str(tmp_path / "w"))
    assert len(caught.value.problems) == 5 and "no such file" in caught.value.problems[1]


def test_a_file_above_the_recipe_is_not_uploaded_under_another_name(tmp_path):
    text = QUICKSTART.read_text(encoding="utf-8").replace("uri: quickstart/", "uri: ../quickstart/")
    (tmp_path / "r.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PreflightError, match="stands above the recipe"):
        upload(read_recipe(str(tmp_path / "r.yaml")), WORKSPACE)
