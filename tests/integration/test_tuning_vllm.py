"""The real base model, tuned by the stage, answers in vLLM as in transformers; planted faults do not."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: install tongues[serve-cpu]")

from tests.servers.tuning_node import dataset_and_base, given_with
from tongues.core.digests import digest_value
from tongues.core.errors import TuningError
from tongues.core.recipe import LoraSection, SafetySection, TuningSection
from tongues.serving.endpoint import running
from tongues.serving.local import serving
from tongues.serving.vllm_command import ServerPlan
from tongues.stages.finetune import finetune
from tongues.stages.finetune_served import SERVED, likeness
from tongues.stages.workspace import Output, Workspace
from tongues.tuning.parity import Parity, parity

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
PROMPTS = ["What is the capital of France?", "Count to 5.", "Escriu una frase.", "¿Qué es la lluvia?"]
BOUNDS = SERVED["float32"]


@pytest.fixture(scope="module")
def base() -> Path:
    path = os.environ.get("TONGUES_TEST_MODEL")
    if not path:
        pytest.skip("TONGUES_TEST_MODEL names no model folder; `make demo` makes one to point it at")
    return Path(path)


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Output, Workspace, list[str]]:
    """A short training that both of its results, adapter and merged weights, are served after."""
    said: list[str] = []
    place = Workspace(str(tmp_path_factory.mktemp("work")), say=said.append)
    section = TuningSection(
        lora=LoraSection(r=8, alpha=16, dropout=0.0),
        learning_rate=2e-3,
        max_steps=6,
        batch_rows=4,
        safety=SafetySection(parity="vllm"),
    )
    given = given_with(section)
    return finetune(given, place, *dataset_and_base(place, given, base)), place, said


@pytest.fixture(scope="module")
def recorded(base: Path, tuned: tuple[Output, Workspace, list[str]]) -> Parity:
    """What transformers answers, with the adapter and with the merged weights."""
    folder = tuned[0].folder
    return parity(base, folder / "adapter", folder / "merged", PROMPTS)


def test_adapter_and_merged_weights_answer_alike_in_vllm_and_it_is_in_the_manifest(
    tuned: tuple[Output, Workspace, list[str]],
) -> None:
    output, place, said = tuned
    measured = output.manifest.observed["parity"]
    assert set(measured["vllm"]) == {"merged", "adapter"}
    for one in measured["vllm"].values():
        assert (one["prompts"], one["tokens"]) == (4, 96)
        assert one["agreement"] >= BOUNDS.agreement
        assert one["mean_difference"] <= BOUNDS.mean
    assert len(digest_value(measured)) == 64
    assert sum("vLLM answers like transformers" in line for line in said) == 2
    assert list(running(place.local)) == [], "no server is left"


def held(plan: ServerPlan, answers: Any, work: Path) -> Any:
    with serving([plan], workspace=work) as (server,):
        return likeness(server.url, plan.name, answers, BOUNDS, where=str(plan.folder))


def test_adapter_that_is_scaled_is_refused(
    base: Path, tuned: tuple[Output, Workspace, list[str]], recorded: Parity, tmp_path: Path
) -> None:
    shutil.copytree(tuned[0].folder / "adapter", tmp_path / "scaled")
    path = tmp_path / "scaled" / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"lora_alpha": config["lora_alpha"] * 1.1}))
    plan = ServerPlan(base, "adapter", adapter=tmp_path / "scaled", max_model_len=256, dtype="float32")
    with pytest.raises(TuningError, match=r"vLLM \(adapter\) does not answer like what was trained"):
        held(plan, recorded.trained, tmp_path)


def test_template_with_one_newline_more_is_refused(
    tuned: tuple[Output, Workspace, list[str]], recorded: Parity, tmp_path: Path
) -> None:
    shutil.copytree(tuned[0].folder / "merged", tmp_path / "merged")
    path = tmp_path / "merged" / "chat_template.jinja"
    template = path.read_text()
    path.write_text(template.replace("<|im_start|>", "<|im_start|>\n"))
    assert path.read_text() != template
    plan = ServerPlan(tmp_path / "merged", "merged", max_model_len=256, dtype="float32")
    with pytest.raises(TuningError, match=r"vLLM \(merged\) renders a prompt to other tokens"):
        held(plan, recorded.written, tmp_path)
