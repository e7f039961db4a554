import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tongues.core.errors import PreflightError
from tongues.core.recipe import TuningSection
from tongues.core.records import Record
from tongues.tuning import preflight
from tongues.tuning.masks import encode
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
