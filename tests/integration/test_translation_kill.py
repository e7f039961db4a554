"""kill -9 in the middle: what was acknowledged is never asked again, and the end is the same."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "servers"))

from openai_faults import MODEL, FaultyEndpoint

from tongues.core.recipe import OpenAIEngine
from tongues.core.records import Source, SourceRow, Step
from tongues.inference.engine import Outcome
from tongues.inference.ledger import Ledger, ledger_key
from tongues.translation.openai_chat import OpenAIChat

pytestmark = pytest.mark.integration
SERVERS = Path(__file__).resolve().parents[1] / "servers"
ROWS = 150


@pytest.fixture
def rows_file(tmp_path):
    rows = [
        SourceRow.create(
            instruction=f"Explain item {i} in `file_{i}.py` to a friend",
            input="" if i % 3 else f"Context of item {i}\n- first\n- second",
            output=f"Item {i} is a thing.\nIt costs {i} euros.",
            source=Source("tests", "1", f"rows:{i}", "Apache-2.0"),
        )
        for i in range(ROWS)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row.to_row()) + "\n" for row in rows))
    return path


def start(rows_file: Path, ledger: Path, out: Path, engine: dict, target: str = "es"):
    command = [
        sys.executable,
        str(SERVERS / "translation_job.py"),
        rows_file,
        ledger,
        out,
        target,
        json.dumps(engine),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process) -> dict:
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr.decode()[-2000:]
    return json.loads(stdout)


def section(endpoint) -> dict:
    address = {"base_url": endpoint.base_url, "max_in_flight": 8}
    return {"kind": "openai", "endpoints": [address], "model": MODEL}


def keys_of(texts, engine: dict) -> dict[bytes, str]:
    step = OpenAIChat(OpenAIEngine(**engine)).step("en", "es")
    return {ledger_key(text, step, "en", "es"): text for text in texts}


KILLS = 20


def test_translation_killed_at_20_random_moments_repeats_nothing_that_was_acknowledged(tmp_path, rows_file):
    with FaultyEndpoint() as endpoint:
        calm = finish(start(rows_file, tmp_path / "calm.sqlite", tmp_path / "calm.jsonl", section(endpoint)))
        all_texts = set(endpoint.texts)
    ledger, out, moments = tmp_path / "ledger.sqlite", tmp_path / "out.jsonl", random.Random(20)
    with FaultyEndpoint(latency_s=0.005) as endpoint:
        for _ in range(KILLS):
            _run_and_kill(endpoint, rows_file, ledger, out, all_texts, moments)
        known = _known(ledger, keys_of(all_texts, section(endpoint)))
        endpoint.choose, asked = lambda number, text: "ok", len(endpoint.requests)
        counts = finish(start(rows_file, ledger, out, section(endpoint)))
        assert set(endpoint.texts[asked:]) == all_texts - known
    assert counts["sent"] == calm["sent"] - len(known)
    assert set(endpoint.texts) == all_texts
    # What was in flight at a kill, at most 8 requests each time, is all that may have been asked again.
    repeated = sum(count - 1 for count in Counter(endpoint.texts).values())
    assert repeated <= KILLS * 8
    assert out.read_text() == (tmp_path / "calm.jsonl").read_text()


def _run_and_kill(endpoint, rows_file, ledger, out, all_texts, moments) -> None:
    """One run, killed while a drawn request is answered or a drawn time after it; it repeats nothing."""
    known = _known(ledger, keys_of(all_texts, section(endpoint)))
    asked, delay_s = len(endpoint.requests), moments.choice([0, 0.002, 0.01, 0.03])
    at = asked + moments.randrange(1, max(2, (len(all_texts) - len(known)) // 6))
    process = start(rows_file, ledger, out, section(endpoint))

    def kill(number, text):
        if number == at:
            threading.Timer(delay_s, os.kill, (process.pid, signal.SIGKILL)).start()
        return "ok"

    endpoint.choose = kill
    process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL, "it was not killed in the middle"
    repeated = set(endpoint.texts[asked:]) & known
    assert not repeated, "a request that was in the ledger was sent again"


def _known(ledger: Path, keys: dict[bytes, str]) -> set[str]:
    if not ledger.exists():
        return set()
    with Ledger(ledger) as opened:
        return {keys[key] for key in opened.get_many(keys)}


def test_translation_second_process_sends_nothing(tmp_path, rows_file):
    ledger = tmp_path / "ledger.sqlite"
    with FaultyEndpoint() as endpoint:
        finish(start(rows_file, ledger, tmp_path / "1.jsonl", section(endpoint)))
        sent = len(endpoint.requests)
        counts = finish(start(rows_file, ledger, tmp_path / "2.jsonl", section(endpoint)))
        assert len(endpoint.requests) == sent
    assert counts["sent"] == counts["requests"] == 0
    assert (tmp_path / "1.jsonl").read_text() == (tmp_path / "2.jsonl").read_text()


def test_translation_two_processes_on_one_ledger_both_finish_alike(tmp_path, rows_file):
    ledger = tmp_path / "ledger.sqlite"
    with FaultyEndpoint(latency_s=0.002) as endpoint:
        jobs = [start(rows_file, ledger, tmp_path / f"{n}.jsonl", section(endpoint)) for n in range(2)]
        counts = [finish(job) for job in jobs]
    assert sum(c["ledger_hits"] for c in counts) >= 0
    assert (tmp_path / "0.jsonl").read_text() == (tmp_path / "1.jsonl").read_text()
    with Ledger(ledger) as opened:
        assert len(opened) == len(set(endpoint.texts))


@pytest.mark.parametrize("seed", range(3))
def test_translation_with_apertium_killed_gives_the_same_rows(tmp_path, rows_file, seed):
    if shutil.which("apertium-wblank-mode") is None:
        pytest.skip("needs Apertium with the pair en-gl")
    engine = {"kind": "apertium", "batch_rows": 16}
    calm = finish(start(rows_file, tmp_path / "calm.sqlite", tmp_path / "calm.jsonl", engine, "gl"))
    ledger, out = tmp_path / "ledger.sqlite", tmp_path / "out.jsonl"
    process = start(rows_file, ledger, out, engine, "gl")
    wanted = random.Random(seed).randrange(1, calm["sent"])
    _kill_when_ledger_has(process, ledger, wanted)
    with Ledger(ledger) as opened:
        kept = len(opened)
    counts = finish(start(rows_file, ledger, out, engine, "gl"))
    assert counts["sent"] == calm["sent"] - kept
    assert out.read_text() == (tmp_path / "calm.jsonl").read_text()


def _kill_when_ledger_has(process, ledger: Path, entries: int) -> None:
    while process.poll() is None:
        if ledger.exists() and ledger.stat().st_size:
            with Ledger(ledger) as opened:
                if len(opened) >= entries:
                    process.kill()
        time.sleep(0.005)  # how often to look; the kill itself depends on the ledger alone
    process.wait(timeout=10)
    process.stdout.close()
    process.stderr.close()


_WRITER = """
import sys
from pathlib import Path
from tongues.core.records import Step
from tongues.inference.engine import Outcome
from tongues.inference.ledger import Ledger, ledger_key
name, count, size = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
step = Step("translate", "e", "m", "", "")
with Ledger(Path(sys.argv[1])) as ledger:
    for n in range(count):
        keys = [ledger_key(f"{name} {n} {i}", step, "en", "es") for i in range(size)]
        ledger.put_many(dict.fromkeys(keys, Outcome(f"{n}")))
        print(n, flush=True)
