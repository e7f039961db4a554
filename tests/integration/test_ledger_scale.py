"""The ledger among processes, pods and a real object store: kills, races and outages lose nothing."""

import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tongues.core.errors import StorageError
from tongues.core.records import Step
from tongues.inference.engine import Outcome
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.spending import Spent
from tongues.platform import storage
from tongues.stages.ledger import compact_segments, import_segments, ledger_path, open_ledger
from tongues.stages.workspace import Workspace

pytestmark = pytest.mark.integration
STEP = Step("translate", "e", "m", "", "")
WRITER = """
import sys
from pathlib import Path
from tongues.core.records import Step
from tongues.inference.engine import Outcome
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.spending import Spent
path, name, count, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
step = Step("translate", "e", "m", "", "")
with Ledger(path) as ledger:
    for n in range(count):
        batch = {ledger_key(f"{name} {n} {i}", step, "en", "es"): Outcome(f"{n} " * 40) for i in range(size)}
        ledger.put_many(batch, account="job", spent=Spent(requests=size, cost=0.5))
        print(n, flush=True)
"""
POD = """
import sys
from pathlib import Path
from tongues.core.records import Step
from tongues.stages.ledger import open_ledger
from tongues.stages.workspace import Workspace
from tongues.inference.engine import Outcome
from tongues.inference.ledger import ledger_key
from tongues.inference.spending import Spent
uri, scratch, name, count = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
step = Step("translate", "e", "m", "", "")
with open_ledger(Workspace(uri, scratch=scratch), name, every_s=0.2, entries=50) as ledger:
    for n in range(count):
        key = ledger_key(f"{name} {n} 0", step, "en", "es")
        ledger.put_many({key: Outcome(f"{n} " * 40)}, account="job", spent=Spent(requests=1, cost=0.5))
        print(n, flush=True)
"""


def batch(name, n, size):
    return {ledger_key(f"{name} {n} {i}", STEP, "en", "es"): Outcome(f"{n} " * 40) for i in range(size)}


def start(script, *arguments):
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_writers_at_once_lose_nothing_and_spent_adds_up(tmp_path):
    path = tmp_path / "ledger.sqlite"
    writers = [start(WRITER, path, f"w{number}", 40, 25) for number in range(3)]
    with ThreadPoolExecutor(3) as threads:
        lines = [len(out.split()) for out, _ in threads.map(subprocess.Popen.communicate, writers)]
    assert lines == [40, 40, 40]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    with Ledger(path) as ledger:
        assert len(ledger) == 3 * 40 * 25
        assert ledger.spent("job") == Spent(requests=3_000, cost=60.0)


@pytest.mark.timeout(400)
def test_writer_killed_at_20_moments_keeps_every_batch_and_every_cent_it_acknowledged(tmp_path):
    path, moments, last = tmp_path / "ledger.sqlite", random.Random(20), {}
    for kill in range(20):
        writer = start(WRITER, path, f"w{kill}", 10_000, 20)
        for _ in range(moments.randrange(1, 120)):
            writer.stdout.readline()
        writer.kill()
        acknowledged = writer.stdout.read().split()
        writer.wait()
        last[kill] = int(acknowledged[-1]) if acknowledged else 0
        with Ledger(path) as ledger:
            for n in range(last[kill] + 1):
                stored = batch(f"w{kill}", n, 20)
                assert ledger.get_many(stored) == stored
            # Entries and amounts are of one transaction: never one without the other.
            assert ledger.spent("job").requests == len(ledger)
            assert len(ledger) % 20 == 0, "half a batch was stored"
            assert len(ledger) >= sum(n + 1 for n in last.values()) * 20


@pytest.fixture
def pod(bucket, tmp_path):
    """A maker of pods: each has a disk of its own and shares the object store."""
    return lambda name: Workspace(bucket, scratch=tmp_path / name, say=lambda _: None)


def segments(workspace):
    return storage.list_names(f"{workspace.uri}/ledger")


def contents(workspace, keys):
    with open_ledger(workspace, "look") as ledger:
        return ledger.get_many(keys), ledger.spent("job"), len(ledger)


