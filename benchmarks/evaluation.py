"""Claim: multiple choice through an endpoint is scored as fast as lm-evaluation-harness does it, or faster.

The peer is lm-eval's own `local-completions`, with its usual settings for such a server: text prompts, one
per request, as many requests at a time as ours may have. Both score the same options after the same prompts
on the same server. They take turns, a small part of the items each, so that other work on the machine meets
both alike; counted is the time around the requests, without imports and data sets. Ours writes every answer
to its ledger meanwhile. `ratio` is all of the peer's seconds divided by all of ours, `agreement` the share of
items on which both choose the same option.

lm-eval is not a dependency: --peer-python names an interpreter that has lm-eval[api] 0.4.13 and transformers;
without it one is set up with uv in a cache folder. Without --base-url the server is vLLM on this machine with
the quickstart's base model. --choices takes a file of a suite; without it, the quickstart's.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from tongues.core.recipe import EndpointSection, OpenAIEngine
from tongues.core.recipe_file import load_recipe
from tongues.evaluation.items import LETTERS, ChoiceItem
from tongues.evaluation.served import ServedModel
from tongues.evaluation.suite import load_suite
from tongues.evaluation.tasks import choice_prompt
from tongues.inference.ledger import Ledger
from tongues.serving.local import serving
from tongues.serving.vllm_command import ServerPlan
from tongues.tuning.base_model import fetch_base

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "quickstart.yaml"
CHOICES = RECIPE.parent / "quickstart" / "evaluation" / "choices.jsonl"
LANGUAGES, SOURCE = ("es", "ca", "gl"), "en"
CONCURRENT = 16
PART_ITEMS = 20
TIMEOUT_S = 3_600.0
PEER = "lm-eval[api]==0.4.13"

TASK = """
task: part_%d
dataset_path: json
dataset_kwargs: {data_files: {validation: "%s"}}
validation_split: validation
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{label}}"
target_delimiter: " "
metric_list: [{metric: acc}]
"""

PEER_PROGRAM = """
import contextlib, json, sys, time
from lm_eval import simple_evaluate
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager
given = json.load(open(sys.argv[1]))
model = LocalCompletionsAPI(
    model=given["model"], base_url=given["base_url"] + "/completions", tokenizer=given["tokenizer"],
    tokenizer_backend="huggingface", num_concurrent=given["concurrent"], tokenized_requests=False,
    timeout=3600)
tasks = TaskManager(include_path=given["folder"])
seconds, scored = 0.0, model.loglikelihood
def timed(requests, **options):
    global seconds
    started = time.perf_counter()
    found = scored(requests, **options)
    seconds = time.perf_counter() - started
    return found
model.loglikelihood = timed
print("ready", flush=True)
for line in sys.stdin:
    name = line.strip()
    with contextlib.redirect_stdout(sys.stderr):
        found = simple_evaluate(
            model=model, tasks=[name], task_manager=tasks, bootstrap_iters=0, log_samples=True)
    samples = sorted(found["samples"][name], key=lambda s: s["doc_id"])
    chosen = [max(range(len(s["filtered_resps"])), key=lambda k: s["filtered_resps"][k][0]) for s in samples]
    print(json.dumps({"seconds": seconds, "chosen": chosen}), flush=True)
"""


@dataclass(frozen=True)
class Job:
    """What both score, and where."""

    base_url: str
    model: str
    tokenizer: Path
    items: tuple[ChoiceItem, ...]
    concurrent: int


@dataclass(frozen=True)
class Found:
    """What one run took, and which option it chose for each item."""

    seconds: float
    chosen: list[int]


def ours(job: Job) -> Found:
    """Our endpoint runner, ledger included."""
    endpoint = EndpointSection(base_url=job.base_url, max_in_flight=job.concurrent)
    section = OpenAIEngine(kind="openai", endpoints=(endpoint,), model=job.model, timeout_s=TIMEOUT_S)
    prompts = [choice_prompt(item.question) for item in job.items]
    options = [[f" {option}" for option in item.choices] for item in job.items]
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "answers.sqlite") as ledger:
        model = ServedModel(section, ledger, job.tokenizer)
        started = time.perf_counter()
        scores = model.choice_loglikelihoods(prompts, options)
        seconds = time.perf_counter() - started
    sums = [[score.loglikelihood for score in one] for one in scores]
    return Found(seconds, [one.index(max(one)) for one in sums])


class Peer:
    """lm-eval in a process of its own, which waits for the name of a part; a context manager."""

    def __init__(self, job: Job, parts: Sequence[Job], python: Path) -> None:
        self.job, self.parts, self.python = job, parts, python

    def __enter__(self) -> Self:
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        for number, part in enumerate(self.parts):
            _write_task(folder, number, part.items)
        given = {"base_url": self.job.base_url, "model": self.job.model, "tokenizer": str(self.job.tokenizer)}
        given |= {"concurrent": self.job.concurrent, "folder": str(folder)}
        (folder / "job.json").write_text(json.dumps(given), encoding="utf-8")
        cache = {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [str(self.python), "-c", PEER_PROGRAM, str(folder / "job.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=os.environ | cache,
        )
        self._line()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)
        self.log.close()
        self.folder.cleanup()

    def score(self, number: int) -> Found:
        """One part, by lm-eval's own clock around its requests."""
        assert self.process.stdin
        self.process.stdin.write(f"part_{number}\n")
        self.process.stdin.flush()
        result = json.loads(self._line())
        return Found(result["seconds"], result["chosen"])

    def _line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise SystemExit(f"lm-eval failed:\n{self.log.read()[-3000:]}")
        return line


