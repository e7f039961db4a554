"""The report and both summaries, from samples that are written here item by item."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tongues.core.scores import Measurement, Scores
from tongues.evaluation.charts import change_bars, nice_ceiling
from tongues.evaluation.compare import MEASURES, Change, by_task, compare, signed
from tongues.evaluation.report import write_report
from tongues.evaluation.samples import Sample, write_samples
from tongues.evaluation.score import measure
from tongues.evaluation.summary import escape_markdown, markdown_summary, print_terminal, terminal_table
from tongues.evaluation.wording import headline

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&amp;\u202e"
LANGS = ("ar", "ja", "es")
TEXTS = {
    "en": "The sun is a star.",
    "ar": "الشمس نجم.",
    "ja": "太陽は星です。",
    "es": "El sol es una estrella.",
}
N = 24


MEASURES_OF_THIS_SUITE = [
    m for m in MEASURES if m.task in ("choices", "translation") or m.metric == "target_language_rate"
]


def _samples(right: dict[str, int], in_language: dict[str, int], quality: dict[str, int]) -> list[Sample]:
    """So many of N items right, answered in the language asked, translated perfectly, per language."""
    samples = []
    for lang, text in TEXTS.items():
        for i in range(N):
            got = "B" if i < right[lang] else "C"
            samples.append(
                Sample(
                    "choices", lang, f"mc-{i:02d}", f"{text} {HOSTILE}", "B", got, got == "B",
                    got, got == "B", (text, text + "1", HOSTILE, text + "3"), (-1.0, -2.0, -3.0, -4.0),
                )
            )  # fmt: skip
            spoken = lang if i < in_language[lang] else "en" if lang != "en" else "und"
            samples.append(
                Sample("open", lang, f"o-{i:02d}", text, "", f"{TEXTS.get(spoken, '')} {HOSTILE}",
                       guessed_lang=spoken, confidence=0.9)
            )  # fmt: skip
            if lang != "en":
                got = text if i < quality[lang] else "zzz"
                samples.append(
                    Sample(
                        "translation",
                        lang,
                        f"tr-{i:02d}",
                        "Translate",
                        text,
                        got,
                        guessed_lang=lang,
                        confidence=1.0,
                    )
                )
    return samples


BASE = _samples(dict.fromkeys(TEXTS, 12), dict.fromkeys(TEXTS, 12), dict.fromkeys(TEXTS, 12))
CANDIDATE = _samples(
    {"en": 12, "ar": 24, "ja": 2, "es": 13}, {"en": 12, "ar": 24, "ja": 12, "es": 12},
    {"ar": 24, "ja": 12, "es": 12},
)  # fmt: skip


def _scores(role: str, samples: list[Sample], model: str = "tiny") -> Scores:
    measurements, signatures = measure(by_task(samples))
    return Scores.model_validate(
        {
            "role": role,
            "model": model,
            "model_sha256": "0" * 64,
            "suite": "quick",
            "suite_sha256": "1" * 64,
            "source_lang": "en",
            "languages": LANGS,
            "measurements": measurements,
            "signatures": signatures,
        }
    )


class _Page(HTMLParser):
    """What a browser would see: tags, attributes, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("samples")
    found = {"base": root / "base", "candidate": root / "candidate"}
    for role, samples in (("base", BASE), ("candidate", CANDIDATE)):
        for (task, lang), group in by_task(samples).items():
            write_samples(found[role] / task / f"{lang}.parquet", group, key="k")
    return found


@pytest.fixture(scope="module")
def page(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    scores = [_scores("base", BASE, HOSTILE), _scores("candidate", CANDIDATE, "tiny + quick")]
    facts = {"date": "2026-01-02", HOSTILE: HOSTILE}
    out = write_report(
        scores, folders, recipe_name=HOSTILE, facts=facts, out=tmp_path_factory.mktemp("page") / "report.html"
    )
    return out.read_text(encoding="utf-8")


def test_write_report_hostile_text_is_shown_as_text(page: str) -> None:
    parsed = _Page(page)
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    assert "<script" not in page and "<img" not in page
    assert "<script>alert('x')</script>" in parsed.text  # the parser has undone the escapes
    assert not [name for _, attrs in parsed.tags for name in attrs if name.startswith("on")]


def test_write_report_asks_for_nothing_from_outside(page: str) -> None:
    parsed = _Page(page)
    loads = [
        value for _, attrs in parsed.tags for name, value in attrs.items() if name in ("src", "href", "data")
    ]
    assert loads == ["data:,"]
    assert not re.search(r"url\(|@import|https?://", page)
    assert "default-src 'none'" in page


def test_write_report_every_language_measure_and_plot_is_there(page: str) -> None:
    parsed = _Page(page)
    for name in ("English", "Arabic", "Japanese", "Spanish"):
        assert parsed.text.count(name) > 5
    for item in MEASURES_OF_THIS_SUITE:
        assert item.label in parsed.text
    plots = [attrs for tag, attrs in parsed.tags if tag == "svg"]
    assert len(plots) == 3 + 2 + 1
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 40 for attrs in plots)
    assert "2026-01-02" in page and "nrefs:1" in page
    assert "prefers-color-scheme: dark" in page


