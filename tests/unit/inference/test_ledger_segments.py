"""Segments: what is new travels once, and merging does not depend on how it is spread."""

import random
import resource
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core.errors import DataError
from tongues.core.records import Step
from tongues.inference.engine import Outcome, failed
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.ledger_segments import Segment, merge_segments, write_segment
from tongues.inference.spending import Spent

STEP = Step("translate", "apertium", "pair 1", "", "p")


def key(number: int) -> bytes:
    return ledger_key(f"text {number}", STEP, "en", "es")


def answers(*numbers: int) -> dict[bytes, Outcome]:
    return {key(n): Outcome(f"t{n}") for n in numbers}


def news_of(ledger, path, name):
    """Publish once, and return the keys that went out."""
    news = ledger.export_news(path)
    if news is None:
        return None
    ledger.mark_published(name, news)
    with Segment(path) as segment:
        return {entry[0] for entry in segment.entries()}


def test_news_is_what_came_since(tmp_path, ledger):
    ledger.attach("s3://b/ledger")
    path = tmp_path / "s.parquet"
    assert ledger.export_news(path) is None and not path.exists()
    ledger.put_many(answers(1, 2))
    assert news_of(ledger, path, "a") == {key(1), key(2)}
    ledger.put_many(answers(2, 3))
    assert news_of(ledger, path, "b") == {key(3)}
    assert ledger.export_news(path) is None
    assert ledger.attach("s3://b/ledger") == {"a", "b"}


def test_news_that_was_not_marked_comes_again(tmp_path, ledger):
    ledger.put_many(answers(1))
    assert ledger.export_news(tmp_path / "lost.parquet").entries == 1
    ledger.put_many(answers(2))
    assert news_of(ledger, tmp_path / "s.parquet", "a") == {key(1), key(2)}


def test_news_an_answer_to_a_published_failure_is_news(tmp_path, ledger):
    ledger.put_many({key(1): failed("truncated", permanent=True)} | answers(2))
    assert news_of(ledger, tmp_path / "s.parquet", "a") == {key(1), key(2)}
    ledger.put_many(answers(1))
    assert news_of(ledger, tmp_path / "s.parquet", "b") == {key(1)}
    assert len(ledger) == 2


def test_news_does_not_send_back_what_was_imported(tmp_path, ledger):
    with Ledger(tmp_path / "other.sqlite") as other:
        other.put_many(answers(*range(50)), account="es", spent=Spent(requests=50))
        other.export_segment(tmp_path / "o.parquet")
    ledger.put_many(answers(100))
    assert ledger.import_segment(tmp_path / "o.parquet", published_as="o") == 50
    ledger.put_many(answers(101))
    assert news_of(ledger, tmp_path / "s.parquet", "a") == {key(100), key(101)}
    ledger.import_segment(tmp_path / "o.parquet", published_as="o2")
    assert ledger.export_news(tmp_path / "s.parquet") is None
    assert ledger.spent("es").requests == 50
    # Taken over by hand, it is ours to publish.
    with Ledger(tmp_path / "third.sqlite") as third:
        third.attach("s3://b/ledger")
        third.import_segment(tmp_path / "o.parquet")
        assert len(news_of(third, tmp_path / "s.parquet", "a")) == 50


def test_news_comes_in_parts_of_the_size_asked_for(tmp_path, ledger):
    ledger.put_many(answers(*range(25)))
    seen, sizes = Counter(), []
    while (news := ledger.export_news(tmp_path / "s.parquet", at_most=10)) is not None:
        ledger.mark_published(str(len(sizes)), news)
        sizes.append(news.entries)
        with Segment(tmp_path / "s.parquet") as segment:
            seen.update(entry[0] for entry in segment.entries())
    assert sizes == [10, 10, 5]
    assert seen == Counter(answers(*range(25)).keys())


def test_news_of_spending_alone_is_published_once(tmp_path, ledger):
    ledger.put_many({}, account="es", spent=Spent(requests=3, cost=0.1))
    news = ledger.export_news(tmp_path / "s.parquet")
    assert news.entries == 0
    ledger.mark_published("a", news)
    assert ledger.export_news(tmp_path / "t.parquet") is None
    with Ledger(tmp_path / "other.sqlite") as other:
        other.import_segment(tmp_path / "s.parquet", published_as="a")
        assert other.spent("es") == Spent(requests=3, cost=0.1)
        assert other.export_news(tmp_path / "t.parquet") is None


def test_news_of_own_spending_goes_on_after_it_came_back(tmp_path, ledger):
    for requests in (1, 2, 3):
        ledger.put_many({}, account="es", spent=Spent(requests=1))
        assert news_of(ledger, tmp_path / "s.parquet", f"{requests}") == set()
        with Segment(tmp_path / "s.parquet") as segment:
            assert [spent.requests for spent in segment.totals.values()] == [requests]
        ledger.import_segment(tmp_path / "s.parquet", published_as=f"merged {requests}")


