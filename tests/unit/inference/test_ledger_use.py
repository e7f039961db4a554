import pytest

from tongues.core.errors import DataError
from tongues.core.records import Step
from tongues.inference.engine import Outcome, failed
from tongues.inference.ledger import Ledger, ledger_key
from tongues.inference.ledger_use import LedgerLook, changed_entries, write_used

STEP = Step("translate", "openai", "m", "", "p")
KEYS = {text: ledger_key(text, STEP, "en", "gl") for text in ("one", "two", "three", "never")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


def listed(path, folder):
    """Two answers and a stored failure are used; a third answer is not."""
    with Ledger(path) as ledger:
        ledger.put_many({KEYS["never"]: Outcome("nunca")})
        ledger.put_many({KEYS["one"]: Outcome("un")})
        ledger.note_use()
        assert ledger.get_many(KEYS.values()).keys() == {KEYS["one"], KEYS["never"]}
    with Ledger(path) as ledger:
        ledger.note_use()
        ledger.get_many([KEYS["one"], KEYS["two"]])
        ledger.put_many(
            {KEYS["two"]: Outcome("dous"), KEYS["three"]: failed("too-long", "at 2 tokens", permanent=True)}
        )
        return write_used(folder / "used.parquet", ledger.used())


def faults(path, folder):
    with LedgerLook(path) as look:
        return list(changed_entries(folder / "used.parquet", look.find))


def flip(path, old, new):
    """Change bytes of a ledger file behind its back."""
    content = path.read_bytes()
    assert content.count(old) == 1 and len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def test_exactly_the_entries_that_were_found_or_put_are_listed(path, tmp_path):
    assert listed(path, tmp_path)[0] == 3
    assert faults(path, tmp_path) == []


def test_digest_follows_from_the_entries_alone(path, tmp_path):
    first = listed(path, tmp_path)
    (tmp_path / "other").mkdir()
    assert listed(tmp_path / "other.sqlite", tmp_path / "other") == first
    with Ledger(path) as ledger:
        ledger.note_use()
        ledger.get_many([KEYS["one"]])
        assert write_used(tmp_path / "fewer.parquet", ledger.used())[1] != first[1]


def test_same_use_twice_is_listed_once(path, tmp_path):
    with Ledger(path) as ledger:
        ledger.note_use()
        for _ in range(2):
            ledger.put_many({KEYS["one"]: Outcome("un")})
            ledger.get_many([KEYS["one"], KEYS["one"]])
        assert write_used(tmp_path / "used.parquet", ledger.used())[0] == 1


@pytest.mark.parametrize(
    ("old", "new", "text"), [(b"dous", b"tres", "two"), (b"at 2 tokens", b"at 9 tokens", "three")]
)
def test_flipped_byte_in_a_used_entry_names_that_entry(path, tmp_path, old, new, text):
    listed(path, tmp_path)
    flip(path, old, new)
    (fault,) = faults(path, tmp_path)
    assert fault.startswith(f"entry {KEYS[text].hex()[:12]}: changed (sha256 ")


def test_every_byte_of_a_used_answer_counts(path, tmp_path):
    listed(path, tmp_path)
    whole = path.read_bytes()
    start = whole.index(b"dous")
    for at in range(start, start + 4):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert len(faults(path, tmp_path)) == 1
    path.write_bytes(whole)
    assert faults(path, tmp_path) == []


def test_change_of_an_entry_that_was_not_used_is_none(path, tmp_path):
    listed(path, tmp_path)
    flip(path, b"nunca", b"sempr")
    assert faults(path, tmp_path) == []


def test_entry_that_is_gone_is_named_and_new_ones_do_not_matter(path, tmp_path):
    listed(path, tmp_path)
    path.unlink()
    with Ledger(path) as ledger:
        ledger.put_many({KEYS["two"]: Outcome("dous"), KEYS["one"]: Outcome("un")})
        ledger.put_many({ledger_key("more", STEP, "en", "gl"): Outcome("máis")})
    assert faults(path, tmp_path) == [f"entry {KEYS['three'].hex()[:12]}: missing"]


def test_answer_in_the_place_of_a_stored_failure_is_no_fault_but_one_for_an_answer_is(path, tmp_path):
    listed(path, tmp_path)
    with Ledger(path) as ledger:
        ledger.put_many({KEYS["three"]: Outcome("tres"), KEYS["two"]: Outcome("dúas")})
    assert faults(path, tmp_path) == []  # and an answer is never replaced


def test_ledger_that_is_gone_or_damaged_is_told(path, tmp_path):
    listed(path, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(b"\0" * len(whole))
    with pytest.raises(DataError, match="damaged"):
        faults(path, tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        faults(path, tmp_path)


def test_list_that_is_none_is_told(path, tmp_path):
    listed(path, tmp_path)
    (tmp_path / "used.parquet").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a list of ledger entries"):
        faults(path, tmp_path)


def test_looking_changes_nothing_in_the_file(path, tmp_path):
    listed(path, tmp_path)
    before = path.read_bytes()
    faults(path, tmp_path)
    assert path.read_bytes() == before