def test_write_report_right_to_left_texts_carry_direction_and_language(page: str) -> None:
    texts = [attrs for tag, attrs in _Page(page).tags if attrs.get("class") == "text"]
    assert {"rtl"} == {a["dir"] for a in texts if a.get("lang") == "ar" and a["dir"] != "auto"}
    assert {"ltr"} == {a["dir"] for a in texts if a.get("lang") == "ja" and a["dir"] != "auto"}
    assert all("dir" in attrs for attrs in texts)


def test_write_report_clear_losses_come_first_in_the_table(page: str) -> None:
    table = page[page.index('id="table-base"') :]
    rows = re.findall(r'<th scope="row">(\w+)</th><td>([^<]+)</td>', table)
    verdicts = re.findall(r'class="verdict (\w+)"', table)
    assert rows[0] == ("Japanese", "Multiple choice")
    assert verdicts == sorted(verdicts, key=["worse", "unclear", "better"].index)
    assert {"worse", "unclear", "better"} == set(verdicts)


def test_write_report_headline_says_what_was_lost_and_gained(page: str) -> None:
    lines = re.findall(r'<p class="headline">([^<]+)</p>', page)
    assert lines == [
        "Against the base model, Japanese clearly lost. Arabic clearly gained. "
        "English (the source) and Spanish did not change by more than noise."
    ]


def test_write_report_single_model_needs_no_comparison(folders: dict[str, Path], tmp_path: Path) -> None:
    out = write_report(
        [_scores("base", BASE)], {"base": folders["base"]}, recipe_name="x", facts={}, out=tmp_path / "r.html"
    )
    assert "measured alone" in out.read_text(encoding="utf-8")


def test_write_report_champion_gets_its_own_table(folders: dict[str, Path], tmp_path: Path) -> None:
    scores = [_scores("base", BASE), _scores("champion", CANDIDATE), _scores("candidate", CANDIDATE)]
    samples = folders | {"champion": folders["candidate"]}
    page = write_report(scores, samples, recipe_name="x", facts={}, out=tmp_path / "r.html").read_text(
        "utf-8"
    )
    assert 'id="table-base"' in page and 'id="table-champion"' in page
    assert "Against the champion, Arabic, English (the source), Japanese and Spanish did not change" in page


def test_compare_without_samples_claims_nothing() -> None:
    changes = compare(_scores("base", BASE), _scores("candidate", CANDIDATE), {}, {})
    assert {change.verdict for change in changes} == {"unclear"}
    assert {change.shown_range for change in changes} == {""}


def test_compare_items_that_do_not_match_are_not_paired() -> None:
    other = [dataclasses.replace(sample, id=sample.id + "x") for sample in CANDIDATE]
    changes = compare(_scores("base", BASE), _scores("candidate", other), by_task(BASE), by_task(other))
    assert {change.verdict for change in changes} == {"unclear"}


def test_change_few_items_are_never_clear() -> None:
    small = Measurement(value=1, n=5, low=1, high=1)
    enough = small.model_copy(update={"n": 10})
    verdicts = [Change(MEASURES[0], "es", small, small, delta).verdict for delta in (small, enough)]
    assert verdicts == ["unclear", "better"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-2, -1, "worse"), (-2, 0, "unclear"), (-2, 1, "unclear"), (0, 1, "unclear"), (0.5, 1, "better")],
)
def test_change_interval_over_zero_is_no_verdict(low: float, high: float, verdict: str) -> None:
    delta = Measurement(value=(low + high) / 2, n=50, low=low, high=high)
    assert Change(MEASURES[0], "es", delta, delta, delta).verdict == verdict


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.0"), (-0.04, "0.0"), (1.25, "+1.2"), (-3.0, "−3.0")])
def test_signed_values_have_a_true_minus_and_no_negative_zero(value: float, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "ceiling"), [(0, 1), (0.9, 1), (31.7, 40), (40, 40), (60.5, 80), (99, 100), (101, 150)]
)
def test_nice_ceiling_is_round_and_not_below(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


def test_change_bars_marks_stay_inside_the_plot() -> None:
    changes = compare(
        _scores("base", BASE), _scores("candidate", CANDIDATE), by_task(BASE), by_task(CANDIDATE)
    )
    for item in MEASURES_OF_THIS_SUITE:
        plot = change_bars(item, [change for change in changes if change.measure == item])
        for mark in plot.marks:
            assert 0 < mark.low <= mark.x <= mark.high < plot.width
            assert 0 < mark.y < plot.axis


def test_headline_nothing_in_common_says_so() -> None:
    assert "Nothing to compare" in headline([], "en", "the base model")


def test_markdown_summary_hostile_model_name_stays_in_its_cell() -> None:
    scores = [_scores("base", BASE, "a|b\n<script> [x](y)"), _scores("candidate", CANDIDATE)]
    lines = markdown_summary(scores).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert "<script>" not in markdown_summary(scores)
    assert any(
        "Multiple choice | Japanese | 24 | 50.0 % [31–69] | 8.3 % [2–26] | −41.7 |" in line for line in lines
    )


def test_escape_markdown_any_special_sign_is_escaped() -> None:
    assert escape_markdown("a_b*[c]\n`d`") == r"a\_b\*\[c\] \`d\`"


def test_terminal_table_fits_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    scores = [_scores("base", BASE, "[bold]x"), _scores("candidate", CANDIDATE)]
    assert terminal_table(scores).row_count > 10
    print_terminal(scores)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert "50.0 % [31–69]" in printed and "−41.7" in printed
