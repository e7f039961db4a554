import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongues.core.drops import Drop
from tongues.core.manifest import Tally
from tongues.core.recipe import DatasetSection
from tongues.core.records import Message, Record, Source
from tongues.data import spill as spilling
from tongues.data.assembly import Assembly
from tongues.data.clusters import Clusters
from tongues.data.dataset_card import write_card
from tongues.data.dataset_overview import Origin, Overview
from tongues.data.dataset_page import write_page
from tongues.data.spill import RecordSpill
from tongues.data.statistics import Statistics


def record(
    text: str,
    *,
    lang: str = "es",
    group: str = "g",
    method: str = "direct",
    row: str = "x:1",
    licence: str = "MIT",
) -> Record:
    turns = (Message("user", f"pregunta {group}", lang), Message("assistant", text, lang))
    return Record.create(messages=turns, group=group, method=method, source=Source("tiny", "1", row, licence))


def section(**more: Any) -> DatasetSection:
    return DatasetSection.model_validate(
        {"methods": [{"method": "direct"}, {"method": "crossin", "x2x": 1}], "validation_share": 0.2} | more
    )


class Result:
    """Everything that comes out of an assembly."""

    def __init__(self, folder: Path, records: Sequence[Record], dataset: DatasetSection) -> None:
        with RecordSpill(folder / "spill") as spill:
            for one in records:
                spill.add(one)
        assembly = Assembly(spill, folder / "near", dataset, languages=("es", "ar"), source_lang="en", seed=1)
        ruling = assembly.ruling()
        clusters = Clusters(ruling)
        self.kept: dict[str, list[Record]] = {"train": [], "validation": [], "test": []}
        self.drops: list[Drop] = []
        self.statistics = Statistics()
        for part in assembly.sorted_out(ruling, clusters):
            if isinstance(part, list):
                self.drops += part
            else:
                self.kept[part[0]] += [Record.from_row(row) for row in part[1].to_pylist()]
                self.statistics.add(part[1], part[0])
        self.clusters = list(clusters.rows())

    @property
    def all_kept(self) -> list[Record]:
        return [one for rows in self.kept.values() for one in rows]

    def overview(self) -> Overview:
        tallies: dict[str, Tally] = {}
        for drop in self.drops:
            tallies.setdefault(drop.lang, Tally()).drop(drop.reason)
        origin = Origin("tiny", ("es", "ar"), "en", "apertium", 1)
        return Overview.of(origin, self.statistics, tallies, self.clusters, {"EMAIL": 2})


def mixed_bag(count: int = 120) -> Iterator[Record]:
    draw = random.Random(4)
    words = [f"palabra{n}" for n in range(900)]
    for number in range(count):
        text = " ".join(draw.choices(words, k=40))
        yield record(text, group=f"g{number % 30}", lang="es" if number % 3 else "ar")
        if number % 10 == 0:
            yield record(
                text.upper(), group=f"g{number % 30}", lang="es" if number % 3 else "ar", method="crossin/x2x"
            )
        if number % 15 == 0:
            yield record(text + " fin", group=f"g{number % 30}", lang="es" if number % 3 else "ar")


def test_assembly_says_what_became_of_every_record(tmp_path: Path) -> None:
    records = list(mixed_bag())
    result = Result(tmp_path, records, section())
    assert Counter(drop.reason for drop in result.drops) == {"duplicate": 12, "near-duplicate": 8}
    assert len(result.all_kept) + len(result.drops) == len(records)
    by_id = {one.id: one for one in result.all_kept}
    for drop in result.drops:
        survivor = by_id[drop.detail.split("kept ")[1].split(",")[0]]
        assert survivor.lang == drop.lang and survivor.group == drop.where


def test_assembly_never_lets_a_group_stand_on_two_sides(tmp_path: Path) -> None:
    kept = Result(tmp_path, list(mixed_bag()), section(test_share=0.2)).kept
    groups = [{one.group for one in rows} for rows in kept.values()]
    assert [len(names) for names in groups] == [18, 6, 6]
    assert len(set.union(*groups)) == 30


@pytest.mark.parametrize("seed", [1, 2])
def test_assembly_in_any_order_and_batching_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    records = list(mixed_bag())
    mixture = {"mixture": {"temperature": 5.0, "budget_rows": 60}}
    first = Result(tmp_path / "a", records, section(**mixture))
    monkeypatch.setattr(spilling, "_ROWS_AT_ONCE", 7 * seed)
    again = Result(tmp_path / "b", random.Random(seed).sample(records, len(records)), section(**mixture))
    assert (first.kept, first.drops, first.clusters) == (again.kept, again.drops, again.clusters)
    assert len(first.all_kept) == 60
    assert "not drawn for the mixture" in {
        d.detail.split("; ")[1] for d in first.drops if d.reason == "mixture"
    }


def test_assembly_of_one_id_twice_keeps_the_one_with_the_smaller_digest(tmp_path: Path) -> None:
    twins = [record("texto", row=f"x:{n}") for n in range(6)]
    kept = [
        Result(tmp_path / str(n), random.Random(n).sample(twins, 6), section()).all_kept for n in range(3)
    ]
    assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 1


def test_assembly_with_near_duplicates_left_alone(tmp_path: Path) -> None:
    result = Result(tmp_path, list(mixed_bag()), section(near_duplicates=None))
    assert {drop.reason for drop in result.drops} == {"duplicate"}


