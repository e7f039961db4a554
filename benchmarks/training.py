"""Claim: on a CPU, rows of mixed length train twice as fast as with TRL's defaults, to the same loss.

The peer is `trl.SFTTrainer` as it comes (batches of 8 padded to the longest row, gradient checkpointing),
on prompt and completion, so that both take their loss on the same answer tokens. Model, rows, adapter,
precision, threads and machine are the same; each side runs in a process of its own, one after the other.
What counts is real tokens, padding not among them, by the seconds of the training loop. `ratio` is ours
divided by the peer's; `cpu_ratio` is the same by seconds of CPU, which other work on the machine moves less.
Without --quick TRL's packing without checkpointing is measured too, the quickest of its settings that we
found (`ratios`); its plain default on whole conversations, with the loss on every token, can be shown.
Either side's loop is timed from its first step on: models are loaded and rows tokenised by then.

Both adapters are judged by the same plain transformers code on rows that neither has seen; and on one batch
the loss of both trainers is compared before anything is learnt.

With --gpu: a model of 8 B parameters from its configuration, random weights, nothing downloaded; packed
passes of 4,096 tokens, an adapter on all linear layers; prints tokens/s and the share of the bf16 peak.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tongues.core.recipe import LoraSection, TuningSection
from tongues.core.recipe_file import load_recipe
from tongues.core.records import Message, Record, Source
from tongues.tuning.base_model import fetch_base
from tongues.tuning.masks import IGNORED, encode
from tongues.tuning.packing import Budget, best_fit, efficiency
from tongues.tuning.schedule import plan_schedule
from tongues.tuning.speed import flops_per_token, peak_tflops, synchronised_time

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
QUICKSTART = ROOT / "recipes" / "quickstart"
PARTS = {"seed_tasks.jsonl": 96, "gsm8k_train.json": 80, "gpteacher_roleplay.json": 80}
SIDES = ("ours", "trl", "trl-packed", "trl-all-tokens")
MAX_TOKENS, HELD_OUT, SEED = 512, 16, 7
PACKED_TOKENS = 4096
GPU_ROW_TOKENS = (1024, 700, 512, 512, 400, 300, 256, 200, 128, 64)
WARM_UP_STEPS = 3


def record(user: str, answer: str, row: str) -> Record:
    turns = (Message("user", user, "en"), Message("assistant", answer, "en"))
    return Record.create(messages=turns, group=row, method="benchmark", source=Source("b", "1", row, "-"))


def texts(times: int = 1) -> Iterator[tuple[str, str]]:
    """Question and answer of real rows of very different length: three sets, or else the quickstart's.

    Args:
        times: so many times the usual number of rows, where the sets have them.
    """
    if not DATA.is_dir():
        for line in (QUICKSTART / "instructions.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield f"{row['instruction']}\n{row.get('input', '')}".strip(), row["output"]
        return
    for name, count in PARTS.items():
        text = (DATA / name).read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)
        for row in rows[: count * times]:
            item = row | row.get("instances", [{}])[0]
            yield f"{item['instruction']}\n{item['input']}".strip(), item["output"]


def records(tokenizer: Any) -> list[Record]:
    """Rows that fit, in one shuffled order."""
    made = [record(user, answer, str(i)) for i, (user, answer) in enumerate(texts()) if answer.strip()]
    kept = {example.id for example in encode(made, tokenizer, max_seq_tokens=MAX_TOKENS)[0]}
    fitting = [one for one in made if one.id in kept]
    return [fitting[i] for i in plan_schedule(len(fitting), TuningSection(), SEED).order]


def section(rows: int, dropout: float) -> TuningSection:
    lora = LoraSection(dropout=dropout)
    return TuningSection(lora=lora, max_seq_tokens=MAX_TOKENS, checkpoint_steps=rows, scheduler="linear")


class Clock:
    """Seconds and seconds of CPU of the training loop."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._began, self._cpu = time.monotonic(), time.process_time()

    def stop(self) -> None:
        self.seconds, self.cpu_s = time.monotonic() - self._began, time.process_time() - self._cpu