def test_pod_killed_leaves_what_it_had_published_to_the_next(pod, tmp_path):
    place = pod("second")
    first = start(POD, place.uri, tmp_path / "first", "es-1", 100_000)
    while not sum(name.startswith("es-1") for name in segments(place)) >= 2:
        assert first.stdout.readline()
    # From now on at most the entries of one interval are lost: all that was acknowledged before goes out.
    acknowledged = int(first.stdout.readline())
    seen = len(segments(place))
    while len(segments(place)) < seen + 2:
        assert first.stdout.readline()
    first.kill()
    first.wait()
    first.stdout.close()
    stored = {k: o for n in range(acknowledged) for k, o in batch("es-1", n, 1).items()}
    found, spent, entries = contents(place, stored)
    assert found == stored
    assert acknowledged <= spent.requests <= entries
    assert spent.cost == spent.requests * 0.5


def test_pods_share_answers_and_accounts(pod):
    for number in range(3):
        with open_ledger(pod(f"{number}"), f"es-{number}") as ledger:
            assert len(ledger) == number * 20
            assert ledger.spent("job") == Spent(requests=number)
            ledger.put_many(batch("w", number, 20), account="job", spent=Spent(requests=1))
    with open_ledger(pod("0"), "again") as ledger:
        assert (len(ledger), ledger.spent("job")) == (60, Spent(requests=3))
    assert len(segments(pod("0"))) == 3, "nothing new, and yet something was published"


def test_compaction_leaves_one_segment_with_everything(pod):
    for number in range(4):
        with open_ledger(pod(f"{number}"), f"es-{number}") as ledger:
            ledger.put_many(batch("w", number, 20), account="job", spent=Spent(requests=1))
    done = compact_segments(pod("0"))
    assert (done.segments, done.entries) == (4, 80)
    assert segments(pod("0")) == [done.name]
    assert compact_segments(pod("1")).name == "", "one segment needs no compaction"
    for name in ("0", "new"):
        keys = [key for number in range(4) for key in batch("w", number, 20)]
        found, spent, entries = contents(pod(name), keys)
        assert len(found) == entries == 80
        assert spent == Spent(requests=4)
    assert segments(pod("0")) == [done.name]


def test_compaction_does_not_send_a_machine_what_it_knows(pod):
    with open_ledger(pod("a"), "es-1") as ledger:
        ledger.put_many(batch("w", 1, 20))
    with open_ledger(pod("b"), "es-2") as ledger:
        ledger.put_many(batch("w", 2, 20))
    done = compact_segments(pod("b"))
    with Ledger(ledger_path(pod("b"))) as ledger:
        assert done.name in ledger.attach(f"{pod('b').uri}/ledger")
    with Ledger(ledger_path(pod("a"))) as ledger:
        assert done.name not in ledger.attach(f"{pod('a').uri}/ledger")
        assert import_segments(ledger, f"{pod('a').uri}/ledger") == 20


def test_compaction_killed_before_it_removed_anything_is_repeated_without_harm(pod, tmp_path):
    for number in range(3):
        with open_ledger(pod(f"{number}"), f"es-{number}") as ledger:
            ledger.put_many(batch("w", number, 20))
    kept = {}
    for name in segments(pod("0")):
        kept[name] = storage.fetch_file(f"{pod('0').uri}/ledger/{name}", tmp_path / name)
    first = compact_segments(pod("0"))
    for name, path in kept.items():
        storage.publish_file(path, f"{pod('0').uri}/ledger/{name}")
    second = compact_segments(pod("1"))
    assert (second.segments, second.entries, second.name) == (4, 60, first.name)
    assert segments(pod("0")) == [first.name]


@pytest.fixture
def meanwhile():
    """Do something the moment before the store is asked for an object; afterwards all is as before."""
    registered = []

    def register(action):
        events = storage._s3().meta.events
        events.register("before-call.s3.HeadObject", action)
        registered.append((events, action))

    yield register
    for events, action in registered:
        events.unregister("before-call.s3.HeadObject", action)


