"""The ledger's file against time and accidents: older versions, torn logs, full disks, other writers."""

import resource
import shutil
import sqlite3
import threading
from contextlib import contextmanager

import pytest

from tongues.core.errors import DataError
from tongues.core.records import Step
from tongues.inference.engine import Outcome, failed
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.spending import Spent

STEP = Step("translate", "apertium", "pair 1", "", "p")
HOSTILE = (
    "نص من اليمين إلى اليسار",
    "ไม่มีช่องว่างระหว่างคำ",
    "e\u0301\u0302\u0323 n\u0303",
    "\u202eabc\u2066def\u2069\u200f",
    "zero\u200dwidth\u200b\ufeff",
    "with\0two\0NULs",
    "x" * 1_000_000,
    "𝕬 👩‍👩‍👧‍👦 𠜎",
    " ",
)


def key(number: int) -> bytes:
    return ledger_key(f"text {number}", STEP, "en", "es")


def write_version_1(path, entries):
    """A file as the first version wrote it."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(
        "CREATE TABLE entries (key BLOB PRIMARY KEY CHECK (length(key) = 32), text TEXT,"
        " reason TEXT NOT NULL, detail TEXT NOT NULL) WITHOUT ROWID"
    )
    db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", entries)
    db.execute(f"PRAGMA application_id = {0x746F6E67}")
    db.execute("PRAGMA user_version = 1")
    db.close()


def test_ledger_of_version_1_is_upgraded_in_place(tmp_path):
    path = tmp_path / "ledger.sqlite"
    stored = {key(n): Outcome(text) for n, text in enumerate(HOSTILE)}
    stored |= {key(n): failed("truncated", f"cut {n}", permanent=True) for n in range(100, 400)}
    write_version_1(path, [(k, o.text, o.reason, o.detail) for k, o in stored.items()])
    for _ in range(2):
        with Ledger(path) as ledger:
            assert ledger.get_many(stored) == stored
            assert len(ledger) == len(stored)
            assert ledger.failures() == {"truncated": 300}
    with Ledger(path) as ledger:
        ledger.put_many({key(100): Outcome("now")}, account="job", spent=Spent(requests=1))
        assert ledger.get_many([key(100)]) == {key(100): Outcome("now")}
        assert ledger.spent("job") == Spent(requests=1)
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (2,)


def test_ledger_of_version_1_opened_by_many_at_once_is_upgraded_once(tmp_path):
    path, counted = tmp_path / "ledger.sqlite", []
    write_version_1(path, [(key(n), f"t{n}", "ok", "") for n in range(2_000)])
    together = threading.Barrier(4)

    def open_and_count():
        together.wait()
        with Ledger(path) as ledger:
            counted.append(len(ledger))

    threads = [threading.Thread(target=open_and_count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == [2_000] * 4


def test_ledger_of_version_1_killed_in_mid_upgrade_is_as_it_was(tmp_path):
    path, torn = tmp_path / "ledger.sqlite", tmp_path / "torn.sqlite"
    stored = {key(n): Outcome(f"t{n}" * 20) for n in range(300)}
    write_version_1(path, [(k, o.text, o.reason, o.detail) for k, o in stored.items()])
    before = path.read_bytes()
    keeper = sqlite3.connect(path)  # keeps the log from being written back on close
    keeper.execute("SELECT count(*) FROM entries").fetchall()
    Ledger(path).close()
    log = path.with_name(path.name + "-wal").read_bytes()
    keeper.close()
    for cut in (1, 40, len(log) // 3, len(log) // 2, len(log) - 1):
        torn.write_bytes(before)
        torn.with_name("torn.sqlite-wal").write_bytes(log[:cut])
        with Ledger(torn) as ledger:
            assert ledger.get_many(stored) == stored
        torn.with_name("torn.sqlite-wal").unlink(missing_ok=True)


@pytest.mark.parametrize("garbage", [b"", b"\xa5" * 3_000], ids=["cut", "garbage"])
def test_ledger_log_torn_anywhere_keeps_all_that_was_acknowledged_before(tmp_path, garbage):
    path, torn = tmp_path / "ledger.sqlite", tmp_path / "torn" / "ledger.sqlite"
    log, log_of_torn = path.with_name("ledger.sqlite-wal"), torn.with_name("ledger.sqlite-wal")
    Ledger(path).close()
    acknowledged = {}  # size of the log to what had been acknowledged by then
    with Ledger(path) as ledger:
        for number in range(8):
            ledger.put_many(
                {key(number): Outcome(f"t{number} " * 150)}, account="job", spent=Spent(requests=1)
            )
            acknowledged[log.stat().st_size] = number + 1
        content = log.read_bytes()
        shutil.copytree(tmp_path, torn.parent, ignore=shutil.ignore_patterns("*-wal", "*-shm", "torn"))
    main, frame = torn.read_bytes(), 4096 + 24
    ends = [32 + n * frame for n in range(len(content) // frame + 1)]
    cuts = {e + d for e in ends for d in (-1, 0, 1)} | set(range(0, len(content), 4_001)) | {len(content)}
    for cut in sorted(c for c in cuts if 0 <= c <= len(content)):
        torn.write_bytes(main)
        log_of_torn.write_bytes(content[:cut] + garbage)
        expected = max((n for size, n in acknowledged.items() if size <= cut), default=0)
        with Ledger(torn) as ledger:
            assert len(ledger) == expected, f"log cut at {cut}"
            assert ledger.spent("job").requests == expected
            assert len(ledger.get_many(map(key, range(expected)))) == expected
            ledger.put_many({key(99): Outcome("goes on")})
            assert len(ledger) == expected + 1
        log_of_torn.unlink(missing_ok=True)
    assert len(acknowledged) == 8


@contextmanager
def files_no_larger_than(size):
    """What a full disk does to a write, for this process alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_ledger_disk_full_in_mid_write_keeps_what_was_acknowledged(tmp_path):
    path, acknowledged = tmp_path / "ledger.sqlite", {}
    with Ledger(path) as ledger:
        with files_no_larger_than(400_000), pytest.raises(DataError, match=r"cannot be used now.*free disk"):
            for number in range(1_000):
                batch = {key(number * 10 + i): Outcome(f"{number} " * 100) for i in range(10)}
                ledger.put_many(batch, account="job", spent=Spent(requests=10))
                acknowledged |= batch
        assert len(acknowledged) > 100
        assert ledger.get_many(acknowledged) == acknowledged
        assert ledger.spent("job").requests == len(acknowledged) == len(ledger)
        ledger.put_many({key(10**6): Outcome("space again")})
    with Ledger(path) as ledger:
        assert ledger.get_many(acknowledged) == acknowledged
        assert len(ledger) == len(acknowledged) + 1


