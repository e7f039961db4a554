import pytest

from tongues.core.manifest import Manifest
from tongues.promotion.lineage import Link
from tongues.promotion.lineage_diff import differences
from tongues.promotion.lineage_picture import picture

RECIPE = {
    "source": {"revision": "1"},
    "tuning": {"learning_rate": 1e-3, "lora": {"r": 16}},
    "dataset": {"n": 1},
}


def link(stage, inputs, *, params="p", code="0.1.0", content=""):
    """A link whose digest follows from all it is made of."""
    made = content or f"{stage}{params}{code}{[i.digest for i in inputs]}"
    manifest = Manifest(
        stage=stage,
        key=f"{stage}{params}{code}{[i.digest for i in inputs]}",
        inputs={i.name: i.digest for i in inputs},
        params_sha256=params,
        recipe_sha256="r",
        code_version=code,
        content_sha256=made,
        files={},
        wall_s=0,
        finished_at="",
    )
    return Link(stage, manifest.digest(), f"/{stage}", manifest, tuple(inputs))


def model(*, rows="a" * 64, base="base", tuning="t", dataset="d", code="0.1.0", content=""):
    """source -> prepare -> assemble -> finetune, with a base."""
    prepared = link("prepare", [Link("source", rows, "/rows.jsonl", None)])
    data = link("assemble", [prepared], params=dataset)
    return link("finetune", [data, link("base", [], params=base)], params=tuning, code=code, content=content)


def changed(key, value):
    section, name = key
    return RECIPE | {section: RECIPE[section] | {name: value}}


def found(new, recipe=RECIPE):
    return [(c.stage, c.kind, c.what) for c in differences(model(), new, (RECIPE, recipe))]


def test_same_chain_differs_in_nothing():
    assert found(model()) == []


@pytest.mark.parametrize(
    ("new", "recipe", "first"),
    [
        (model(rows="b" * 64), RECIPE, ("source", "rows", "source")),
        (model(base="other"), RECIPE, ("base", "base", "parameters")),
        (
            model(tuning="u"),
            changed(("tuning", "learning_rate"), 2e-3),
            ("finetune", "recipe", "tuning.learning_rate"),
        ),
        (model(dataset="e"), changed(("dataset", "n"), 2), ("assemble", "recipe", "dataset.n")),
        (model(code="0.2.0"), RECIPE, ("finetune", "code", "tongues")),
        (model(content="other"), RECIPE, ("finetune", "content", "of equal work")),
    ],
    ids=["rows", "base", "learning rate", "dataset", "code", "content"],
)
def test_one_change_is_the_first_and_only_one(new, recipe, first):
    assert found(new, recipe) == [first]


def test_rows_and_tuning_changed_rows_come_first_and_what_follows_is_left_out():
    new = model(rows="b" * 64, tuning="u")
    recipe = changed(("tuning", "lora"), {"r": 8})
    assert found(new, recipe) == [("source", "rows", "source"), ("finetune", "recipe", "tuning.lora.r")]
    change = differences(model(), new, (RECIPE, recipe))[1]
    assert change.sentence == "finetune: recipe tuning.lora.r: 16 -> 8"


def test_picture_has_a_box_per_link_and_an_arrow_per_input_and_hostile_names_are_text():
    hostile = Link('<script>"مرحبا"', "f" * 64, "/x&y", None, (model(),))
    svg = picture(hostile, title="a & b")
    assert svg.count("<g>") == 6 and svg.count("<path") == 5
    assert "<script>" not in svg and "a &amp; b" in svg and "مرحبا" in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
