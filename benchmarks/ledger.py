"""Claim: ten million answers are found in well under a millisecond each, with flat memory, after kill -9 too.

The peer is `diskcache`, which many use to cache answers of language models; like the ledger it is SQLite
underneath. Both store the same entries in transactions of the same size and then look all of them up in
another order, one after the other in this run; `ratio` is ours divided by the peer's entries per second.
The peer gets at most 100,000 entries, and the ledger that it is compared with as many.
"""

import argparse
import hashlib
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tongues.inference.engine import Outcome
from tongues.inference.ledger import Ledger
from tongues.inference.ledger_file import file_bytes
from tongues.inference.spending import Spent

WRITE_BATCH = 500  # entries a transaction
ASK_BATCH = 8  # segments of a row, which the dispatcher looks up together
QUICK_ENTRIES = 200_000
PEER_ENTRIES = 100_000
SAMPLES = 20_000
WORDS = (
    "the quick answer is forty-two ¿cómo estás hoy? l'exercici següent és fàcil Привет, как дела сегодня "
    "здравствуйте 你好世界 今天天气很好 我们去公园 مرحبا بالعالم كيف حالك اليوم नमस्ते दुनिया आप कैसे हैं "
    "Ελληνικά κείμενα εδώ שלום עולם こんにちは世界 สวัสดีชาวโลก ሰላም ልዑል გამარჯობა მსოფლიო"
)
SPAWN = multiprocessing.get_context("spawn")


def texts() -> list[str]:
    """A thousand texts of 40 to 200 characters in many scripts."""
    order, words, made = random.Random(7), WORDS.split(), []
    for _ in range(1_000):
        text, wanted = "", order.randrange(40, 200)
        while len(text) < wanted:
            text += order.choice(words) + " "
        made.append(text[:wanted])
    return made


