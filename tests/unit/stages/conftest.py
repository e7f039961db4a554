"""A small recipe with its files, and translations made by hand, so that stages run without an engine."""

import json
from dataclasses import replace

import pytest

from tongues.core.digests import digest_rows
from tongues.core.drops import Drop
from tongues.core.records import ALIGNED_SCHEMA, AlignedRow, SourceRow
from tongues.core.shards import read_shards, write_shards
from tongues.stages.fan_out import Shard
from tongues.stages.given import read_recipe
from tongues.stages.prepare import prepare
from tongues.stages.rows import Sorter
from tongues.stages.workspace import Report, Workspace

ALL = Shard()

RECIPE = """
schema_version: 1
name: tiny
languages: [es, ca]
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: base, name: Tiny, licence: MIT}
translation: {engine: {kind: apertium}}
dataset:
  methods: [{method: direct, english_rows: 5}, {method: crossin, en2x: 10, x2x: 10}]
  validation_share: 0.2
evaluation: {suite: {choices_uri: choices.jsonl}}
registry: {model: tiny}
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with recipe, source rows (one of them malformed) and a suite."""
    rows = [
        {"instruction": f"Name item number {n} of the list", "input": "", "output": f"It is item {n}."}
        for n in range(20)
    ]
    lines = [json.dumps(row) for row in rows]
    lines.insert(3, '{"instruction": "broken"')
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    items = [
        {"id": "q1", "lang": lang, "question": q, "choices": ["a", "b", "c", "d"], "answer": "A"}
        for lang, q in {
            "en": "Which of these letters is the very first one of the alphabet?",
            "es": "¿Cuál de estas letras es la primera de todas en el alfabeto?",
            "ca": "Quina d'aquestes lletres és la primera de totes en l'alfabet?",
        }.items()
    ]
    (tmp_path / "choices.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def given(folder):
    """The recipe as a stage gets it."""
    return read_recipe(str(folder / "recipe.yaml"))


@pytest.fixture
def workspace(folder):
    """An empty workspace."""
    return Workspace(str(folder / "work"), say=lambda _: None)


@pytest.fixture
def source(given, workspace):
    """The prepared source rows."""
    return prepare(given, workspace)


@pytest.fixture
def translated(given, workspace, source):
    """A maker of "translate" outputs: a shard of the source rows with a prefix; some of them dropped."""

    def make(lang, *, shard=ALL, keep=20, change=lambda row: row):
        rows = list(shard.of_rows(SourceRow.from_row(r) for r in read_shards(source.folder / "rows")))
        aligned = [change(by_hand(row, lang)) for row in rows[:keep]]

        def work(target):
            with Sorter(target / "dropped") as sorter:
                drops = [Drop(lang, "echo", "", row.group) for row in rows[keep:]]
                kept = sorter.kept([*aligned, *drops], lang_of=lambda row: row.lang)
                write_shards(target / "rows", ALIGNED_SCHEMA, (row.to_row() for row in kept))
            content = digest_rows(row.digest() for row in aligned)
            facts = {"lang": lang, "shard": str(shard)}
            return Report(sorter.tallies, facts=facts, content_sha256=content)

        params = [lang, str(shard), keep, [row.digest() for row in aligned]]
        return workspace.finish(
            "translate", recipe=given.recipe, inputs={"source": source}, params=params, work=work
        )

    return make


def by_hand(row, lang):
    """An aligned row that says in which language it would be."""
    texts = {name: f"[{lang}] {getattr(row, name)}" for name in ("instruction", "output")}
    blank = AlignedRow(row.group, lang, "", row.input, "", (), row.category, row.source, (), {}, None)
    return replace(blank, **texts)
