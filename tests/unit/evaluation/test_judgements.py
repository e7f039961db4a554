import json
from pathlib import Path

import pytest

from tongues.core.errors import DataError
from tongues.evaluation.judgements import read_judgements, read_rating


def _record(number: int, rating: str, category: str = "writing", beside: float = 1) -> dict[str, object]:
    return {
        "id": number, "question": "?", "answer": "!", "judgement": f"Because it is so.\n\nRating: {rating}",
        "rating_in_number": beside, "got_rating": True, "category": category, "turns": 1,
    }  # fmt: skip


def _write(path: Path, records: object) -> Path:
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def test_read_judgements_prose_wins_over_the_number_beside_it(tmp_path: Path) -> None:
    records = [_record(i, "[[9]]", beside=2) for i in range(40)]
    records += [_record(40 + i, "[[7.5]]", "math", beside=10) for i in range(40)]
    found = read_judgements(_write(tmp_path / "j.json", records))
    assert found["overall"] == {"mean": 8.25, "n": 80}
    assert found["categories"] == {"math": {"mean": 7.5, "n": 40}, "writing": {"mean": 9.0, "n": 40}}
    assert found["parse_failures"] == 0


def test_read_judgements_unreadable_ratings_are_counted_and_named_not_averaged(tmp_path: Path) -> None:
    records = [_record(1, "[[8]]"), _record(2, "9"), _record(3, "[[11]]"), _record(4, "[[none]]", beside=10)]
    found = read_judgements(_write(tmp_path / "j.json", records))
    assert found["overall"] == {"mean": 8.0, "n": 1}
    assert found["unreadable"] == ["2", "3", "4"]
    assert found["parse_failures"] == 3


@pytest.mark.parametrize(
    ("prose", "rating"),
    [
        ("Rating: [[9]]", 9.0),
        ("I thought of [[4]] first.\nRating: [[ 6.5 ]]", 6.5),
        ("Rating: [[10]].", 10.0),
        ("Rating: [[8.5]]", 8.5),
        ("Rating: [[٩]]", 9.0),
        ("It is a [[7]], no: [[11]]", None),
        ("Rating: [[" + "9" * 400 + "]]", None),
        ("[[" * 300_000 + " " * 300_000, None),
        ("Rating: [[9]]" + " " * 1_000_000, 9.0),
        ("Rating: [[0]]", None),
        ("Rating: [9]", None),
        ("", None),
    ],
)
def test_read_rating_takes_the_last_one_in_range(prose: str, rating: float | None) -> None:
    assert read_rating(prose) == rating


@pytest.mark.parametrize(
    "content", ['{"a": 1}', "[1]", '[{"judgement": 3}]', "nonsense", "[]", "[" * 100_000, '"text"', "[null]"]
)
def test_read_judgements_other_shapes_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "j.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError):
        read_judgements(path)


def test_read_judgements_no_rating_at_all_is_an_error_not_a_mean(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 1 judgements ends in a rating"):
        read_judgements(_write(tmp_path / "j.json", [_record(1, "nine")]))


def test_read_judgements_record_that_is_broken_is_named_by_its_number(tmp_path: Path) -> None:
    records = [_record(1, "[[8]]"), {"id": 2, "rating_in_number": 9}]
    with pytest.raises(DataError, match="record 1 has no text 'judgement'"):
        read_judgements(_write(tmp_path / "j.json", records))


def test_read_judgements_hostile_labels_are_kept_apart_and_can_be_printed(tmp_path: Path) -> None:
    records = [_record(1, "[[8]]", "\ud800"), _record(2, "[[6]]") | {"category": None, "id": ["x"]}]
    records += [_record(3, "[[4]]") | {"rating_in_number": "four"}]
    path = tmp_path / "j.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(records).encode())
    found = read_judgements(path)
    assert found["categories"] == {
        "": {"mean": 6.0, "n": 1}, "?": {"mean": 8.0, "n": 1}, "writing": {"mean": 4.0, "n": 1}
    }  # fmt: skip
    assert found["differing"] == ["1", "['x']"]
    json.dumps(found, ensure_ascii=False).encode()


def test_read_judgements_megabyte_of_prose_per_record_is_read(tmp_path: Path) -> None:
    long = _record(1, "[[9]]") | {"judgement": "[[x]] [[ 3 ] " * 80_000 + "\nRating: [[9]]"}
    assert read_judgements(_write(tmp_path / "j.json", [long]))["overall"] == {"mean": 9.0, "n": 1}
