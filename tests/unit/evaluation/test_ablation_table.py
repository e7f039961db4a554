"""One table of several variants: what stands in it, what is marked."""

import pytest

from tongues.core.scores import Measurement, Scores
from tongues.evaluation.ablation import BASE, Variant, ablation_lines, ablation_values, markdown_ablation
from tongues.evaluation.samples import Sample, write_samples

ITEMS = 40


def variant(folder, name: str, right: dict[str, int], *, training=None) -> Variant:
    """A model that answers the first so many questions of each language, and no others."""
    for lang, hits in right.items():
        samples = [
            Sample("choices", lang, f"q{n}", "?", "A", "A" if n < hits else "B", correct=n < hits)
            for n in range(ITEMS)
        ]
        path = folder / name / "choices" / f"{lang}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_samples(path, samples, key="k")
    measurements = {
        f"choices/{lang}/accuracy": Measurement(value=hits / ITEMS, n=ITEMS) for lang, hits in right.items()
    }
    measurements["choices/all/consistency_2"] = Measurement(value=0.25, n=ITEMS)
    scores = Scores(
        role="candidate",
        model=name,
        model_sha256="0" * 64,
        suite="quick",
        suite_sha256="1" * 64,
        source_lang="en",
        languages=("es",),
        measurements=measurements,
    )
    return Variant(name, scores, folder / name, training or {})


@pytest.fixture
def variants(tmp_path):
    counts = {"rows": 1200, "tokens": 20_000, "label_percent": 40.5, "steps": 53}
    return [
        variant(tmp_path, BASE, {"en": 20, "es": 10}),
        variant(tmp_path, "direct", {"en": 20, "es": 11}, training=counts),
        variant(tmp_path, "taco", {"en": 6, "es": 34}, training=counts),
    ]


def cells(lines, label, where=""):
    return next(line.cells for line in lines if (line.label, line.where) == (label, where))


def test_a_change_is_marked_only_where_it_is_clear(variants):
    lines = ablation_lines(variants, "direct")
    assert cells(lines, "Multiple choice", "English") == ("50.0", "50.0", "15.0▼")
    assert cells(lines, "Multiple choice", "Spanish") == ("25.0", "27.5", "85.0▲")


def test_what_was_trained_on_stands_above_what_came_of_it(variants):
    lines = ablation_lines(variants, "direct")
    assert cells(lines, "rows") == ("", "1,200", "1,200")
    assert cells(lines, "learnt tokens, %") == ("", "40.5", "40.5")
    assert cells(lines, "Consistency, s = 2", "all languages") == ("25.0",) * 3


def test_measures_that_nobody_took_have_no_line(variants):
    labels = {line.label for line in ablation_lines(variants, "direct")}
    assert "Translation, chrF++" not in labels


def test_names_cannot_break_the_markdown(variants):
    hostile = variants[2]
    named = Variant("a|b*", hostile.scores, hostile.samples, hostile.training)
    table = markdown_ablation([*variants[:2], named], "direct")
    heads = next(line for line in table.splitlines() if line.startswith("| Measure"))
    assert r"a\|b\*" in heads
    assert "better or worse than direct" in table


def test_programs_get_every_number(variants):
    values = ablation_values(variants)
    assert values["taco"]["measurements"]["choices/es/accuracy"]["value"] == 0.85
    assert values[BASE]["training"] == {}