def test_ledger_hostile_texts_come_back_as_they_were(tmp_path):
    stored = {key(n): Outcome(text, detail=text) for n, text in enumerate(HOSTILE)}
    with Ledger(tmp_path / "a.sqlite") as ledger, Ledger(tmp_path / "b.sqlite") as other:
        ledger.put_many(stored)
        assert ledger.get_many(stored) == stored
        ledger.export_segment(tmp_path / "s.parquet")
        other.import_segment(tmp_path / "s.parquet")
        assert other.get_many(stored) == stored


def test_ledger_half_characters_in_a_detail_are_spelled_out(tmp_path):
    with Ledger(tmp_path / "a.sqlite") as ledger:
        ledger.put_many({key(1): failed("refused", "said \ud83d ñ", permanent=True)})
        assert ledger.get_many([key(1)])[key(1)].detail == "said \\ud83d ñ"


def test_ledger_compact_reclaims_space_and_loses_nothing(tmp_path):
    path = tmp_path / "ledger.sqlite"
    write_version_1(path, [(key(n), f"t{n} " * 30, "ok", "") for n in range(1_000)])
    with Ledger(path) as ledger, Ledger(path) as neighbour:
        ledger.put_many({}, account="job", spent=Spent(cost=0.5))
        before, after = ledger.compact()
        assert after < before
        assert not (tmp_path / "ledger.sqlite-wal").stat().st_size
        assert len(ledger) == len(neighbour) == 1_000
        assert neighbour.spent("job") == Spent(cost=0.5)
        neighbour.put_many({key(9_999): Outcome("after")})
        assert ledger.get_many([key(9_999)])


def test_ledger_look_up_goes_through_the_index(ledger):
    """A scan would answer as well, a million times slower."""
    plan = ledger._db.execute("EXPLAIN QUERY PLAN SELECT text FROM entries WHERE key IN (?, ?)", (b"", b""))
    assert "USING INDEX" in plan.fetchone()[-1]
