"""Gather: all shards become one store, the same however they were cut; nothing goes missing unseen."""

import dataclasses
import json

import pytest

from tongues.core.digests import digest_rows
from tongues.core.errors import DataError
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow, SourceRow
from tongues.core.shards import read_shards, write_shards
from tongues.stages.fan_out import Job, Shard
from tongues.stages.gather import gather
from tongues.stages.rows import Sorter
from tongues.stages.workspace import Report

from .conftest import by_hand


@pytest.fixture
def cut(given, workspace, source):
    """A maker of one shard's "translate" output; rows that `drops` names are dropped."""

    def make(job, drops=lambda row: "", change=lambda row: row):
        rows = [SourceRow.from_row(r) for r in job.shard.of_rows(read_shards(source.folder / "rows"))]

        def work(folder):
            from tongues.translation.one_engine import dropped

            with Sorter(folder / "dropped") as sorter:
                items = [
                    dropped(row, job.lang, reason, "seen", row.output)
                    if (reason := drops(row))
                    else change(by_hand(row, job.lang))
                    for row in rows
                ]
                kept = list(sorter.kept(items, lang_of=lambda row: row.lang))
                sorter.tally(job.lang)
            write_shards(folder / "rows", ALIGNED_SCHEMA, (row.to_row() for row in kept))
            facts = {"lang": job.lang, "shard": str(job.shard)}
            content = digest_rows(row.digest() for row in kept)
            return Report(sorter.tallies, facts=facts, content_sha256=content)

        params = [
            str(job),
            [drops(row) for row in rows],
            [change(by_hand(r, job.lang)).digest() for r in rows],
        ]
        how = {"recipe": given.recipe, "inputs": {"source": source}, "params": params, "work": work}
        return workspace.finish("translate", **how)

    return make


def all_shards(cut, lang, of, **how):
    return [cut(Job(lang, Shard(number, of)), **how) for number in range(1, of + 1)]


@pytest.mark.parametrize("of", [1, 2, 3, 7, 30])
def test_gather_gives_the_same_store_whatever_the_cut(given, workspace, source, cut, of):
    whole = gather(given, workspace, source, [*all_shards(cut, "es", 1), *all_shards(cut, "ca", 1)])
    shards = [*all_shards(cut, "ca", 2), *all_shards(cut, "es", of)]
    parts = gather(given, workspace, source, shards[::-1])
    assert parts.manifest.content_sha256 == whole.manifest.content_sha256
    rows = [list(read_shards(store.folder / "rows")) for store in (whole, parts)]
    assert rows[0] == rows[1]
    groups = [row["group"] for row in read_shards(source.folder / "rows")]
    assert [(row["lang"], row["group"]) for row in rows[0]] == [
        (lang, group) for lang in ("en", "es", "ca") for group in groups
    ]


def test_gather_keeps_source_order_around_dropped_rows(given, workspace, source, cut):
    odd = {"drops": lambda row: "wrong-language" if int(row.output.split()[-1][:-1]) % 3 else ""}
    store = gather(given, workspace, source, all_shards(cut, "es", 4, **odd))
    answers = [row["output"] for row in read_shards(store.folder / "rows") if row["lang"] == "es"]
    assert answers == [f"[es] It is item {n}." for n in range(0, 20, 3)]
    told = json.loads((store.folder / "report.json").read_text())["languages"][0]
    assert told["rows"] == {"rows_in": 20, "rows_out": 7, "dropped": {"wrong-language": 13}}
    (example,) = told["dropped"]
    assert (example["reason"], example["detail"]) == ("wrong-language", "seen")
    whole = gather(given, workspace, source, all_shards(cut, "es", 1, **odd))
    assert json.loads((whole.folder / "report.json").read_text())["languages"][0]["dropped"] == [example]


def test_gather_refuses_a_missing_shard(given, workspace, source, cut):
    shards = all_shards(cut, "es", 3)
    with pytest.raises(DataError, match=r"es: its shards \(1/3, 3/3\) have 13 of 20 source rows.*Fix: run"):
        gather(given, workspace, source, [shards[0], shards[2]])


def test_gather_refuses_a_shard_given_twice(given, workspace, source, cut):
    shards = all_shards(cut, "es", 2)
    other = cut(Job("es", Shard(1, 2)), change=lambda row: dataclasses.replace(row, category="x"))
    with pytest.raises(DataError, match="two shards hold the row"):
        gather(given, workspace, source, [*shards, other])


def test_gather_refuses_rows_of_another_source(given, workspace, source, cut):
    strange = all_shards(cut, "es", 1, change=lambda row: dataclasses.replace(row, group="0" * 16))
    with pytest.raises(DataError, match="rows that the source does not have"):
        gather(given, workspace, source, strange)


def test_report_tells_languages_hints_and_lowest_scores(given, workspace, source, cut):
    def scored(row: AlignedRow) -> AlignedRow:
        number = int(row.output.split()[-1][:-1])
        verdicts = {"language": "unsure"} if number < 2 else {"language": "ok"}
        return dataclasses.replace(row, quality=number / 20, verdicts=verdicts)

    store = gather(given, workspace, source, all_shards(cut, "es", 2, change=scored))
    line = json.loads((store.folder / "report.json").read_text())["languages"][0]
    assert line["hints"] == {"language: unsure": 2}
    assert (line["score_mean"], line["score_low"]) == (0.475, 0.05)
    assert [example["score"] for example in line["lowest"]] == [0.0, 0.05, 0.1]
    assert all(example["translated"].startswith("[es]") for example in line["random"])
    page, text = ((store.folder / name).read_text() for name in ("report.html", "report.md"))
    assert "Spanish" in page and 'lang="es"' in page and "<script" not in page
    assert "| es | 20 | 20 | 0 | 0.48, 0.05 |" in text or "| es | 20 | 20 | 0 | 0.47, 0.05 |" in text
