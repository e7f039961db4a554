"""What was spent: added up once, whatever crashes, merges and repetitions come between."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongues.core.errors import DataError
from tongues.core.records import Step
from tongues.inference.engine import Outcome, failed
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.spending import Spent

STEP = Step("translate", "openai", "m", "", "p")
ONE = Spent(requests=1, characters=20, prompt_tokens=30, completion_tokens=4, cost=0.25)


def key(number: int) -> bytes:
    return ledger_key(f"text {number}", STEP, "en", "es")


def test_spent_adds_up_over_openings_and_writers(tmp_path):
    for number in range(3):
        with Ledger(tmp_path / "l.sqlite") as ledger, Ledger(tmp_path / "l.sqlite") as other:
            ledger.put_many({key(number): Outcome("t")}, account="es", spent=ONE)
            other.put_many({}, account="es", spent=ONE)
            other.put_many({}, account="ca", spent=ONE)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        assert ledger.spent("es") == Spent(6, 120, 180, 24, 1.5)
        assert ledger.accounts() == {"es": Spent(6, 120, 180, 24, 1.5), "ca": Spent(3, 60, 90, 12, 0.75)}
        assert ledger.spent("gl") == Spent()
        assert len(ledger) == 3


def test_spent_on_failures_that_are_not_kept_counts(ledger):
    ledger.put_many({key(1): failed("timeout")}, account="es", spent=ONE)
    assert ledger.spent("es") == ONE
    assert len(ledger) == 0


def test_spent_is_not_added_where_the_entries_did_not_fit(ledger):
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DataError, match="full"):
        ledger.put_many({key(n): Outcome("y" * 5_000) for n in range(50)}, account="es", spent=ONE)
    assert ledger.spent("es") == Spent()


def test_spent_and_stored_are_told_after_they_are_safe(tmp_path):
    told = []
    path = tmp_path / "l.sqlite"

    def look(stored):
        with Ledger(path) as other:
            told.append((stored, len(other), other.spent("es").requests))

    with Ledger(path, on_stored=look) as ledger:
        ledger.put_many({key(n): Outcome("t") for n in range(5)} | {key(9): failed("timeout")})
        ledger.put_many({}, account="es", spent=ONE)
        ledger.put_many({})
    assert told == [(5, 5, 0), (0, 5, 1)]


amounts = st.builds(
    Spent,
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from([0.0, 0.5]),
)


@settings(max_examples=15, deadline=None)
@given(
    spending=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["es", "ca"]), amounts), max_size=6),
    moves=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()), max_size=8),
)
def test_spent_merged_any_way_any_number_of_times_counts_once(spending, moves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spent")
    ledgers = [Ledger(folder / f"{number}.sqlite") for number in range(3)]
    for place, account, spent in spending:
        ledgers[place].put_many({}, account=account, spent=spent)
    for source, target, as_file in [*moves, (1, 0, True), (2, 0, False), (1, 0, False), (2, 0, True)]:
        if as_file:
            ledgers[target].merge(ledgers[source].path)
        else:
            ledgers[source].export_segment(folder / "s.parquet")
            ledgers[target].import_segment(folder / "s.parquet")
    for account in ("es", "ca"):
        expected = Spent()
        for _, name, spent in spending:
            expected += spent if name == account else Spent()
        assert ledgers[0].spent(account) == expected
    for ledger in ledgers:
        ledger.close()
