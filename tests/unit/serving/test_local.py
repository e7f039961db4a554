import json
import os
import socket
import sys
from pathlib import Path

import pytest

from tongues.core.errors import ServingError
from tongues.platform.processes import free_port, start_group
from tongues.serving import endpoint, local, vllm_command
from tongues.serving.endpoint import MODULE, Endpoint
from tongues.serving.vllm_command import ServerPlan


@pytest.fixture
def model(tmp_path):
    """A folder that looks like a model from outside."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def adapter_of_rank(tmp_path, rank):
    folder = tmp_path / f"adapter-{rank}"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}), encoding="utf-8")
    return folder


def option(line, name):
    return line[line.index(name) + 1]


def test_command_merged_model_serves_one_name_without_lora(model):
    line = vllm_command.command(ServerPlan(model, "quickstart", port=8123, max_model_len=512))
    assert line[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    assert option(line, "--served-model-name") == "quickstart"
    assert option(line, "--host") == "127.0.0.1"
    assert option(line, "--port") == "8123"
    assert option(line, "--max-model-len") == "512"
    assert "--enable-lora" not in line
    assert "--trust-remote-code" not in line


@pytest.mark.parametrize(("rank", "allowed"), [(1, "1"), (4, "8"), (16, "16"), (17, "32"), (512, "512")])
def test_command_adapter_is_told_the_smallest_rank_that_holds_it(model, tmp_path, rank, allowed):
    adapter = adapter_of_rank(tmp_path, rank)
    line = vllm_command.command(ServerPlan(model, "quickstart", port=1, adapter=adapter))
    assert option(line, "--max-lora-rank") == allowed
    assert option(line, "--lora-modules") == f"quickstart={adapter}"
    assert option(line, "--served-model-name") == "quickstart-base"


def test_command_with_room_for_adapters_serves_the_base_and_opens_the_runtime_paths(model):
    plan = ServerPlan(model, "base", port=1, slots=vllm_command.AdapterSlots(max_rank=20, count=4))
    line = vllm_command.command(plan)
    assert option(line, "--served-model-name") == "base"
    assert (option(line, "--max-lora-rank"), option(line, "--max-loras")) == ("32", "4")
    assert "--lora-modules" not in line
    assert vllm_command.environment(1, runtime_adapters=True)["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in vllm_command.environment(1)


def test_environment_two_servers_share_the_cores_and_report_to_nobody(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "8")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(9)), raising=False)
    one, two = vllm_command.environment(1), vllm_command.environment(2)
    assert (one["OMP_NUM_THREADS"], two["OMP_NUM_THREADS"]) == ("8", "4")
    assert one["VLLM_NO_USAGE_STATS"] == one["HF_HUB_OFFLINE"] == "1"
    assert "VLLM_CPU_KVCACHE_SPACE" not in one  # it would override the plan's own limit


def test_start_folder_without_weights_is_refused_before_a_process_starts(tmp_path):
    with pytest.raises(ServingError, match=r"config\.json and \*\.safetensors"):
        local.start([ServerPlan(tmp_path, "m")], workspace=tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_start_taken_port_is_refused_with_a_way_out(model, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        plan = ServerPlan(model, "m", port=other.getsockname()[1])
        with pytest.raises(ServingError, match=r"port \d+ is taken.*take another port"):
            local.start([plan], workspace=tmp_path)


def test_start_two_servers_on_one_port_are_refused(model, tmp_path):
    port = free_port()
    plans = [ServerPlan(model, "a", port=port), ServerPlan(model, "b", port=port)]
    with pytest.raises(ServingError, match="two servers cannot share port"):
        local.start(plans, workspace=tmp_path)


@pytest.mark.parametrize("config", ["{}", "not json", '{"r": 100000}', None])
def test_start_adapter_vllm_cannot_serve_is_refused_by_file_name(model, tmp_path, config):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    if config is not None:
        (adapter / "adapter_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(ServingError, match=r"adapter_config\.json: not a LoRA adapter"):
        local.start([ServerPlan(model, "m", adapter=adapter)], workspace=tmp_path)


def endpoint_of(tmp_path: Path, pid: int, port: int) -> Endpoint:
    state = tmp_path / "endpoints" / f"{port}.json"
    server = Endpoint(
        url=f"http://127.0.0.1:{port}/v1",
        name="m",
        pid=pid,
        port=port,
        folder="f",
        log=str(tmp_path / "log"),
        state=str(state),
    )
    endpoint.remember(server)
    return server


def test_running_finds_live_servers_and_forgets_dead_and_foreign_ones(tmp_path):
    pose = "import time; time.sleep(60)"
    arguments = [sys.executable, "-c", pose, "vllm.entrypoints.openai.api_server", "--port", "41"]
    child = start_group(arguments, env=os.environ, log=tmp_path / "log")
    live = endpoint_of(tmp_path, child.pid, 41)
    other_program = endpoint_of(tmp_path, os.getpid(), 42)  # the number went to somebody else
    gone = endpoint_of(tmp_path, 2**22 + 1, 43)
    (tmp_path / "endpoints" / "44.json").write_text("half a li", encoding="utf-8")
    assert endpoint.running(tmp_path) == [live]
    assert not Path(other_program.state).exists() and not Path(gone.state).exists()
    other_program.stop()  # must not stop this very test
    live.stop()
    assert not live.alive
    assert endpoint.running(tmp_path) == []


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("ok\nOSError: [Errno 98] Address already in use\nbye", r"Address already in use.*another port"),
        (
            "x\nValueError: Available memory on node 0 (1/2 GiB) is less\n",
            r"Available memory.*lower kv_cache_mib",
        ),
        (
            "Traceback\nRuntimeError: strange thing\nleaked 4 instances",
            r"RuntimeError: strange thing.*read the log",
        ),
        ("one\n\ntwo", r"one \| two.*killed the server for memory"),
    ],
)
def test_start_server_that_dies_is_told_with_the_telling_line_of_its_log(
    model, tmp_path, monkeypatch, log, said
):
    dying = [sys.executable, "-c", f"import sys; print({log!r}); sys.exit(1)", MODULE, "--port"]
    monkeypatch.setattr(local, "command", lambda plan: [*dying, str(plan.port)])
    with pytest.raises(ServingError, match=said) as caught:
        local.start([ServerPlan(model, "m")], workspace=tmp_path)
    assert caught.value.where.endswith(".log")
    assert list((tmp_path / "endpoints").glob("*.json")) == []


def test_start_server_that_never_answers_is_stopped_at_the_time_limit(model, tmp_path, monkeypatch):
    def silent(plan):
        name = "vllm.entrypoints.openai.api_server"
        return [sys.executable, "-c", "import time; time.sleep(60)", name, "--port", str(plan.port)]

    monkeypatch.setattr(local, "command", silent)
    with pytest.raises(ServingError, match=r"did not answer within 1 s.*ready_timeout_s"):
        local.start([ServerPlan(model, "m")], workspace=tmp_path, ready_timeout_s=1)
    assert endpoint.running(tmp_path) == []
