"""Assembly with the libraries that it leaves to others: a real tokenizer, and `datasets` on disk."""

from dataclasses import replace

import pytest

from tests.tiny_models import make_tiny_base
from tests.unit.stages.conftest import folder, given, source, translated, workspace  # noqa: F401
from tongues.core.records import Record
from tongues.core.shards import read_shards
from tongues.stages.assemble import SPLITS, assemble
from tongues.stages.export import export
from tongues.stages.gather import gather
from tongues.tuning.models import load_tokenizer

pytestmark = pytest.mark.integration
BUDGET = 1_200
LONGEST = 80


@pytest.fixture
def store(given, workspace, source, translated):  # noqa: F811
    return gather(given, workspace, source, [translated("es"), translated("ca")])


def test_a_budget_in_tokens_is_kept_as_the_tokenizer_counts(given, workspace, store, folder):  # noqa: F811
    make_tiny_base(folder / "base")
    changes = {"count_tokens": True, "mixture": {"budget_tokens": BUDGET, "english_share": 0.25}}
    section = given.recipe.dataset.model_validate(given.recipe.dataset.model_dump() | changes)
    recipe, located = (one.model_copy(update={"dataset": section}) for one in (given.recipe, given.located))
    dataset = assemble(replace(given, recipe=recipe, located=located), workspace, store)
    tokenizer, tokens = load_tokenizer(folder / "base"), {"en": 0, "es": 0, "ca": 0}
    for split in SPLITS:
        for record in map(Record.from_row, read_shards(dataset.folder / split)):
            texts = [message.content for message in record.messages]
            tokens[record.lang] += sum(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"]))
    assert BUDGET - 3 * LONGEST < sum(tokens.values()) <= BUDGET
    assert BUDGET / 4 - LONGEST < tokens["en"] <= BUDGET / 4
    assert "tokens" in (dataset.folder / "overview.html").read_text("utf-8")
    assert "not counted" not in (dataset.folder / "card.md").read_text("utf-8")


def test_an_export_is_what_datasets_loads_from_disk(given, workspace, store, tmp_path):  # noqa: F811
    from datasets import load_from_disk

    dataset = assemble(given, workspace, store)
    written = export(dataset, tmp_path / "out", "datasets")
    loaded = load_from_disk(str(tmp_path / "out"))
    assert {split: len(rows) for split, rows in loaded.items()} == written
    first = next(read_shards(dataset.folder / "train"))
    assert loaded["train"][0]["messages"] == first["messages"]
    assert {pair["key"]: pair["value"] for pair in loaded["train"][0]["meta"]} == dict(first["meta"])