def run_ours(base: Path, rows: list[Record], out: Path, dropout: float) -> tuple[Clock, Path]:
    """The loop's times, from where the model is loaded and rows are laid out; and the adapter."""
    from tongues.tuning.sft import train

    clock = Clock()

    def listen(line: str) -> None:
        print(line, file=sys.stderr)
        if line.startswith("finetune: rows are"):
            clock.start()

    train(
        train_records=rows,
        validation_records=[],
        base=base,
        out=out,
        section=section(len(rows), dropout).model_copy(update={"warmup_share": 0.0}),
        seed=SEED,
        say=listen,
        on_step=lambda _: clock.stop(),
    )
    return clock, out / "adapter"


def run_trl(base: Path, rows: list[Record], out: Path, dropout: float, side: str) -> tuple[Clock, Path]:
    """The peer, with nothing changed but what both sides share, and for "trl-packed" what makes it quick."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from tongues.tuning.models import load_model, load_tokenizer, quiet_libraries, resolve_precision

    clock = Clock()

    class Timed(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            clock.start()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            clock.stop()

    quiet_libraries()
    packed = side == "trl-packed"
    more = {"packing": True, "gradient_checkpointing": False, "max_length": 2048} if packed else {}
    more |= {"per_device_train_batch_size": 1} if packed else {}
    precision = resolve_precision("auto")
    trainer = SFTTrainer(
        model=load_model(base, precision),
        args=SFTConfig(
            output_dir=str(out),
            num_train_epochs=1,
            learning_rate=2e-4,
            bf16=precision == "bf16",
            use_cpu=True,
            seed=SEED,
            report_to=[],
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **more,
        ),
        train_dataset=Dataset.from_list([trl_row(one, side) for one in rows]),
        processing_class=load_tokenizer(base),
        peft_config=lora_config(dropout),
        callbacks=[Timed()],
    )
    trainer.train()
    trainer.save_model(str(out / "adapter"))
    return clock, out / "adapter"


def trl_row(one: Record, side: str) -> dict[str, Any]:
    turns = [{"role": m.role, "content": m.content} for m in one.messages]
    return (
        {"messages": turns} if side == "trl-all-tokens" else {"prompt": turns[:-1], "completion": turns[-1:]}
    )


def lora_config(dropout: float) -> Any:
    from tongues.tuning.modes import lora_config as of

    return of(LoraSection(dropout=dropout))


def judge(base: Path, adapter: Path, rows: Sequence[Record]) -> float:
    """Nats per answer token of unseen rows, one row at a time in plain transformers."""
    import torch
    from peft import PeftModel

    from tongues.tuning.models import load_model, load_tokenizer

    model = PeftModel.from_pretrained(load_model(base, "bf16"), adapter).eval()
    total = tokens = 0.0
    for example in encode(rows, load_tokenizer(base), max_seq_tokens=MAX_TOKENS)[0]:
        ids, labels = torch.tensor([example.input_ids]), torch.tensor([example.labels])
        with torch.no_grad():
            loss = float(model(input_ids=ids, labels=labels, use_cache=False).loss)
        total, tokens = total + loss * example.label_tokens, tokens + example.label_tokens
    return total / tokens


def run_side(side: str, base: Path, count: int, dropout: float) -> dict[str, Any]:
    """One side in this process."""
    from tongues.tuning.models import load_tokenizer

    tokenizer = load_tokenizer(base)
    rows = records(tokenizer)
    training, unseen = rows[HELD_OUT : HELD_OUT + count], rows[:HELD_OUT]
    tokens = sum(len(e.input_ids) for e in encode(training, tokenizer, max_seq_tokens=MAX_TOKENS)[0])
    with tempfile.TemporaryDirectory() as out:
        if side == "ours":
            clock, adapter = run_ours(base, training, Path(out), dropout)
        else:
            clock, adapter = run_trl(base, training, Path(out), dropout, side)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        return {
            "tokens": tokens,
            "seconds": round(clock.seconds, 1),
            "cpu_s": round(clock.cpu_s, 1),
            "tokens_per_s": round(tokens / clock.seconds, 1),
            "tokens_per_cpu_s": round(tokens / clock.cpu_s, 1),
            "peak_rss_mib": round(peak),
            "unseen_loss": round(judge(base, adapter, unseen), 4),
        }


def same_batch(base: Path) -> dict[str, float]:
    """Mean loss of one batch of 8 rows in fp32: TRL's trainer with padding, ours packed.

    Both get TRL's labels: it also trains on the line break that templates write after an answer's last
    token, which is never generated, and which lowers its mean a little.
    """
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from tongues.tuning.attention import choose_layout
    from tongues.tuning.batches import packed_columns
    from tongues.tuning.models import load_model, load_tokenizer
    from tongues.tuning.trainer import answer_nll, use_answer_head

    tokenizer = load_tokenizer(base)
    rows = sorted(records(tokenizer)[:32], key=lambda one: len(one.answer.content))[4:12]
    model = load_model(base, "fp32")
    layout = choose_layout(model, "fp32")
    use_answer_head(model)
    with tempfile.TemporaryDirectory() as out, torch.no_grad():
        arguments = SFTConfig(output_dir=out, use_cpu=True, bf16=False, report_to=[], disable_tqdm=True)
        data = Dataset.from_list([trl_row(one, "trl") for one in rows])
        trainer = SFTTrainer(
            model=load_model(base, "fp32"), args=arguments, train_dataset=data, processing_class=tokenizer
        )
        trainer.model.eval()
        [batch] = list(trainer.get_train_dataloader())
        kept = [mask.bool() for mask in batch["attention_mask"]]
        lines = zip(batch["input_ids"], batch["labels"], kept, strict=True)
        packed = packed_columns([(ids[k].tolist(), labels[k].tolist()) for ids, labels, k in lines])
        mine = float(answer_nll(model, packed)) / int((packed["labels"] != IGNORED).sum())
        theirs = float(trainer.compute_loss(trainer.model, dict(batch)))
    assert layout == "packed", layout
    return {"ours": round(mine, 6), "trl": round(theirs, 6), "difference": round(abs(mine - theirs), 6)}


def packing_efficiency(base: Path) -> float:
    """How full best-fit packing makes passes of 4,096 tokens, over some 2,000 rows at once."""
    from tongues.tuning.models import load_tokenizer

    made = [
        record(user, answer, str(i)) for i, (user, answer) in enumerate(texts(times=12)) if answer.strip()
    ]
    examples, _ = encode(made, load_tokenizer(base), max_seq_tokens=MAX_TOKENS)
    lengths = [len(example.input_ids) for example in examples]
    budget = Budget(PACKED_TOKENS, len(lengths))
    return efficiency(best_fit(lengths, budget), lengths, budget)


def find_base(scratch: Path) -> Path:
    """The quickstart's base model: where `make demo` put it, or fetched."""
    given = os.environ.get("TONGUES_TEST_MODEL")
    found = [Path(given)] if given else [p.parent for p in ROOT.glob(".tongues/base/*/manifest.json")]
    if found:
        return found[0]
    fetch_base(load_recipe(ROOT / "recipes" / "quickstart.yaml").base_model, scratch / "base")
    return scratch / "base"