def test_ledger_moved_to_another_folder_is_published_there_anew(tmp_path, ledger):
    ledger.attach("s3://one/ledger")
    with Ledger(tmp_path / "other.sqlite") as other:
        other.put_many(answers(1), account="es", spent=Spent(requests=1))
        other.export_segment(tmp_path / "o.parquet")
    ledger.import_segment(tmp_path / "o.parquet", published_as="o")
    ledger.put_many(answers(2))
    news_of(ledger, tmp_path / "s.parquet", "a")
    assert ledger.attach("s3://two/ledger") == set()
    assert news_of(ledger, tmp_path / "s.parquet", "c") == {key(1), key(2)}
    with Segment(tmp_path / "s.parquet") as segment:
        assert [spent.requests for spent in segment.totals.values()] == [1]


entries = st.lists(
    st.tuples(
        st.integers(0, 12).map(key),
        st.none() | st.sampled_from(["a", "b", "ñ", "نص"]),
        st.sampled_from(["ok", "truncated"]),
        st.sampled_from(["", "why"]),
    ),
    max_size=30,
)


def spread(folder, many, segments, order) -> list:
    """Write entries to segments; one whose key a segment has already goes to the next one."""
    places: list[dict] = [{} for _ in range(segments)]
    for entry in many:
        start = order.randrange(segments)
        free = (place for place in places[start:] + places[:start] if entry[0] not in place)
        place = next(free, None)
        if place is None:
            places.append(place := {})
        place[entry[0]] = entry
    paths = [folder / f"{number}.parquet" for number in range(len(places))]
    for path, place in zip(paths, places, strict=True):
        write_segment(path, [place[k] for k in sorted(place)], {})
    return paths


@settings(max_examples=20, deadline=None)
@given(many=entries, segments=st.tuples(st.integers(1, 5), st.integers(1, 5)), order=st.randoms())
def test_merge_gives_the_same_bytes_however_entries_are_spread(many, segments, order, tmp_path_factory):
    merged = []
    for count in segments:
        folder = tmp_path_factory.mktemp("merge")
        order.shuffle(many)
        merge_segments(spread(folder, many, count, order), folder / "all.parquet")
        merged.append((folder / "all.parquet").read_bytes())
    assert merged[0] == merged[1]
    best = {}
    for entry in sorted(many, key=lambda e: (e[1] is None, e[1] or "", e[2], e[3])):
        best.setdefault(entry[0], entry)
    with Segment(folder / "all.parquet") as segment:
        assert list(segment.entries()) == [best[k] for k in sorted(best)]


def test_merge_of_more_segments_than_are_open_at_once(tmp_path):
    for number in range(70):
        one = [(key(number), f"t{number}", "ok", ""), (key(1_000), f"t{number:02d}", "ok", "")]
        totals = {("es", "w"): Spent(requests=number), (f"{number}", "w"): Spent(cost=0.1)}
        write_segment(tmp_path / f"{number}.parquet", sorted(one), totals)
    assert merge_segments(sorted(tmp_path.glob("*.parquet")), tmp_path / "all") == 71
    with Segment(tmp_path / "all") as segment:
        found = {entry[0]: entry[1] for entry in segment.entries()}
        assert segment.totals[("es", "w")] == Spent(requests=69)
        assert len(segment.totals) == 71
    assert found == {key(n): f"t{n}" for n in range(70)} | {key(1_000): "t00"}
    assert len(list(tmp_path.iterdir())) == 71, "scratch files were left"


def test_segment_of_the_first_version_is_read(tmp_path, ledger):
    columns = {"key": [key(1)], "text": ["t1"], "reason": ["ok"], "detail": [""]}
    types = [pa.binary(32), pa.string(), pa.string(), pa.string()]
    schema = pa.schema([pa.field(n, t, nullable=n == "text") for n, t in zip(columns, types, strict=True)])
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "old.parquet")
    assert ledger.import_segment(tmp_path / "old.parquet") == 1
    assert ledger.get_many([key(1)]) == answers(1)


def test_segment_out_of_order_is_refused(tmp_path):
    many = sorted((key(n), "t", "ok", "") for n in range(3))
    for broken in (many[::-1], [many[0], many[0]]):
        write_segment(tmp_path / "s.parquet", broken, {})
        with pytest.raises(DataError, match="not in key order"):
            merge_segments([tmp_path / "s.parquet"], tmp_path / "all.parquet")
        assert not (tmp_path / "all.parquet").exists()


def test_segment_cut_anywhere_is_refused(tmp_path, ledger):
    ledger.put_many(answers(*range(200)))
    ledger.export_segment(tmp_path / "s.parquet")
    content = (tmp_path / "s.parquet").read_bytes()
    for cut in range(0, len(content), max(1, len(content) // 25)):
        (tmp_path / "cut.parquet").write_bytes(content[:cut])
        with Ledger(tmp_path / "other.sqlite") as other, pytest.raises(DataError, match="not a readable"):
            other.import_segment(tmp_path / "cut.parquet", published_as="cut")
        with Ledger(tmp_path / "other.sqlite") as other:
            assert "cut" not in other.attach("")


def test_segment_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path, ledger):
    ledger.put_many({key(n): Outcome(random.Random(n).randbytes(200).hex()) for n in range(500)})
    with pytest.raises(DataError, match="cannot be written"):
        ledger.export_segment(ledger.path / "s.parquet")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # a full disk, for this process alone
    try:
        with pytest.raises(DataError, match=r"cannot be written.*free disk space"):
            ledger.export_segment(tmp_path / "s" / "s.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "s").iterdir()) == []
    assert ledger.export_segment(tmp_path / "s" / "s.parquet") == 500
