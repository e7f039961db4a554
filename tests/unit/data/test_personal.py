import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.core.records import Message, Record, Source
from tongues.data.personal import mask, mask_record


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to ana.maria+x@correo.example.es, please", "write to <EMAIL>, please"),
        ("correo: añó@dominio.cat.", "correo: <EMAIL>."),
        ("card 4111 1111 1111 1111 expires", "card <CARD> expires"),
        ("card 4111-1111-1111-1111", "card <CARD>"),
        ("IBAN ES91 2100 0418 4502 0005 1332 now", "IBAN <IBAN> now"),
        ("IBAN DE89370400440532013000", "IBAN <IBAN>"),
        ("server 192.168.0.1 is down", "server <IP> is down"),
        ("at 2001:db8::ff00:42:8329.", "at <IP>."),
        ("call +34 612 345 678 today", "call <PHONE> today"),
        ("call 0034612345678", "call <PHONE>"),
        ("اتصل على +966 50 123 4567 الآن", "اتصل على <PHONE> الآن"),
    ],
)
def test_mask_replaces_personal_data(text: str, expected: str) -> None:
    assert mask(text)[0] == expected
    assert sum(mask(text)[1].values()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112 fails the checksum",
        "0000 0000 0000 0000",
        "ES92 2100 0418 4502 0005 1332",
        "999.999.1.1 and 1.2.3",
        "at 12:30:45 we met",
        "1,234,567,890,123 people, 3.14159265358979",
        "x = a@b",
        "f(x) :: Int",
        "2 + 3456789 = 3456791",
        "ISBN 978-3-16-148410-0",
    ],
)
def test_mask_leaves_ordinary_numbers(text: str) -> None:
    assert mask(text) == (text, {})


@given(st.text(alphabet="a1@.:+ -٣é\u202e\ud800", max_size=40))
def test_mask_of_any_text_masks_nothing_the_second_time(text: str) -> None:
    masked, counts = mask(text)
    assert masked.count("<") == sum(counts.values())
    again, more = mask(masked)
    assert sum(more.values()) == 0 or len(again) <= len(masked)


def test_mask_record_keeps_what_has_none_and_renames_what_has() -> None:
    def record(answer: str) -> Record:
        turns = (Message("user", "q", "es"), Message("assistant", answer, "es"))
        return Record.create(messages=turns, group="g", method="m", source=Source("d", "1", "x:1", "MIT"))

    plain, personal = record("nothing here"), record("me@example.org and me@example.org")
    assert mask_record(plain) == (plain, {})
    masked, counts = mask_record(personal)
    assert masked.answer.content == "<EMAIL> and <EMAIL>" and counts == {"EMAIL": 2}
    assert masked.id == record("<EMAIL> and <EMAIL>").id != personal.id