def test_segments_compacted_between_listing_and_fetching_are_found_in_the_one(pod, meanwhile):
    for number in range(3):
        with open_ledger(pod(f"{number}"), f"es-{number}") as ledger:
            ledger.put_many(batch("w", number, 20))
    done = []

    def compact_once(**_):
        if not done:
            done.append("started")
            done.append(compact_segments(pod("other")).name)

    meanwhile(compact_once)
    with Ledger(ledger_path(pod("reader"))) as ledger:
        assert import_segments(ledger, f"{pod('reader').uri}/ledger") == 60
    assert segments(pod("reader")) == [done[1]]


def test_two_compactions_at_once_lose_nothing(pod, meanwhile):
    for number in range(3):
        with open_ledger(pod(f"{number}"), f"es-{number}") as ledger:
            ledger.put_many(batch("w", number, 20), account="job", spent=Spent(requests=1))
    done = []

    def compact_once(**_):
        if not done:
            done.append("started")
            compact_segments(pod("other"))

    meanwhile(compact_once)
    compact_segments(pod("one"))
    keys = [key for number in range(3) for key in batch("w", number, 20)]
    found, spent, _ = contents(pod("new"), keys)
    assert (len(found), spent) == (60, Spent(requests=3))
    assert len(segments(pod("one"))) == 1


def test_readers_writers_and_compactions_at_once_lose_nothing(pod):
    over = threading.Event()

    def write(number):
        with open_ledger(pod(f"w{number}"), f"es-{number}", every_s=0.02, entries=10) as ledger:
            for n in range(25):
                ledger.put_many(batch(f"w{number}", n, 2), account="job", spent=Spent(requests=1))
                over.wait(0.01)  # spreads the writing over the compactions

    def compact():
        while not over.is_set():
            compact_segments(pod("compactor"))
            with Ledger(ledger_path(pod("reader"))) as ledger:
                import_segments(ledger, f"{pod('reader').uri}/ledger")

    with ThreadPoolExecutor(4) as threads:
        compacting = threads.submit(compact)
        writing = [threads.submit(write, number) for number in range(3)]
        for future in writing:
            future.result()
        over.set()
        compacting.result()
    compact_segments(pod("compactor"))
    for name in ("reader", "new"):
        _, spent, entries = contents(pod(name), [])
        assert (entries, spent.requests) == (3 * 25 * 2, 3 * 25)


@pytest.fixture
def outage(bucket):
    """Take the store's bucket away and bring it back, empty as it was."""
    client = storage._s3()
    return lambda: client.delete_bucket(Bucket="tongues"), lambda: client.create_bucket(Bucket="tongues")


def test_store_that_goes_down_for_a_while_stops_nothing(pod, outage):
    down, up = outage
    said, told = [], threading.Event()
    place = Workspace(pod("a").uri, pod("a").scratch, lambda line: (said.append(line), told.set()))
    stored = batch("w", 1, 20)
    with open_ledger(place, "es-1", every_s=0.05) as ledger:
        down()
        ledger.put_many(stored)
        assert told.wait(20)
        up()
    assert "refused" in said[0] and "tried again" in said[0]
    assert contents(pod("b"), stored)[0] == stored


def test_store_that_stays_down_is_an_error_at_the_end_and_nothing_is_lost(pod, outage):
    down, up = outage
    stored = batch("w", 1, 20)
    with (
        pytest.raises(StorageError, match=r"refused.*NoSuchBucket"),
        open_ledger(pod("a"), "es-1", patience_s=0.3) as ledger,
    ):
        down()
        ledger.put_many(stored)
    up()
    assert contents(pod("a"), stored)[0] == stored
    assert contents(pod("b"), stored)[0] == stored, "what waited was not published"


def test_store_that_is_down_at_the_start_is_an_error_before_anything_is_paid_for(pod, outage):
    down, up = outage
    down()
    with pytest.raises(StorageError, match="refused the listing"), open_ledger(pod("a"), "es-1"):
        pytest.fail("the work began")
    up()


def test_store_lists_and_removes_files(bucket, tmp_path):
    storage.write_bytes(f"{bucket}/f", b"x")
    assert storage.fetch_if_there(f"{bucket}/f", tmp_path / "f").read_bytes() == b"x"
    for _ in range(2):
        storage.remove_file(f"{bucket}/f")
        assert storage.fetch_if_there(f"{bucket}/f", tmp_path / "g") is None
    with pytest.raises(StorageError, match="refused the listing"):
        storage.list_names("s3://nowhere/x")
