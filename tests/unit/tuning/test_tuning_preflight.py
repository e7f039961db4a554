import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe import HardwareSection, LoraSection, TuningSection
from tongues.core.records import Message, Record, Source
from tongues.tuning import memory, preflight
from tongues.tuning.masks import encode
from tongues.tuning.memory import Device
from tongues.tuning.models import load_tokenizer
from tongues.tuning.preflight import leak_problems, prepare

SECTION = TuningSection(precision="fp32", max_seq_tokens=256)


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base to break."""
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


def problems(records: list[Record], base: Path, section: TuningSection = SECTION) -> tuple[str, ...]:
    with pytest.raises(PreflightError) as caught:
        prepare(
            train_records=records, validation_records=[], base=base, out=base.parent / "out", section=section
        )
    return caught.value.problems


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_prepare_sound_work_gives_examples_of_both_parts(records: list[Record], base: Path) -> None:
    ready = prepare(
        train_records=records[:20], validation_records=records[20:], base=base, out=base, section=SECTION
    )
    assert (len(ready.training), len(ready.validation), ready.dropped) == (20, 4, [])
    assert ready.tokenizer.convert_ids_to_tokens(ready.end_of_turn) == "<|im_end|>"


def test_prepare_model_that_would_never_stop_is_refused(records: list[Record], base: Path) -> None:
    for name in ("config.json", "generation_config.json"):
        edit(base / name, eos_token_id=0)
    edit(base / "tokenizer_config.json", eos_token="<s>")
    [problem] = problems(records, base)
    assert "answers end with '<|im_end|>'" in problem
    assert "generation stops only at [0]" in problem


def test_prepare_template_that_hides_the_answer_is_refused(records: list[Record], base: Path) -> None:
    (base / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }} {% endfor %}")
    assert any("cannot show which tokens are the answer" in p for p in problems(records, base))


def test_prepare_tells_of_machine_and_template_together(
    records: list[Record], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "computes_in_bf16", lambda: False)
    (base / "chat_template.jinja").write_text("{{ messages }}")
    found = problems(records, base, TuningSection(precision="bf16", max_seq_tokens=1024))
    assert len(found) == 3
    assert any("max_seq_tokens is 1024; the model reads at most 512" in p for p in found)
    assert any("only emulates" in p for p in found)


def test_prepare_disk_too_small_is_told_before_anything_is_written(
    records: list[Record], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(base)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    assert any("GB free" in p for p in problems(records, base))
    assert not (base.parent / "out").exists()


def test_prepare_nothing_left_to_train_on_gives_the_reasons(
    base: Path, record: Callable[..., Record]
) -> None:
    rows = [record("a", "b " * 400), record("c", "<|im_end|>")]
    [problem] = problems(rows, base)
    assert "1 special-token, 1 too-long" in problem


def test_leak_problems_labels_moved_by_one_token_are_found(records: list[Record], base: Path) -> None:
    tokenizer = load_tokenizer(base)
    examples, _ = encode(records, tokenizer, max_seq_tokens=512)
    assert leak_problems(examples, records, tokenizer) == []
    for shift in (-3, 1):
        moved = [replace(e, answer_start=e.answer_start + shift) for e in examples]
        assert "but the answer is 'uno 0.'" in leak_problems(moved, records, tokenizer)[0]


def test_leak_problems_dialogue_with_an_answer_that_is_not_trained_on_is_found(base: Path) -> None:
    turns = [("user", "one"), ("assistant", "dos"), ("user", "three"), ("assistant", "quatre")]
    messages = tuple(Message(role, text, "ca") for role, text in turns)  # type: ignore[arg-type]
    source, meta = Source("tests", "1", "0", "CC0-1.0"), {"loss": "every-answer"}
    row = Record.create(messages=messages, group="g", method="m", source=source, meta=meta)
    tokenizer = load_tokenizer(base)
    [example], _ = encode([row], tokenizer, max_seq_tokens=512)
    assert leak_problems([example], [row], tokenizer) == []
    [problem] = leak_problems([replace(example, earlier=())], [row], tokenizer)[:1]
    assert "the answer is 'dos'" in problem


def test_prepare_tokenizer_of_another_model_is_refused(records: list[Record], base: Path) -> None:
    edit(base / "config.json", vocab_size=100)
    assert any("tokens, the model rows for 100" in p for p in problems(records, base))


def test_prepare_mark_that_the_tokenizer_would_spell_out_is_refused(
    records: list[Record], base: Path
) -> None:
    template = base / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "<|turn|>"))
    assert any("writes <|turn|>, which the tokenizer would spell out" in p for p in problems(records, base))


def test_prepare_adapter_that_vllm_cannot_serve_is_refused_with_all_reasons(
    records: list[Record], base: Path
) -> None:
    lora = LoraSection(r=640, target_modules=("q_proj", "embed_tokens", "wqkv"))
    found = problems(records, base, SECTION.model_copy(update={"lora": lora}))
    assert any("tuning.lora.r is 640; vLLM serves ranks up to 512" in p for p in found)
    assert any("no layer wqkv; it has" in p and "q_proj" in p for p in found)
    assert any("names embed_tokens" in p for p in found)


def test_prepare_too_little_memory_says_what_to_lower_and_by_how_much(
    records: list[Record], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "find_device", lambda _: Device("a small GPU", 1200 * 2**20))
    monkeypatch.setattr(memory, "_per_token", lambda *_: 2**20)
    kept = HardwareSection(gradient_checkpointing="never")
    [problem] = problems(records, base, SECTION.model_copy(update={"batch_rows": 24, "hardware": kept}))
    assert "but a small GPU has 1.2 GiB free" in problem
    assert "set tuning.batch_tokens" in problem


def test_memory_problem_is_gone_once_the_advice_is_taken(tiny_base: Path) -> None:
    device = Device("a GPU", 2 * 2**30)
    section = TuningSection(max_seq_tokens=512, batch_tokens=16_384, batch_rows=64)
    lengths = [512] * 64
    needed = replace(memory.needs(tiny_base, section, "bf16", lengths), per_token=2**18)
    said = memory.memory_problem(needed, device, section)
    assert said
    advised = int(re.search(r"batch_tokens to (\d+)", said)[1])  # type: ignore[index]
    taken = section.model_copy(update={"batch_tokens": advised})
    again = replace(needed, pass_tokens=memory.largest_pass(taken, lengths))
    assert memory.memory_problem(again, device, taken) is None
    more = replace(needed, pass_tokens=advised + 128)
    assert memory.memory_problem(more, device, section) is not None


def test_memory_problem_weights_alone_too_large_advises_the_mode(tiny_base: Path) -> None:
    full = TuningSection(mode="full")
    needed = replace(memory.needs(tiny_base, full, "bf16", [10]), weights=2**40)
    assert "set tuning.mode to lora" in str(memory.memory_problem(needed, Device("x", 2**30), full))
    lora = TuningSection()
    assert "set tuning.quantise to nf4" in str(memory.memory_problem(needed, Device("x", 2**30), lora))


def test_needs_full_training_counts_sixteen_bytes_a_weight(tiny_base: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    weights = sum(p.numel() for p in model.parameters())
    needed = memory.needs(tiny_base, TuningSection(mode="full"), "bf16", [10])
    assert needed.weights + needed.learning == 16 * weights


def test_needs_adapter_counts_the_weights_that_peft_makes(tiny_base: Path) -> None:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from tongues.tuning.modes import lora_config

    section = TuningSection(lora=LoraSection(r=4))
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), lora_config(section.lora))
    made = sum(p.numel() for p in model.parameters() if p.requires_grad)
    counted = memory.needs(tiny_base, section, "bf16", [10]).learning / 16
    assert made <= counted <= 1.25 * made  # grouped heads make the real ones a little smaller