def in_its_own_process(side: str, base: Path, count: int, dropout: float, threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--base", str(base), "--rows", str(count)]
    command += ["--dropout", str(dropout)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run_gpu(steps: int) -> dict[str, Any]:
    """Tokens/s and share of the bf16 peak of an 8 B shape on one GPU."""
    import torch
    from transformers import LlamaConfig

    if not torch.cuda.is_available():
        return {"skipped": "needs an NVIDIA GPU, and there is none here"}
    shape = LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=8192,
    )
    name = torch.cuda.get_device_name()
    peak = peak_tflops()
    found = run_shape(shape, "cuda", steps)
    memory = round(torch.cuda.max_memory_allocated() / 2**30, 1)
    mfu = round(found["tflops"] / peak, 4) if peak else None
    return {"gpu": name, **found, "mfu": mfu, "peak_gib": memory}


def run_shape(shape: Any, device: str, steps: int) -> dict[str, Any]:
    """Train LoRA on a model of random weights.

    Args:
        shape: a Llama configuration.
        device: "cuda", or "cpu" to try the way with a small shape.
        steps: optimiser steps that are timed, after three that are not.
    """
    import torch

    from tongues.tuning.trainer import answer_nll

    model, layout, parameters = lora_model(shape, device)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    batch = packed_batch(shape.vocab_size, device)
    started = 0.0
    for step in range(steps + WARM_UP_STEPS):
        if step == WARM_UP_STEPS:
            started = synchronised_time(device)
        with torch.autocast(device, torch.bfloat16):
            loss = answer_nll(model, batch)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    rate = steps * sum(GPU_ROW_TOKENS) / (synchronised_time(device) - started)
    tflops = rate * flops_per_token(parameters, all_learn=False) / 1e12
    facts = {"layout": layout, "parameters": parameters}
    return {**facts, "tokens_per_s": round(rate), "tflops": round(tflops, 1)}


def lora_model(shape: Any, device: str) -> tuple[Any, str, int]:
    """The model as tuning makes it, its layout, and its parameters without the adapter's."""
    import torch
    from peft import get_peft_model
    from transformers import LlamaForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from tongues.tuning.attention import choose_layout
    from tongues.tuning.fused_lora import fuse_lora
    from tongues.tuning.trainer import use_answer_head

    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = LlamaForCausalLM(shape)
    torch.set_default_dtype(torch.float32)
    parameters = sum(p.numel() for p in model.parameters())
    add_fused_lm_head(model)
    tuned = get_peft_model(model, lora_config(0.0))
    layout = choose_layout(tuned.get_base_model(), "bf16")
    fuse_lora(tuned)
    use_answer_head(tuned.get_base_model())
    return tuned, layout, parameters


def packed_batch(vocabulary: int, device: str) -> dict[str, Any]:
    """Rows of mixed length in one line; the second half of each is learnt."""
    from tongues.tuning.batches import packed_columns

    ids = [[(7 * i + n) % vocabulary for i in range(n)] for n in GPU_ROW_TOKENS]
    line = packed_columns([(row, [-100] * (len(row) // 2) + row[len(row) // 2 :]) for row in ids])
    return {k: v.to(device) if hasattr(v, "to") else v for k, v in line.items()}


def measure(arguments: argparse.Namespace, base: Path) -> dict[str, Any]:
    sides = {
        side: in_its_own_process(side, base, arguments.rows, arguments.dropout, arguments.threads)
        for side in arguments.sides.split(",")
    }
    ratios, cpu_ratios = (
        {name: round(sides["ours"][rate] / one[rate], 2) for name, one in sides.items() if name != "ours"}
        for rate in ("tokens_per_s", "tokens_per_cpu_s")
    )
    return {
        "ratio": ratios.get("trl"),
        "peer": "trl.SFTTrainer as it comes, prompt and completion",
        "cpu_ratio": cpu_ratios.get("trl"),
        "ratios": ratios,
        "cpu_ratios": cpu_ratios,
        "rows": arguments.rows,
        "threads": arguments.threads,
        "lora_dropout": arguments.dropout,
        "sides": sides,
        "same_batch": same_batch(base),
        "packing_efficiency": round(packing_efficiency(base), 4),
    }


def show(result: dict[str, Any]) -> None:
    for name, one in result["sides"].items():
        ratio = f", ours is {result['ratios'][name]} times as fast" if name != "ours" else ""
        print(
            f"{name:15} {one['tokens_per_s']:7.1f} real tokens/s, {one['tokens']} tokens "
            f"in {one['seconds']} s ({one['cpu_s']} s of CPU), "
            f"peak {one['peak_rss_mib']} MiB, unseen rows {one['unseen_loss']} nats{ratio}"
        )
    print(f"one batch in fp32: {result['same_batch']}")
    print(f"best-fit packing into {PACKED_TOKENS} tokens: {result['packing_efficiency']:.2%} full")


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="16 rows and the peer alone")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--gpu", action="store_true", help="the 8 B shape on one GPU")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=max(os.cpu_count() or 1, 1))
    parser.add_argument(
        "--dropout", type=float, default=0.0, help="of the adapter's inputs; PEFT's default is 0"
    )
    parser.add_argument("--sides", default="", help=f"comma-separated, of {', '.join(SIDES)}")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help="folder of a base model")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(run_side(arguments.side, arguments.base, arguments.rows, arguments.dropout)))
        return
    if arguments.gpu:
        print(json.dumps(run_gpu(steps=20)))
        return
    arguments.rows = 16 if arguments.quick else arguments.rows
    arguments.sides = arguments.sides or ("ours,trl" if arguments.quick else ",".join(SIDES[:3]))
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(arguments, arguments.base or find_base(Path(scratch)))
    if not arguments.json:
        show(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