def key(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def batches(entries: int, start: int = 0) -> Iterator[dict[bytes, Outcome]]:
    pool = [Outcome(text) for text in texts()]
    for first in range(start, start + entries, WRITE_BATCH):
        last = min(first + WRITE_BATCH, start + entries)
        yield {key(number): pool[number % len(pool)] for number in range(first, last)}


def peak_rss_mib() -> float:
    """Highest resident memory of this process so far."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def percentiles(look_up: Callable[[bytes], object], keys: list[bytes]) -> tuple[float, float, int]:
    """Look single keys up; returns p50 and p99 in microseconds, and how many a second."""
    times = []
    for one in keys:
        started = time.perf_counter_ns()
        look_up(one)
        times.append((time.perf_counter_ns() - started) / 1_000)
    cuts = statistics.quantiles(times, n=100)
    return round(cuts[49], 1), round(cuts[98], 1), round(len(times) / sum(times) * 1e6)


def fill(path: Path, entries: int) -> dict[str, Any]:
    """Store all entries; runs in a process of its own, whose peak memory is measured."""
    tenths, mark, slowest = [], max(entries // 10, 1), 0.0
    with Ledger(path) as ledger:
        started = last = time.perf_counter()
        stored, cpu = 0, time.process_time()
        for batch in batches(entries):
            before = time.perf_counter()
            ledger.put_many(batch, account="job", spent=Spent(requests=len(batch)))
            slowest = max(slowest, time.perf_counter() - before)
            if stored // mark < (stored := stored + len(batch)) // mark:
                tenths.append(round(mark / (time.perf_counter() - last)))
                last = time.perf_counter()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        one_by_one = time.perf_counter()
        for number in range(entries, entries + 2_000):
            ledger.put_many({key(number): Outcome("one answer of a chat endpoint")})
        single = 2_000 / (time.perf_counter() - one_by_one)
        assert ledger.spent("job") == Spent(requests=entries)
    return {
        "inserts_per_s": round(entries / seconds),
        "inserts_per_s_by_tenth": tenths,
        "inserts_per_cpu_s": round(entries / cpu),
        "slowest_put_s": round(slowest, 3),
        "single_inserts_per_s": round(single),
        "fill_rss_mib": round(peak_rss_mib(), 1),
    }


def look_up(path: Path, entries: int) -> dict[str, Any]:
    """Look up at random, known and unknown; runs in a process of its own."""
    order, started = random.Random(3), time.perf_counter()
    with Ledger(path) as ledger:
        opened = time.perf_counter() - started
        hits = [key(order.randrange(entries)) for _ in range(SAMPLES)]
        misses = [key(-1 - order.randrange(10**9)) for _ in range(SAMPLES)]
        hit = percentiles(lambda one: ledger.get_many((one,)), hits)
        miss = percentiles(lambda one: ledger.get_many((one,)), misses)
        asks = [
            [key(order.randrange(entries)) for _ in range(ASK_BATCH)] for _ in range(SAMPLES // ASK_BATCH)
        ]
        started = time.perf_counter()
        found = sum(len(ledger.get_many(ask)) for ask in asks)
        seconds = time.perf_counter() - started
        assert found == sum(len(set(ask)) for ask in asks), "an entry is missing"
    return {
        "lookups_per_s": round(len(asks) * ASK_BATCH / seconds),
        "single_lookups_per_s": hit[2],
        "single_misses_per_s": miss[2],
        "lookup_p50_us": hit[0],
        "lookup_p99_us": hit[1],
        "miss_p50_us": miss[0],
        "miss_p99_us": miss[1],
        "open_s": round(opened, 4),
        "lookup_rss_mib": round(peak_rss_mib(), 1),
    }


def write_until_killed(path: Path, start: int, acknowledged: Connection) -> None:
    with Ledger(path) as ledger:
        for number, batch in enumerate(batches(10**9, start)):
            ledger.put_many(batch)
            acknowledged.send(number + 1)


def kill_and_reopen(path: Path, start: int, kills: int) -> dict[str, Any]:
    """Kill a writer -9 at random moments; every acknowledged batch must be there after reopening."""
    moments, reopened, verified = random.Random(9), [], 0
    for _ in range(kills):
        start += 1_000_000  # entries that no earlier one has written
        ours, theirs = SPAWN.Pipe(duplex=False)
        writer = SPAWN.Process(target=write_until_killed, args=(path, start, theirs))
        writer.start()
        theirs.close()
        done = 0
        for _ in range(moments.randrange(1, 60)):
            done = ours.recv()
        writer.kill()
        writer.join()
        while ours.poll():
            try:
                done = ours.recv()
            except EOFError:
                break
        started = time.perf_counter()
        with Ledger(path) as ledger:
            first = ledger.get_many([key(start)])
            reopened.append(time.perf_counter() - started)
            assert first
            for batch in batches(done * WRITE_BATCH, start):
                assert ledger.get_many(batch) == batch, "an acknowledged entry is lost"
                verified += len(batch)
    return {"reopen_after_kill_s": round(max(reopened), 4), "kills": kills, "acknowledged_verified": verified}


def ours(path: Path, entries: int) -> float:
    """Entries per second, stored and then looked up in another order."""
    order = random.Random(5)
    with Ledger(path) as ledger:
        started = time.perf_counter()
        for batch in batches(entries):
            ledger.put_many(batch)
        for _ in range(entries // ASK_BATCH):
            assert ledger.get_many([key(order.randrange(entries)) for _ in range(ASK_BATCH)])
        return entries / (time.perf_counter() - started)


def peer(path: Path, entries: int) -> float:
    """The same through diskcache, in transactions of the same size and without eviction."""
    import diskcache

    order = random.Random(5)
    with diskcache.Cache(str(path), eviction_policy="none", size_limit=1 << 40, cull_limit=0) as cache:
        started = time.perf_counter()
        for batch in batches(entries):
            with cache.transact():
                for one, outcome in batch.items():
                    cache.set(one, outcome.text)
        for _ in range(entries // ASK_BATCH):
            for one in [key(order.randrange(entries)) for _ in range(ASK_BATCH)]:
                assert cache.get(one)
        return entries / (time.perf_counter() - started)


def alone(task: Callable[..., Any], *arguments: object) -> Any:
    """Run in a fresh process, so that its memory is its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=SPAWN) as pool:
        return pool.submit(task, *arguments).result()


def measure(folder: Path, entries: int, say: Callable[[str], None]) -> dict[str, Any]:
    path, compared = folder / "ledger.sqlite", min(entries, PEER_ENTRIES)
    result = {"entries": entries} | alone(fill, path, entries)
    say(f"stored {entries:,}: {result['inserts_per_s']:,} a second, {result['inserts_per_s_by_tenth']}")
    result |= alone(look_up, path, entries)
    say(f"looked up: p50 {result['lookup_p50_us']} µs, p99 {result['lookup_p99_us']} µs")
    result |= {"file_gib": round(file_bytes(path) / 2**30, 3)}
    result |= kill_and_reopen(path, entries, kills=3 if entries <= QUICK_ENTRIES else 20)
    say(f"killed {result['kills']} times, reopened in at most {result['reopen_after_kill_s']} s")
    mine = alone(ours, folder / "compared.sqlite", compared)
    theirs = alone(peer, folder / "diskcache", compared)
    return result | {
        "rss_mib": max(result["fill_rss_mib"], result["lookup_rss_mib"]),
        "ratio": round(mine / theirs, 2),
        "peer": "diskcache, transactions of the same size",
        "peer_entries": compared,
        "entries_per_s": round(mine),
        "peer_entries_per_s": round(theirs),
    }


def main() -> None:
    """Measure and print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000_000, help="entries to store, at least 1,000")
    parser.add_argument("--quick", action="store_true", help="200,000 entries")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--folder", type=Path, help="where the files go meanwhile; 4 GiB for all entries")
    arguments = parser.parse_args()
    entries = QUICK_ENTRIES if arguments.quick else arguments.entries
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = measure(Path(folder), entries, (lambda _: None) if arguments.json else print)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
