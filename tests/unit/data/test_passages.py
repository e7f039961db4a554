"""Native texts: read, cleaned, sorted out and cut, whatever is in them and in whatever order."""

import json
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given as example
from hypothesis import strategies as st

from tongues.core.drops import Drop
from tongues.core.errors import DataError
from tongues.core.ports import Passage
from tongues.core.recipe import PassageFile, PassagesSection
from tongues.core.token_estimate import estimated_tokens
from tongues.data.chunks import chunks
from tongues.data.documents import clean, read_documents, read_rows
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.passages import CutTexts, WholeTexts, passage_id

SPANISH = (
    "El río nace en la montaña y baja despacio por el valle hasta llegar al mar.",
    "En primavera, la nieve se derrite y el agua mueve los molinos de las aldeas.",
    "Los pescadores salen antes del amanecer y vuelven cuando suenan las campanas.",
    "Por la noche, las familias se reúnen en la plaza y cuentan historias antiguas.",
)
FRENCH = "La rivière naît dans la montagne et descend lentement dans la vallée jusqu'à la mer. " * 4


def file_of(**settings) -> PassageFile:
    fields = {"uri": "x.jsonl", "lang": "es", "dataset": "tiny", "licence": "CC0-1.0"}
    return PassageFile.model_validate(fields | settings)


def section_of(*files: PassageFile, **limits) -> PassagesSection:
    small = {"min_tokens": 30, "max_tokens": 400, "chunk_tokens": 60, "min_last_tokens": 20}
    return PassagesSection(files=files or (file_of(),), **(small | limits))


def cut(rows: list, *, section: PassagesSection | None = None, blocked: tuple[str, ...] = (), lang="es"):
    section = section or section_of()
    lines = [(f"x.jsonl:{number}", row) for number, row in enumerate(rows, start=1)]
    reader = CutTexts(section, lambda file: lines, RestrictedIdentifier(), blocked)
    found = list(reader(lang))
    passages = [one for one in found if isinstance(one, Passage)]
    return passages, [one for one in found if isinstance(one, Drop)]


def article(*numbers: int, title: str = "") -> dict[str, str]:
    return {"title": title, "text": "\n".join(SPANISH[number % 4] for number in numbers)}


def test_a_document_is_cut_at_line_breaks_and_the_short_rest_is_dropped():
    # 76, 77, 78 and 79 bytes and their line breaks, at 3.5 bytes a token: two lines make 44 or 45 tokens,
    # a third does not fit into 60, and the fifth line alone has 22.
    passages, drops = cut([article(0, 1, 2, 3, 0, title="Río")])
    assert [one.text.split("\n") for one in passages] == [[*SPANISH[:2]], [*SPANISH[2:]], [SPANISH[0]]]
    assert {one.title for one in passages} == {"Río"}
    assert [one.id for one in passages] == [passage_id(one.text) for one in passages]
    assert {one.group for one in passages} == {passage_id("\n".join(SPANISH[n] for n in (0, 1, 2, 3, 0)))}
    assert passages[0].source.row == "x.jsonl:1"
    assert drops == []
    passages, drops = cut([article(0, 1, 2, 3, 0, title="Río")], section=section_of(min_last_tokens=22))
    assert len(passages) == 2
    assert [(drop.reason, drop.text) for drop in drops] == [("short-last-passage", SPANISH[0])]


@example(
    st.lists(st.text("añ漢字ا ב.。!? \u202e\u0301x", max_size=60), max_size=30).map("\n".join),
    st.integers(2, 40),
    st.sampled_from([1.0, 2.5, 3.5]),
    st.sampled_from(["es", "zh-Hans", "ar", "th"]),
)
def test_cutting_loses_no_character_and_keeps_the_limit(text, max_tokens, bytes_per_token, lang):
    found = chunks(text, lang, max_tokens=max_tokens, bytes_per_token=bytes_per_token)
    assert "".join(found) == text
    fits = max_tokens * bytes_per_token
    for chunk in found:
        assert chunk
        assert estimated_tokens(chunk, bytes_per_token) <= max_tokens or (len(chunk) == 1 and fits < 4)


@example(st.lists(st.text("abc ", min_size=1, max_size=30), min_size=1, max_size=40))
def test_lines_that_fit_are_never_cut(lines):
    text = "\n".join(lines)
    found = chunks(text, "en", max_tokens=31, bytes_per_token=1.0)
    assert [line for chunk in found for line in chunk.removesuffix("\n").split("\n")] == lines


def test_a_line_of_a_megabyte_is_cut_at_sentences_and_in_a_moment():
    line = "Esta es una frase de prueba. " * 36_000
    found = chunks(line, "es", max_tokens=2_000, bytes_per_token=3.5)
    assert "".join(found) == line
    assert all(chunk.endswith("prueba. ") for chunk in found)
    assert len(found) == pytest.approx(len(line) / 7_000, rel=0.05)