def _write_task(folder: Path, number: int, items: Sequence[ChoiceItem]) -> None:
    rows = [
        {"prompt": choice_prompt(i.question), "choices": i.choices, "label": LETTERS.index(i.answer)}
        for i in items
    ]
    data = folder / f"part_{number}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / f"part_{number}.yaml").write_text(TASK % (number, data), encoding="utf-8")


def peer_python() -> Path:
    """An interpreter with lm-eval, set up once."""
    folder = Path.home() / ".cache" / "tongues" / "lm-eval-0.4.13"
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    if not python.exists() and uv is None:
        raise SystemExit("give --peer-python, or install uv to have lm-eval set up")
    if not python.exists():
        # torch comes from this environment, which has one that fits the machine.
        subprocess.run([str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        here = next(path for path in sys.path if path.endswith("site-packages"))
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "torch-from-here.pth").write_text(here + "\n", encoding="utf-8")
        subprocess.run([str(uv), "pip", "install", "--quiet", "--python", str(python), PEER], check=True)
    return python


def measure(job: Job, python: Path, rounds: int, tell: Any) -> dict[str, Any]:
    """Part by part, each scored by both, one after the other in changing order."""
    cuts = range(0, len(job.items), PART_ITEMS)
    parts = [replace(job, items=job.items[at : at + PART_ITEMS]) for at in cuts]
    mine, theirs = list[Found](), list[Found]()
    with Peer(job, parts, python) as peer:
        ours(parts[0])  # nobody counts the first requests of a server
        peer.score(0)
        for turn, number in enumerate(n for _ in range(rounds) for n in range(len(parts))):
            if turn % 2:
                theirs.append(peer.score(number))
            mine.append(ours(parts[number]))
            if not turn % 2:
                theirs.append(peer.score(number))
            tell(f"part {turn + 1}: ours {mine[-1].seconds:.1f} s, lm-eval {theirs[-1].seconds:.1f} s")
    same = [
        x == y for a, b in zip(mine, theirs, strict=True) for x, y in zip(a.chosen, b.chosen, strict=True)
    ]
    seconds = {"ours": sum(f.seconds for f in mine), "peer": sum(f.seconds for f in theirs)}
    return {
        "ratio": round(seconds["peer"] / seconds["ours"], 3),
        "ratio_of_parts": round(
            statistics.median(b.seconds / a.seconds for a, b in zip(mine, theirs, strict=True)), 3
        ),
        "peer": "lm-eval 0.4.13, local-completions",
        "items_per_s": {name: round(len(same) / total, 2) for name, total in seconds.items()},
        "n": len(job.items),
        "rounds": rounds,
        "options": sum(len(item.choices) for item in job.items),
        "concurrent": job.concurrent,
        "agreement": round(sum(same) / len(same), 4),
        "server": job.model,
    }


@contextlib.contextmanager
def server(arguments: argparse.Namespace) -> Iterator[tuple[str, str, Path]]:
    """Address, model name and tokenizer: those given, or of a vLLM that is started here."""
    if arguments.base_url:
        yield arguments.base_url.rstrip("/"), arguments.model, arguments.model_folder
        return
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model_folder or Path(folder) / "base"
        if not arguments.model_folder:
            fetch_base(load_recipe(RECIPE).base_model, model)
        plan = ServerPlan(model, "base", kv_cache_mib=1024, dtype="float32")
        with serving([plan], workspace=Path(folder)) as (endpoint,):
            yield endpoint.url, endpoint.name, model


def items(path: Path, languages: tuple[str, ...], count: int) -> tuple[ChoiceItem, ...]:
    """The first items of every language of a file."""
    suite = load_suite("bench", languages=languages, source_lang=SOURCE, choices=path, partial=("choices",))
    every = [item for lang_items in zip(*suite.choices.values(), strict=True) for item in lang_items]
    return tuple(every[:count])


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the items, one round")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--base-url", help="a running vLLM, up to and with /v1; none: start one here")
    parser.add_argument("--model", help="its model name")
    parser.add_argument(
        "--model-folder", type=Path, help="weights and tokenizer; none: the quickstart's base"
    )
    parser.add_argument("--peer-python", type=Path, help="interpreter with lm-eval[api] and transformers")
    parser.add_argument("--choices", type=Path, default=CHOICES, help="multiple choice of a suite")
    parser.add_argument(
        "--languages", nargs="+", default=list(LANGUAGES), help="of that file, beside English"
    )
    parser.add_argument("--items", type=int, default=180, help="items in each run")
    parser.add_argument("--concurrent", type=int, default=CONCURRENT, help="requests in flight of either")
    parser.add_argument("--rounds", type=int, default=2, help="times that all items are scored")
    arguments = parser.parse_args()
    if arguments.base_url and not (arguments.model and arguments.model_folder):
        parser.error("--base-url needs --model and --model-folder")
    count, rounds = (arguments.items // 3, 1) if arguments.quick else (arguments.items, arguments.rounds)
    python = arguments.peer_python or peer_python()
    chosen = items(arguments.choices, tuple(arguments.languages), count)
    with server(arguments) as (base_url, model, tokenizer):
        job = Job(base_url, model, tokenizer, chosen, arguments.concurrent)
        result = measure(job, python, rounds, (lambda line: None) if arguments.json else print)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
