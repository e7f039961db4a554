"""What must hold before a single step is paid for; everything that does not is told at once."""

import json
import re
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tongues.core.drops import Drop
from tongues.core.errors import PreflightError, TuningError
from tongues.core.recipe import TuningSection
from tongues.core.records import Record
from tongues.tuning.base_model import folder_problems, weight_names
from tongues.tuning.masks import EVERY_ANSWER, Example, encode, end_of_turn_id
from tongues.tuning.memory import Needs, adapter_weights, find_device, memory_problem, needs, plan_memory
from tongues.tuning.models import Precision, computes_in_bf16, load_tokenizer, resolve_precision
from tongues.tuning.modes import mode_problems
from tongues.tuning.ranks import Ranks
from tongues.tuning.tokenised import row_sizes, tokenise

LARGEST_RANK = 512
"""Of vLLM's --max-lora-rank, which takes 8, 16, 32, 64, 128, 256, 320 and 512."""

_MARK = re.compile(r"<\|[\w-]+\|>")
_SAMPLE_ROWS = 64
_CHECKPOINTS_AT_ONCE = 3
_FULL_CHECKPOINT_TIMES = 6
"""Three fp32 numbers per weight, where the base is stored in two bytes."""


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
        memory: what it is estimated to take, and the way that was chosen for it.
    """

    tokenizer: Any
    training: Sequence[Example]
    validation: Sequence[Example]
    dropped: list[Drop]
    precision: Precision
    end_of_turn: int
    memory: Needs


def prepare(
    *,
    train_records: Sequence[Record],
    validation_records: Sequence[Record],
    base: Path,
    out: Path,
    section: TuningSection,
    tokenised: Path | None = None,
    ranks: Ranks | None = None,
) -> Prepared:
    """Check data, model, template, masks, precision and disk, and tokenise on the way.

    Args:
        train_records: at least one must survive tokenisation.
        validation_records: may be empty; then no validation loss is taken.
        base: folder of the base model.
        out: folder the result goes to; need not exist.
        section: the recipe's tuning section.
        tokenised: folder shared between runs, where rows are found if they were tokenised before; None
            tokenises into memory.
        ranks: the processes that will train, where it is not yet those that are here.

    Raises:
        PreflightError: lists everything that is wrong.
    """
    problems = [f"{base}: {problem}" for problem in folder_problems(base)]
    problems += [] if train_records else ["the dataset is empty: there is no training record"]
    if problems:
        raise PreflightError(problems)
    tokenizer, precision = load_tokenizer(base), resolve_precision(section.precision)
    ranks = ranks or Ranks.here()
    problems = _machine_problems(base, out, section) + mode_problems(section, ranks)
    problems += template_problems(base, tokenizer) + vocabulary_problems(base, tokenizer)
    problems += adapter_problems(base, section)
    if not tokenizer.chat_template or any("cannot show" in problem for problem in problems):
        raise PreflightError(problems)
    training, dropped = _tokenised(train_records, tokenizer, base, section, tokenised)
    validation, more = _tokenised(validation_records, tokenizer, base, section, tokenised)
    problems += [] if training else [_nothing_left(dropped)]
    problems += leak_problems(training, train_records, tokenizer)
    device = find_device(ranks.local_count)
    memory = plan_memory(needs(base, section, precision, row_sizes(training)[0]), device, section, ranks)
    if too_large := memory_problem(memory, device, section):
        problems.append(too_large)
    if problems:
        raise PreflightError(problems)
    end = end_of_turn_id(tokenizer)
    return Prepared(tokenizer, training, validation, dropped + more, precision, end, memory)


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


def vocabulary_problems(base: Path, tokenizer: Any) -> list[str]:
    """Whether the model has a row for every token, and the tokenizer a token for every mark."""
    config = _text_config(base)
    rows, problems = config.get("vocab_size", len(tokenizer)), []
    if len(tokenizer) > rows:
        problems.append(
            f"{base}: the tokenizer has {len(tokenizer)} tokens, the model rows for {rows}; "
            "take the tokenizer that belongs to these weights"
        )
    if tokenizer.eos_token_id is None:
        problems.append(f"{base}: the tokenizer has no eos_token; name it in tokenizer_config.json")
    known = set(tokenizer.get_vocab())
    missing = sorted({mark for mark in _MARK.findall(tokenizer.chat_template or "") if mark not in known})
    if missing:
        problems.append(
            f"{base}: the chat template writes {', '.join(missing)}, which the tokenizer would spell out, "
            "having no such token; take the template that belongs to this tokenizer"
        )
    return problems


def adapter_problems(base: Path, section: TuningSection) -> list[str]:
    """Whether vLLM can serve the adapter, and whether the layers it is for exist."""
    if section.mode == "full":
        return []
    problems = []
    if section.lora.r > LARGEST_RANK:
        problems.append(
            f"tuning.lora.r is {section.lora.r}; vLLM serves ranks up to {LARGEST_RANK}: lower it"
        )
    named = section.lora.target_modules
    layers = {name.split(".")[-2] for name in weight_names(base) if "." in name}
    unknown = [] if isinstance(named, str) else [one for one in named if one.split(".")[-1] not in layers]
    if unknown:
        problems.append(
            f"tuning.lora.target_modules: the model has no layer {', '.join(unknown)}; it has "
            f"{', '.join(sorted(layers))}"
        )
    if kept := sorted({"embed_tokens", "wte", "lm_head"} & set(() if isinstance(named, str) else named)):
        problems.append(
            f"tuning.lora.target_modules names {', '.join(kept)}; an adapter on the vocabulary cannot be "
            "added to a running server: leave it out, or set tuning.mode to full"
        )
    return problems


def stop_ids(base: Path, tokenizer: Any) -> set[int]:
    """Token ids at which generation stops when the model is served."""
    ids = {tokenizer.eos_token_id} - {None}
    for name in ("generation_config.json", "config.json"):
        path = base / name
        value = json.loads(path.read_text("utf-8")).get("eos_token_id") if path.is_file() else None
        ids |= set(value) if isinstance(value, list) else {value} - {None}
    return ids


def leak_problems(examples: Sequence[Example], records: Sequence[Record], tokenizer: Any) -> list[str]:
    """Decode what is trained on, for a sample, and compare it with the answers in the record.

    This does not rely on how the labels were made: it reads them back.
    """
    by_id = {record.id: record for record in records}
    step = max(len(examples) // _SAMPLE_ROWS, 1)
    problems = []
    for example in examples[::step]:
        answers = [m.content for m in by_id[example.id].messages if m.role == "assistant"]
        answers = answers if by_id[example.id].meta.get("loss") == EVERY_ANSWER else answers[-1:]
        told = [_trained_text(example, span, tokenizer) for span in example.spans]
        for text, answer in zip_longest(told, answers, fillvalue=""):
            if _plain(text) != _plain(answer):
                problems.append(
                    f"record {example.id}: the loss would fall on {text[:60]!r}, "
                    f"but the answer is {answer[:60]!r}"
                )
    return problems[:3]


def _trained_text(example: Example, span: tuple[int, int], tokenizer: Any) -> str:
    """What the labels of one answer say, without the token that ends it."""
    start, stop = span
    return str(tokenizer.decode(example.labels[start : stop - 1], clean_up_tokenization_spaces=False))


def _tokenised(
    records: Sequence[Record], tokenizer: Any, base: Path, section: TuningSection, folder: Path | None
) -> tuple[Sequence[Example], list[Drop]]:
    if folder is None:
        return encode(records, tokenizer, max_seq_tokens=section.max_seq_tokens)
    return tokenise(records, tokenizer, base, folder, max_seq_tokens=section.max_seq_tokens)


def _plain(text: str) -> str:
    """Text without what tokenizers may change by design: Unicode form and runs of blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _machine_problems(base: Path, out: Path, section: TuningSection) -> list[str]:
    config = _text_config(base)
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


def _text_config(base: Path) -> dict[str, Any]:
    """The language model's settings, also where it is part of a larger one."""
    config: dict[str, Any] = json.loads((base / "config.json").read_text("utf-8"))
    inner: dict[str, Any] = config.get("text_config", config)
    return inner


def _disk_bytes(base: Path, config: dict[str, Any], section: TuningSection) -> int:
    """Merged weights once more, and per checkpoint what learns with two optimiser moments in fp32."""
    weights = sum(path.stat().st_size for path in base.glob("*.safetensors"))
    if section.mode == "full":
        return weights + _CHECKPOINTS_AT_ONCE * weights * _FULL_CHECKPOINT_TIMES
    return int(weights + _CHECKPOINTS_AT_ONCE * adapter_weights(config, section) * 3 * 4)


def _nothing_left(dropped: Sequence[Drop]) -> str:
    counts: dict[str, int] = {}
    for drop in dropped:
        counts[drop.reason] = counts.get(drop.reason, 0) + 1
    told = ", ".join(f"{n} {reason}" for reason, n in sorted(counts.items()))
    return f"no training row is left: {told}; first: {dropped[0].detail}"