def test_documents_that_are_not_fit_are_dropped_with_the_reason():
    rows = [
        {"title": "corto", "text": SPANISH[0]},
        {"title": "largo", "text": "\n".join(SPANISH * 6)},
        {"title": "francés", "text": FRENCH},
        {"title": "bloqueado", "text": "\n".join([*SPANISH[:2], "La CAMPANA rota."])},
        {"title": "bien", "text": "\n".join(SPANISH[1:3])},
        {"title": "vacío", "text": "\u202e \u200e\ufeff\x00"},
        {"title": "sin texto"},
        {"title": "número", "text": 5},
        {"title": "roto", "text": "a\ud800b"},
        b"{not json",
        b"\xff\xfe",
        b"[1]",
    ]
    passages, drops = cut(rows, blocked=("campana",))
    assert [one.title for one in passages] == ["bien"]
    assert Counter(drop.reason for drop in drops) == Counter(
        [
            "too-short",
            "too-long",
            "wrong-language",
            "blocked-word",
            "too-short",
            "missing-field",
            "wrong-type",
            "lone-surrogate",
            "not-json",
            "not-utf8",
            "not-an-object",
        ]
    )
    assert {drop.where for drop in drops} == {f"x.jsonl:{n}" for n in range(1, 13)} - {"x.jsonl:5"}


def test_blocked_words_are_whole_words_but_for_scripts_without_spaces():
    assert cut([article(0, 1, 2)], blocked=("camp", "valle hasta"))[1][0].detail == "valle hasta"
    assert not cut([article(0, 1, 2)], blocked=("camp",))[1]
    chinese = {
        "title": "",
        "text": "这条河从山上流下来，经过山谷，最后流入大海。春天雪融化了，河水推动村里的水车。" * 2,
    }
    section = section_of(file_of(lang="zh-Hans"), chunk_tokens=100)
    passages, _ = cut([chinese], section=section, lang="zh-Hans")
    assert len(passages) == 1
    _, drops = cut([chinese], section=section, lang="zh-Hans", blocked=("水车",))
    assert [drop.reason for drop in drops] == ["blocked-word"]


@pytest.mark.parametrize("seed", range(3))
def test_of_one_title_or_text_the_same_one_stays_in_any_order(seed):
    rows = [
        article(0, 1, title="Río"),
        article(1, 2, title=" río "),
        article(2, 3, title="RÍO"),
        article(0, 2, title="Valle"),
        article(0, 2, title="Otro valle"),
        article(3, 1),
        article(3, 2),
    ]
    straight, _ = cut(rows)
    random.Random(seed).shuffle(rows)
    shuffled, drops = cut(rows)
    assert {one.text for one in shuffled} == {one.text for one in straight}
    assert len(shuffled) == 4
    assert Counter(drop.reason for drop in drops) == {"duplicate-title": 2, "duplicate-text": 1}


def test_right_to_left_passages_and_joiners_are_kept_and_open_directions_are_not():
    text = "النهر ينبع من الجبل وينزل ببطء في الوادي حتى يصل إلى البحر.\u202e\u2067\n" * 3
    passages, drops = cut(
        [{"title": "نهر", "text": text}], section=section_of(file_of(lang="ar"), chunk_tokens=150), lang="ar"
    )
    assert drops == []
    assert "\u202e" not in passages[0].text
    assert clean("می\u200cخواهم") == "می\u200cخواهم"


def test_cleaning_takes_out_what_is_no_text_and_keeps_the_lines():
    assert clean("Uno ( , ) dos ()\r\n\r\n\r\n\r\ntres \x07 \n cuatro（；）") == "Uno dos\n\ntres\n cuatro"


def test_all_formats_give_the_same_documents(tmp_path):
    rows = [article(0, 1, title="A & B"), article(2, 3, title="C")]
    pq.write_table(
        pa.Table.from_pylist([{"t": r["title"], "body": r["text"]} for r in rows]), tmp_path / "x.parquet"
    )
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n", "utf-8")
    blocks = [
        f'<doc id="1" url="u" title="{r["title"].replace("&", "&amp;")}">\n{r["text"]}\n</doc>\n'
        for r in rows
    ]
    (tmp_path / "x.txt").write_text("".join(blocks), "utf-8")
    (tmp_path / "whole.txt").write_text(rows[0]["text"], "utf-8")
    named = {"x.parquet": file_of(title="t", text="body"), "x.jsonl": file_of(), "x.txt": file_of()}
    for name, file in named.items():
        found = list(read_documents(read_rows([tmp_path / name], file), file))
        assert [(one.title, one.text) for one in found] == [(r["title"], r["text"]) for r in rows]
    (whole,) = read_documents(read_rows([tmp_path / "whole.txt"], file_of()), file_of())
    assert (whole.title, whole.text) == ("whole", rows[0]["text"])


def test_a_file_that_cannot_be_read_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 broken")
    (tmp_path / "x.csv").write_text("a,b")
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "y.parquet")
    for name, told in (
        ("x.parquet", "cannot be read"),
        ("x.csv", r"ends with none of .parquet"),
        ("y.parquet", r"no column 'text'; there are body"),
        ("z.jsonl", "cannot be read"),
    ):
        with pytest.raises(DataError, match=told):
            list(read_rows([tmp_path / name], file_of()))


def test_whole_texts_come_as_they_are_and_once():
    rows = [("x:1", article(0, title="a")), ("x:2", article(0, title="b")), ("x:3", {"title": "c"})]
    found = list(WholeTexts([file_of(), file_of(lang="gl")], lambda file: rows)("es"))
    assert [getattr(one, "reason", None) or one.text for one in found] == [
        SPANISH[0],
        "duplicate-text",
        "missing-field",
    ]