def test_assembly_of_nothing_is_nothing(tmp_path: Path) -> None:
    result = Result(tmp_path, [], section())
    assert (result.all_kept, result.drops, result.clusters) == ([], [], [])


def test_clusters_tell_size_kind_similarity_and_texts(tmp_path: Path) -> None:
    text = " ".join(f"palabra{n}" for n in range(40))
    records = [record(text), record(text.upper()), record(text + " fin"), record("otra cosa")]
    [cluster] = Result(tmp_path, records, section()).clusters
    assert (cluster["kind"], cluster["records"], cluster["lang"]) == ("near", 3, "es")
    assert 0.9 <= cluster["least_similarity"] < 1
    assert cluster["survivor_text"].casefold().startswith("pregunta g\npalabra0")
    assert cluster["removed_text"].casefold().startswith("pregunta g\npalabra0")


ROWS = st.tuples(st.sampled_from("aAb "), st.sampled_from(["g1", "g2"]), st.sampled_from(["es", "ar"]))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS))
def test_assembly_reconciles_per_language(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    records = [record(f"x{letter}", group=group, lang=lang) for letter, group, lang in rows]
    result = Result(tmp_path / str(random.random()), records, section())
    came = Counter(one.lang for one in records)
    assert came == Counter(one.lang for one in result.all_kept) + Counter(drop.lang for drop in result.drops)


@pytest.fixture
def overview(tmp_path: Path) -> Overview:
    records = [
        *mixed_bag(),
        record("نص عربي <b>&amp;</b> | نهاية", lang="ar", group="g2", licence="CC-BY-SA-4.0"),
    ]
    return Result(tmp_path, records, section()).overview()


def test_statistics_measure_what_is_there(overview: Overview, tmp_path: Path) -> None:
    records = [record("x" * (10 * n), group=f"g{n}") for n in range(1, 5)]
    [part] = Result(tmp_path / "more", records, section()).statistics.parts()
    [lengths] = part.lengths
    turn = len("pregunta g1")
    assert (lengths.unit, lengths.total, lengths.longest) == ("characters", 100 + 4 * turn, 40 + turn)
    assert lengths.quantiles[2] == 25 + turn and lengths.mean == 25 + turn
    assert sum(part.rows.values()) == 4
    for lang, histogram in overview.histograms.items():
        there = sum(sum(part.rows.values()) for part in overview.parts if part.lang == lang)
        assert sum(histogram.rows) == there


def test_card_has_a_header_that_the_hub_reads(overview: Overview, tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    write_card(overview, tmp_path / "card.md")
    _, header, body = (tmp_path / "card.md").read_text("utf-8").split("---\n", 2)
    said = YAML(typ="safe").load(header)
    assert said["license"] == "cc-by-sa-4.0" and said["language"] == ["ar", "es"]
    assert said["size_categories"] == ["n<1K"] and said["pretty_name"] == "tiny"
    assert [one["split"] for one in said["configs"][0]["data_files"]] == ["train", "validation"]
    assert "| es | direct |" in body and "| ar | near-duplicate |" in body and "2 EMAIL" in body


def test_page_is_self_contained_and_turns_texts_the_right_way(overview: Overview, tmp_path: Path) -> None:
    from html.parser import HTMLParser

    write_page(overview, tmp_path / "overview.html")
    page = (tmp_path / "overview.html").read_text("utf-8")
    assert (
        '<span class="text" dir="rtl" lang="ar">' in page
        and '<span class="text" dir="ltr" lang="es">' in page
    )
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 2 + 2 + 2 and "prefers-color-scheme: dark" in page
    open_tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            if tag not in ("meta", "link", "br"):
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: Any) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Reader().feed(page)
    assert open_tags == []


def with_shots(number: int, shots: Sequence[str]) -> Record:
    turns = [
        turn
        for shot in shots
        for turn in (
            Message("user", f"pregunta {shot}", "es"),
            Message("assistant", f"respuesta {shot}", "es"),
        )
    ]
    own = (Message("user", f"pregunta p{number}", "es"), Message("assistant", f"palabra {number} sola", "es"))
    return Record.create(
        messages=(*turns, *own),
        group=f"p{number}",
        method="sphinx",
        source=Source("tiny", "1", "x:1", "MIT"),
        meta={"shots": ",".join(shots)} if shots else {},
    )


def test_records_with_an_example_from_another_split_are_dropped(tmp_path):
    draw = random.Random(7)
    names = [f"p{number}" for number in range(60)]
    shots = {n: draw.sample([name for name in names if name != f"p{n}"], 2) for n in range(60)}
    built = [with_shots(n, shots[n] if n % 2 else []) for n in range(60)]
    result = Result(tmp_path, built, section(near_duplicates=None))
    sides = {one.group: split for split, rows in result.kept.items() for one in rows}
    crossing = {drop.where for drop in result.drops if drop.reason == "split-crossing"}
    assert crossing and len(sides) + len(crossing) == 60
    for one in result.all_kept:
        assert {sides[group] for group in one.groups if group in sides} == {sides[one.group]}


def test_samples_with_the_same_examples_in_another_order_are_not_alike(tmp_path):
    shots = [f"g{n} con muchas palabras que se repiten en cada muestra" for n in range(4)]
    built = [with_shots(n, shots if n % 2 else shots[::-1]) for n in range(12)]
    result = Result(tmp_path, built, section(near_duplicates=0.9, validation_share=0.0))
    assert len(result.all_kept) == 12
