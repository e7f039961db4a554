"""prepare, gather and assemble on real files, from the source rows to the splits."""

import json
from dataclasses import replace

import pytest

from tongues.core.errors import DataError, PreflightError
from tongues.core.manifest import read_manifest
from tongues.core.records import Record
from tongues.core.shards import read_shards
from tongues.core.store import AlignedStore
from tongues.stages.assemble import SPLITS, assemble
from tongues.stages.gather import gather
from tongues.stages.preflight import preflight
from tongues.stages.prepare import prepare
from tongues.stages.workspace import Workspace


def records(dataset):
    return {split: [Record.from_row(r) for r in read_shards(dataset.folder / split)] for split in SPLITS}


def test_prepare_drops_the_malformed_row_with_its_line(source):
    tally = source.manifest.tallies["en"]
    assert (tally.rows_in, tally.rows_out) == (21, 20)
    [drop] = read_shards(source.folder / "dropped")
    assert drop["reason"] in tally.dropped and drop["where"].endswith("rows.jsonl:4")


def test_prepare_of_the_same_file_elsewhere_has_the_same_key(given, source, folder, tmp_path_factory):
    other = Workspace(str(tmp_path_factory.mktemp("other")), say=lambda _: None)
    again = prepare(given, other)
    assert again.manifest.key == source.manifest.key
    assert again.manifest.digest() == source.manifest.digest()


def test_prepare_of_a_file_without_usable_rows_is_an_error(given, workspace, folder):
    (folder / "rows.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="no usable row"):
        prepare(given, workspace)
    assert not list((folder / "work").rglob("manifest.json"))


def test_gather_is_the_same_however_the_translations_were_sharded(given, workspace, source, translated):
    whole = gather(given, workspace, source, [translated("es"), translated("ca")])
    halves = [translated(lang, part=part) for lang in ("ca", "es") for part in (slice(0, 7), slice(7, None))]
    parts = gather(given, workspace, source, halves)
    assert parts.manifest.content_sha256 == whole.manifest.content_sha256
    assert assemble(given, workspace, parts).uri == assemble(given, workspace, whole).uri


def test_gather_counts_every_language(given, workspace, source, translated):
    store = gather(given, workspace, source, [translated("es"), translated("ca", part=slice(0, 15))])
    counts = {lang: t.rows_out for lang, t in store.manifest.tallies.items()}
    assert counts == {"ca": 15, "en": 20, "es": 20}
    assert len(AlignedStore.load(store.folder / "rows").groups("en", "es", "ca")) == 15


@pytest.fixture
def dataset(given, workspace, source, translated):
    return assemble(given, workspace, gather(given, workspace, source, [translated("es"), translated("ca")]))


def test_assemble_never_lets_a_group_stand_on_two_sides(dataset):
    sides = {split: {r.group for r in rows} for split, rows in records(dataset).items()}
    assert sides["train"] and sides["validation"]
    assert not sides["train"] & sides["validation"]


def test_assemble_totals_reconcile_with_what_is_on_disk(dataset):
    on_disk = [r.lang for rows in records(dataset).values() for r in rows]
    for lang, tally in read_manifest(dataset.folder).tallies.items():
        assert tally.rows_out == on_disk.count(lang)
        assert tally.unaccounted == 0
    dropped = list(read_shards(dataset.folder / "dropped"))
    assert len(dropped) == sum(sum(t.dropped.values()) for t in dataset.manifest.tallies.values())


def test_assemble_has_no_two_equal_records(dataset):
    turns = [
        tuple((m.role, m.content) for m in r.messages) for rows in records(dataset).values() for r in rows
    ]
    assert len(turns) == len(set(turns))


def test_assemble_keeps_an_evaluation_question_out_in_every_language(given, workspace, source, translated):
    question = "¿Cuál de estas letras es la primera de todas en el alfabeto?"
    leaked = []

    def leak(row):
        if not leaked:
            leaked.append(row.group)
        return replace(row, instruction=question) if row.group == leaked[0] else row

    spanish = translated("es", change=leak)
    dataset = assemble(given, workspace, gather(given, workspace, source, [spanish, translated("ca")]))
    groups = {r.group for rows in records(dataset).values() for r in rows}
    assert leaked[0] not in groups
    reasons = {lang: t.dropped.get("contaminated", 0) for lang, t in dataset.manifest.tallies.items()}
    assert reasons["es"] >= 1 and reasons["ca"] >= 1


def test_assemble_when_the_suite_changes_is_done_again(given, workspace, source, translated, folder, dataset):
    items = [json.loads(line) for line in (folder / "choices.jsonl").read_text().splitlines()]
    for item in items:
        item["id"] = "q2"
    (folder / "choices.jsonl").write_text("\n".join(map(json.dumps, items)))
    store = gather(given, workspace, source, [translated("es"), translated("ca")])
    assert assemble(given, workspace, store).uri != dataset.uri


def test_assemble_with_an_unreadable_suite_fails_loudly(given, workspace, source, translated, folder):
    (folder / "choices.jsonl").write_text("not json\n")
    store = gather(given, workspace, source, [translated("es"), translated("ca")])
    with pytest.raises((DataError, PreflightError)):
        assemble(given, workspace, store)


def test_dataset_card_states_licence_methods_and_counts(dataset):
    card = (dataset.folder / "card.md").read_text()
    assert "CC0-1.0" in card and "| es | direct |" in card and "| en | direct/english |" in card


def test_preflight_finds_everything_wrong_at_once(given, folder, monkeypatch):
    (folder / "rows.jsonl").unlink()
    (folder / "choices.jsonl").unlink()
    with pytest.raises(PreflightError) as caught:
        preflight(given)
    said = "\n".join(caught.value.problems)
    assert "source.uri: no such file" in said and "evaluation.suite.choices_uri: no such file" in said
    assert "base" in said


def test_preflight_with_an_mlflow_server_and_a_local_workspace_says_so_first(given, workspace, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(PreflightError, match="takes no model from a local folder"):
        preflight(given, workspace)
