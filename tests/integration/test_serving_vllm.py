import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: install tongues[serve-cpu]")

from tongues.core.errors import ServingError
from tongues.platform.processes import command_of
from tongues.serving.chat import ask, ask_side_by_side
from tongues.serving.endpoint import running
from tongues.serving.local import start
from tongues.serving.vllm_command import ServerPlan
from tongues.stages.serving_mode import measured
from tongues.stages.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def model():
    """A small instruction model with a chat template, as a transformers folder."""
    path = os.environ.get("TONGUES_TEST_MODEL")
    if not path:
        pytest.skip("TONGUES_TEST_MODEL names no model folder; `make demo` makes one to point it at")
    return Path(path)


@pytest.fixture(scope="module")
def adapter(model, tmp_path_factory):
    """A fresh LoRA adapter: its B matrices are zero, so it must answer exactly as the base."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter")
    base = AutoModelForCausalLM.from_pretrained(model)
    get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"])).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def servers(model, adapter, tmp_path_factory):
    """Two servers side by side: merged weights, and base with adapter."""
    workspace = tmp_path_factory.mktemp("workspace")
    lines = []
    plans = [
        ServerPlan(model, "merged", dtype="float32", kv_cache_mib=256),
        ServerPlan(model, "tuned", adapter=adapter, dtype="float32", kv_cache_mib=256),
    ]
    endpoints = start(plans, workspace=workspace, ready_timeout_s=240, say=lines.append)
    try:
        yield workspace, endpoints, lines
    finally:
        family = [p.pid for e in endpoints if e.alive for p in _family(e.pid)]
        for endpoint in endpoints:
            endpoint.stop()
        assert [pid for pid in family if "vllm" in command_of(pid).lower()] == []
        assert running(workspace) == []


def _family(pid):
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]


def test_start_two_servers_progress_says_where_and_how_long(servers):
    workspace, endpoints, lines = servers
    assert running(workspace) == sorted(endpoints, key=lambda e: Path(e.state).name)
    assert any("serve merged: starting, " in line for line in lines)
    assert any(f"serve tuned: ready at {endpoints[1].url} after" in line for line in lines)
    for endpoint in endpoints:
        assert httpx.get(f"{endpoint.url}/models").json()["data"]


def test_ask_side_by_side_merged_and_untrained_adapter_answer_alike_and_as_transformers_does(servers, model):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, endpoints, _ = servers
    (asked,) = ask_side_by_side([(e.url, e.name) for e in endpoints], [QUESTION], max_tokens=12)
    reference, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    turn = [{"role": "user", "content": QUESTION}]
    prompt = tokenizer.apply_chat_template(
        turn, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = reference.float().generate(**prompt, max_new_tokens=12, do_sample=False)
    expected = tokenizer.decode(output[0][prompt["input_ids"].shape[1] :], skip_special_tokens=True)
    assert [answer.text for answer in asked.answers] == [expected, expected]


def test_adapter_server_serves_the_base_too_under_its_own_name(servers):
    _, endpoints, _ = servers
    names = {m["id"] for m in httpx.get(f"{endpoints[1].url}/models").json()["data"]}
    assert names == {"tuned", "tuned-base"}
    with pytest.raises(ServingError, match="ask for one of merged"):
        ask(endpoints[0].url, "tuned", QUESTION)


def test_ask_more_than_the_context_holds_passes_the_servers_reason_on(servers):
    _, endpoints, _ = servers
    with pytest.raises(ServingError, match=r"refused the question: .*(2048|context)"):
        ask(endpoints[0].url, "merged", "word " * 4000)


def test_start_second_server_on_the_same_port_is_refused_at_once(servers, model, tmp_path):
    _, endpoints, _ = servers
    started = time.monotonic()
    with pytest.raises(ServingError, match="is taken"):
        start([ServerPlan(model, "again", port=endpoints[0].port)], workspace=tmp_path)
    assert time.monotonic() - started < 5


def test_ask_sixteen_at_once_all_get_the_same_answer(servers):
    _, endpoints, _ = servers
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(endpoints[0].url, "merged", QUESTION, max_tokens=8), range(16)))
    assert len({answer.text for answer in answers}) == 1


def test_mode_auto_is_measured_once_and_goes_by_what_was_measured(model, adapter, tmp_path):
    place = Workspace(str(tmp_path), say=(lines := []).append)
    plan = ServerPlan(model, "tuned", adapter=adapter, dtype="float32", kv_cache_mib=256)
    choice = measured(place, plan, base_sha256="b" * 64, ready_timeout_s=240)
    found = re.match(r"measured: adapter ([\d.]+), merged ([\d.]+) output tokens/s .*CPU", choice.why)
    beside, folded = map(float, found.groups())  # which is faster, and by how much, is the machine's
    assert beside > 0 and choice.mode == ("adapter" if beside >= folded / 2 else "merged")
    assert running(tmp_path) == []
    said = len(lines)
    assert measured(place, plan, base_sha256="b" * 64, ready_timeout_s=240) == choice
    assert len(lines) == said


def test_interrupt_while_starting_leaves_no_process_behind(model, tmp_path):
    program = f"""
from pathlib import Path
from tongues.serving.local import ServerPlan, serving
with serving([ServerPlan(Path({str(model)!r}), "m")], workspace=Path({str(tmp_path)!r})):
    pass
"""
    for sent in (signal.SIGINT, signal.SIGTERM):
        # A shell that runs this suite in the background has its children ignore SIGINT.
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        parent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, preexec_fn=heed)  # noqa: PLW1509
        deadline = time.monotonic() + 60
        while not running(tmp_path):
            assert parent.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        (server,) = running(tmp_path)
        parent.send_signal(sent)
        assert parent.wait(30) != 0
        assert command_of(server.pid) == ""
        assert running(tmp_path) == []


def test_start_model_vllm_cannot_read_fails_early_with_its_own_words(tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["NoSuchModel"]}))
    (broken / "model.safetensors").write_bytes(b"")
    started = time.monotonic()
    with pytest.raises(ServingError, match=r"NoSuchModel.*Fix: take a base model of an arch") as caught:
        start([ServerPlan(broken, "m")], workspace=tmp_path, ready_timeout_s=200)
    assert time.monotonic() - started < 150
    assert caught.value.where.endswith(".log")
    assert Path(caught.value.where).is_file()
    assert len(str(caught.value)) < 600


def test_killed_engine_is_noticed_and_told(servers):
    """Runs last: it ends one of the two servers."""
    workspace, endpoints, _ = servers
    engine = max(_family(endpoints[0].pid), key=lambda p: p.memory_info().rss)
    engine.kill()
    with pytest.raises(ServingError):
        ask(endpoints[0].url, "merged", QUESTION, max_tokens=4, timeout_s=30)
    deadline = time.monotonic() + 30
    while endpoints[0].alive:
        assert time.monotonic() < deadline, "the server outlived its engine"
        time.sleep(0.2)
    assert [e.name for e in running(workspace)] == ["tuned"]
