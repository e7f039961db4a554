"""What must hold before a single step is paid for; everything that does not is told at once."""

import json
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongues.core.drops import Drop
from tongues.core.errors import PreflightError, TuningError
from tongues.core.recipe import TuningSection
from tongues.core.records import Record
from tongues.tuning.base_model import folder_problems
from tongues.tuning.masks import Example, encode, end_of_turn_id
from tongues.tuning.models import Precision, computes_in_bf16, load_tokenizer, resolve_precision

_SAMPLE_ROWS = 64
_CHECKPOINTS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything training needs, shown to be sound.

    Args:
        tokenizer: of the base model.
        training: rows to learn from, in the order of the records.
        validation: rows to watch the loss on.
        dropped: rows of both that are not used, with reasons.
        precision: what the weights are held in.
        end_of_turn: id of the token that ends an answer.
    """

    tokenizer: Any
    training: list[Example]
    validation: list[Example]
    dropped: list[Drop]
    precision: Precision
    end_of_turn: int


def prepare(
    *,
    train_records: Sequence[Record],
    validation_records: Sequence[Record],
    base: Path,
    out: Path,
    section: TuningSection,
) -> Prepared:
    """Check data, model, template, masks, precision and disk, and tokenise on the way.

    Args:
        train_records: at least one must survive tokenisation.
        validation_records: may be empty; then no validation loss is taken.
        base: folder of the base model.
        out: folder the result goes to; need not exist.
        section: the recipe's tuning section.

    Raises:
        PreflightError: lists everything that is wrong.
    """
    problems = [f"{base}: {problem}" for problem in folder_problems(base)]
    problems += [] if train_records else ["the dataset is empty: there is no training record"]
    if problems:
        raise PreflightError(problems)
    tokenizer, precision = load_tokenizer(base), resolve_precision(section.precision)
    problems = _machine_problems(base, out, section) + template_problems(base, tokenizer)
    if not tokenizer.chat_template or any("cannot show" in problem for problem in problems):
        raise PreflightError(problems)
    training, dropped = encode(train_records, tokenizer, max_seq_tokens=section.max_seq_tokens)
    validation, more = encode(validation_records, tokenizer, max_seq_tokens=section.max_seq_tokens)
    problems += [] if training else [_nothing_left(dropped)]
    problems += leak_problems(training, train_records, tokenizer)
    if problems:
        raise PreflightError(problems)
    return Prepared(tokenizer, training, validation, dropped + more, precision, end_of_turn_id(tokenizer))


def template_problems(base: Path, tokenizer: Any) -> list[str]:
    """Whether answers can be told from prompts, and whether the model stops where they end."""
    try:
        end = end_of_turn_id(tokenizer)
    except TuningError as error:
        return [error.line()]
    stops = stop_ids(base, tokenizer)
    if end in stops:
        return []
    mark = tokenizer.convert_ids_to_tokens(end)
    return [
        f"{base}: answers end with {mark!r} (id {end}), but generation stops only at {sorted(stops)}; "
        f"add {end} to eos_token_id in generation_config.json, or the tuned model never stops"
    ]


def stop_ids(base: Path, tokenizer: Any) -> set[int]:
    """Token ids at which generation stops when the model is served."""
    ids = {tokenizer.eos_token_id} - {None}
    for name in ("generation_config.json", "config.json"):
        path = base / name
        value = json.loads(path.read_text("utf-8")).get("eos_token_id") if path.is_file() else None
        ids |= set(value) if isinstance(value, list) else {value} - {None}
    return ids


def leak_problems(examples: Sequence[Example], records: Sequence[Record], tokenizer: Any) -> list[str]:
    """Decode what is trained on, for a sample, and compare it with the answer in the record.

    This does not rely on how the labels were made: it reads them back.
    """
    answers = {record.id: record.answer.content for record in records}
    step = max(len(examples) // _SAMPLE_ROWS, 1)
    problems = []
    for example in examples[::step]:
        trained = example.input_ids[example.answer_start : -1]
        text = tokenizer.decode(trained, clean_up_tokenization_spaces=False)
        if _plain(text) != _plain(answers[example.id]):
            problems.append(
                f"record {example.id}: the loss would fall on {text[:60]!r}, "
                f"but the answer is {answers[example.id][:60]!r}"
            )
    return problems[:3]


def _plain(text: str) -> str:
    """Text without what tokenizers may change by design: Unicode form and runs of blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _machine_problems(base: Path, out: Path, section: TuningSection) -> list[str]:
    config = json.loads((base / "config.json").read_text("utf-8"))
    context = config.get("max_position_embeddings") or section.max_seq_tokens
    problems = []
    if section.max_seq_tokens > context:
        problems.append(
            f"tuning.max_seq_tokens is {section.max_seq_tokens}; the model reads at most {context}"
        )
    if section.precision == "bf16" and not computes_in_bf16():
        problems.append("tuning.precision is bf16, which this machine only emulates; write auto or fp32")
    needed = _disk_bytes(base, config, section)
    existing = next(p for p in [out, *out.absolute().parents] if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        problems.append(f"{existing}: {free / 1e9:.1f} GB free, about {needed / 1e9:.1f} GB are needed")
    return problems


def _disk_bytes(base: Path, config: dict[str, Any], section: TuningSection) -> int:
    """Merged weights once more, and per checkpoint the adapter with two optimiser moments in fp32."""
    weights = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    hidden, layers = config.get("hidden_size", 0), config.get("num_hidden_layers", 0)
    inner = config.get("intermediate_size", 4 * hidden)
    adapter = layers * section.lora.r * (8 * hidden + 3 * (hidden + inner))
    return int(weights + _CHECKPOINTS_AT_ONCE * adapter * 3 * 4)


def _nothing_left(dropped: Sequence[Drop]) -> str:
    counts: dict[str, int] = {}
    for drop in dropped:
        counts[drop.reason] = counts.get(drop.reason, 0) + 1
    told = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()))
    return f"no training row is left: {told}; first: {dropped[0].detail}"