"""


def write(ledger: Path, name: str, count: int, size: int):
    command = [sys.executable, "-c", _WRITER, str(ledger), name, str(count), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def batch(name: str, n: int, size: int) -> dict[bytes, Outcome]:
    step = Step("translate", "e", "m", "", "")
    return {ledger_key(f"{name} {n} {i}", step, "en", "es"): Outcome(f"{n}") for i in range(size)}


def test_ledger_writers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "ledger.sqlite"
    writers = [write(path, f"w{number}", 40, 25) for number in range(3)]
    threads = [threading.Thread(target=writer.communicate) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    with Ledger(path) as ledger:
        assert len(ledger) == 3 * 40 * 25


def test_ledger_writer_killed_anywhere_keeps_every_batch_it_acknowledged(tmp_path):
    for attempt in range(8):
        path = tmp_path / f"{attempt}.sqlite"
        writer = write(path, "w", 10_000, 20)
        for _ in range(random.Random(attempt).randrange(1, 60)):
            writer.stdout.readline()
        writer.kill()
        acknowledged = writer.stdout.read().split()
        writer.wait()
        with Ledger(path) as ledger:
            last = int(acknowledged[-1]) if acknowledged else 0
            for n in range(last + 1):
                stored = batch("w", n, 20)
                assert ledger.get_many(stored) == stored
            assert len(ledger) % 20 == 0, "half a batch was stored"
