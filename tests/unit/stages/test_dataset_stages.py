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
from tongues.stages.export import export
from tongues.stages.fan_out import Shard
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
    halves = [translated(lang, shard=Shard(n, 2)) for lang in ("ca", "es") for n in (2, 1)]
    parts = gather(given, workspace, source, halves)
    assert parts.manifest.content_sha256 == whole.manifest.content_sha256
    assert assemble(given, workspace, parts).uri == assemble(given, workspace, whole).uri


def test_gather_counts_every_language(given, workspace, source, translated):
    store = gather(given, workspace, source, [translated("es"), translated("ca", keep=15)])
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


def with_sets(given, **places):
    """The recipe with sets of a standard suite beside its own files."""
    sets = {name: {"uri": str(place)} for name, place in places.items()}
    document = given.recipe.model_dump(mode="json", exclude_unset=True)
    document["evaluation"]["suite"] |= {"standard": "crossin", "sets": sets}
    recipe = type(given.recipe).model_validate(document)
    located = given.located.model_copy(update={"evaluation": recipe.evaluation})
    uris = given.located.evaluation.suite.model_dump(exclude={"standard", "sets"})
    suite = located.evaluation.suite.model_copy(update=uris)
    evaluation = located.evaluation.model_copy(update={"suite": suite})
    return replace(given, recipe=recipe, located=located.model_copy(update={"evaluation": evaluation}))


def test_assemble_keeps_questions_of_standard_sets_out_in_every_language(
    given, workspace, source, translated, folder
):
    question = "Which of the rivers of the old world carries the most water to the sea?"
    leaked = []

    def leak(row):
        if not leaked:
            leaked.append(row.group)
        return replace(row, instruction=question) if row.group == leaked[0] else row

    item = {"question": question, "choices": ["(A) a", "(B) b"], "answer": "(A) a"}
    (folder / "cross.json").write_text(json.dumps([{"id": 1, "English": item, "Spanish": item}]))
    store = gather(given, workspace, source, [translated("es", change=leak), translated("ca")])
    dataset = assemble(with_sets(given, cross_mmlu=folder / "cross.json"), workspace, store)
    assert leaked[0] not in {r.group for rows in records(dataset).values() for r in rows}
    drops = [one for one in read_shards(dataset.folder / "dropped") if one["reason"] == "contaminated"]
    assert {one["lang"] for one in drops} >= {"es", "ca"} and "cross_mmlu" in drops[0]["detail"]
    assert leaked[0] in {
        r.group for rows in records(assemble(given, workspace, store)).values() for r in rows
    }


def test_assemble_with_a_set_that_cannot_be_read_is_refused(given, workspace, source, translated, folder):
    store = gather(given, workspace, source, [translated("es"), translated("ca")])
    (folder / "broken.json").write_text("{")
    lacking = with_sets(given, cross_mmlu=folder / "gone.json", cross_logiqa=folder / "broken.json")
    with pytest.raises(PreflightError) as caught:
        assemble(lacking, workspace, store)
    assert [line.split(":")[0] for line in caught.value.problems] == ["cross_mmlu", "cross_logiqa"]
    assert all("cannot be kept clear of it" in line for line in caught.value.problems)


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


def changed(given, **dataset):
    section = given.recipe.dataset.model_validate(given.recipe.dataset.model_dump() | dataset)
    recipe, located = (one.model_copy(update={"dataset": section}) for one in (given.recipe, given.located))
    return replace(given, recipe=recipe, located=located)


@pytest.fixture
def store(given, workspace, source, translated):
    return gather(given, workspace, source, [translated("es"), translated("ca")])


def test_assemble_with_a_licence_that_is_not_allowed_drops_and_says_so(given, workspace, store):
    with pytest.raises(DataError, match=r"nothing left to train on; dropped .*'licence'"):
        assemble(changed(given, licences=["MIT"]), workspace, store)
    assert (
        assemble(changed(given, licences=["CC0-1.0"]), workspace, store).manifest.facts["licence"]
        == "CC0-1.0"
    )


def test_assemble_with_a_mixture_reconciles_and_meets_it(given, workspace, store):
    mixture = {"budget_rows": 20, "english_share": 0.1}
    dataset = assemble(changed(given, mixture=mixture), workspace, store)
    kept = [r.lang for rows in records(dataset).values() for r in rows]
    assert (len(kept), kept.count("en")) == (20, 2)
    assert sum(t.dropped["mixture"] for t in dataset.manifest.tallies.values()) > 0


def test_assemble_with_a_mixture_that_cannot_be_met_says_by_how_much(given, workspace, store):
    with pytest.raises(PreflightError, match=r"es: .* rows are asked for, .* too few"):
        assemble(changed(given, mixture={"budget_rows": 10_000}), workspace, store)


def test_assemble_masks_personal_data_only_when_asked(given, workspace, source, translated):
    spanish = translated("es", change=lambda row: replace(row, output=f"{row.output} ana@example.org"))
    store = gather(given, workspace, source, [spanish, translated("ca")])
    plain, masked = (assemble(changed(given, mask_pii=asked), workspace, store) for asked in (False, True))
    texts = [[r.answer.content for rows in records(one).values() for r in rows] for one in (plain, masked)]
    assert any("ana@example.org" in text for text in texts[0]) and plain.manifest.facts["masked"] == {}
    assert not any("ana@example.org" in text for text in texts[1])
    assert masked.manifest.facts["masked"]["EMAIL"] >= 20


def test_assemble_leaves_no_scratch_and_writes_card_page_and_clusters(dataset):
    assert sorted(path.name for path in dataset.folder.iterdir()) == [
        *("card.md", "dropped", "duplicates", "manifest.json", "overview.html", "recipe.yaml"),
        *("test", "train", "validation"),
    ]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_export_holds_every_record_and_the_card(dataset, tmp_path, form):
    written = export(dataset, tmp_path / "out", form)
    kept = {split: [r.id for r in rows] for split, rows in records(dataset).items() if rows}
    assert written == {split: len(ids) for split, ids in kept.items()}
    for split, ids in kept.items():
        if form == "jsonl":
            lines = (tmp_path / "out" / f"{split}.jsonl").read_text("utf-8").splitlines()
            assert [json.loads(line)["id"] for line in lines] == ids
        else:
            assert [row["id"] for row in read_shards(tmp_path / "out" / split)] == ids
    assert "license: cc0-1.0" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_export_into_a_folder_that_holds_something_is_refused(dataset, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        export(dataset, tmp_path, "jsonl")


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
