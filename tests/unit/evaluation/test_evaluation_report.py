"""The report and both summaries, from samples that are written here item by item."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tongues.core.comparison import Contamination, Exposure
from tongues.core.scores import Measurement, Scores
from tongues.evaluation.charts import change_bars, nice_ceiling
from tongues.evaluation.compare import NO_ANSWERS, Answers, Change, by_task, compare, signed
from tongues.evaluation.comparison import AllCompared, Compared, compare_all
from tongues.evaluation.measures import MEASURES
from tongues.evaluation.paired import Paired
from tongues.evaluation.report import write_report
from tongues.evaluation.samples import Sample
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


CONTAMINATION = Contamination(
    dataset_sha256="2" * 64,
    records=77,
    rule="an item is met where it is met",
    exposures=(
        Exposure(task="choices", lang="ar", items=24, direct=3, translated=2, examples=("mc-01", HOSTILE)),
        Exposure(task="choices", lang="ja", items=24, direct=0, translated=0),
    ),
)


def _compared(
    *models: tuple[str, list[Sample], str], contamination: Contamination | None = None
) -> AllCompared:
    found = [Compared(_scores(role, samples, name), Answers.of(samples)) for role, samples, name in models]
    return compare_all(found, recipe=HOSTILE, contamination=contamination)


@pytest.fixture(scope="module")
def compared() -> AllCompared:
    return _compared(
        ("base", BASE, HOSTILE), ("candidate", CANDIDATE, "tiny + quick"), contamination=CONTAMINATION
    )


@pytest.fixture(scope="module")
def page(compared: AllCompared, tmp_path_factory: pytest.TempPathFactory) -> str:
    facts = {"date": "2026-01-02", HOSTILE: HOSTILE}
    out = write_report(compared, facts=facts, out=tmp_path_factory.mktemp("page") / "report.html")
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
    assert len(plots) == 3 + 2 + 2
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 40 for attrs in plots)
    assert "2026-01-02" in page and "nrefs:1" in page
    assert "prefers-color-scheme: dark" in page


def test_write_report_right_to_left_texts_carry_direction_and_language(page: str) -> None:
    texts = [attrs for tag, attrs in _Page(page).tags if attrs.get("class") == "text"]
    assert {"rtl"} == {a["dir"] for a in texts if a.get("lang") == "ar" and a["dir"] != "auto"}
    assert {"ltr"} == {a["dir"] for a in texts if a.get("lang") == "ja" and a["dir"] != "auto"}
    assert all("dir" in attrs for attrs in texts)


def test_write_report_clear_losses_come_first_in_the_table(page: str) -> None:
    table = page[page.index('id="numbers"') : page.index('id="contamination"')]
    rows = re.findall(r'<th scope="row">(\w+)</th><td>([^<]+)</td>', table)
    verdicts = re.findall(r'class="number verdict (\w+)"', table)
    assert rows[0] == ("Japanese", "Multiple choice")
    assert verdicts == sorted(verdicts, key=["worse", "unclear", "better"].index)
    assert {"worse", "unclear", "better"} == set(verdicts)


def test_write_report_headline_says_what_was_lost_and_gained(page: str) -> None:
    lines = re.findall(r'<p class="headline">([^<]+)</p>', page)
    assert lines == [
        "Against the base model, Japanese clearly lost. Arabic clearly gained. "
        "English (the source) and Spanish did not change by more than noise."
    ]


def test_write_report_single_model_needs_no_comparison(tmp_path: Path) -> None:
    out = write_report(_compared(("base", BASE, "tiny")), facts={}, out=tmp_path / "r.html")
    page = out.read_text(encoding="utf-8")
    assert "measured alone" in page
    assert "does not say what it was trained on" in page


def test_write_report_all_models_stand_in_one_table(tmp_path: Path) -> None:
    models = [
        ("base", BASE, "b"),
        ("english", BASE, "e"),
        ("champion", CANDIDATE, "c"),
        ("candidate", CANDIDATE, "n"),
    ]
    page = write_report(_compared(*models), facts={}, out=tmp_path / "r.html").read_text("utf-8")
    table = page[page.index('id="numbers"') : page.index('id="contamination"')]
    heads = re.findall(r'<th scope="col" class="number">(?:<span[^>]*></span>)?([^<]+)</th>', table)
    assert heads[1:] == [
        *("base", "english", "champion", "candidate"),
        *("change against base", "change against english", "change against champion"),
    ]
    assert "Against the champion, Arabic, English (the source), Japanese and Spanish did not change" in page
    assert ".dot.other-english { background" in page


def test_write_report_contamination_names_languages_sets_and_items(page: str) -> None:
    section = page[page.index('id="contamination"') : page.index('id="samples"')]
    assert "5 of 48 items stand in the 77 training records" in section
    assert "3 + 2 of 24" in section and "mc-01" in section and "0 of 24" in section
    assert "an item is met where it is met" in section


def _with(one: Compared, **changed: object) -> Compared:
    return Compared(one.scores.model_copy(update=changed), one.answers)


def test_gaps_are_named_in_the_report_the_summary_and_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A set that could not be loaded, a language of a set, and a task without items in two languages."""
    found = [Compared(_scores(role, BASE), Answers.of(BASE)) for role in ("base", "candidate")]
    few = {k: m for k, m in found[0].scores.measurements.items() if not k.startswith(("open/ja", "open/en"))}
    unmeasured = {"xcopa": "no place is named", f"mgsm/{HOSTILE}": "no such file: x", "open/en": "no file"}
    both = compare_all([_with(m, measurements=few, unmeasured=unmeasured) for m in found], recipe="x")
    named = ("xcopa", "no place is named", "no such file: x", "no items in Japanese")
    page = write_report(both, facts={}, out=tmp_path / "r.html").read_text("utf-8")
    section = page[page.index('id="gaps"') : page.index('id="bars"')]
    assert all(word in section for word in named) and "<script" not in section
    assert "Not measured" in markdown_summary(both.comparison)
    summary = markdown_summary(both.comparison)
    assert "- xcopa: no place is named" in summary and "- open: no items in Japanese\n" in summary
    print_terminal(both.scores)
    printed = capsys.readouterr().out
    assert "not measured: xcopa: no place is named" in printed and "open: no items in Japanese" in printed
    assert "translation: no items" not in printed  # there is nothing to translate into the source language


def test_nothing_is_named_where_everything_was_measured(page: str, compared: AllCompared) -> None:
    assert 'id="gaps"' not in page and "Not measured" not in markdown_summary(compared.comparison)


def _programs(*ended: str) -> list[Sample]:
    return [
        Sample("code", "es", f"c{n}", "def f():", "", f"```\n{HOSTILE}\n```", e == "passed", ended=e,
               reference_ended="passed" if n else "failed")
        for n, e in enumerate(ended)
    ]  # fmt: skip


def test_programs_stand_in_the_report_the_summary_and_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = _compared(
        ("base", [*BASE, *_programs("passed", "time", "no-code")], "b"),
        ("candidate", [*BASE, *_programs("failed", "passed", "no-code")], "c"),
    )
    page = write_report(both, facts={}, out=tmp_path / "r.html").read_text("utf-8")
    assert "Programs that pass (pass@1)" in page and "own programs that pass" in page
    samples = page[page.index('id="samples"') :]
    assert "Spanish: Programs" in samples and "✗ failed" in samples and "✓ passed" in samples
    assert "| Programs that pass (pass@1) | Spanish | 3 | 33.3 %" in markdown_summary(both.comparison)
    print_terminal(both.scores)
    assert "pass@1" in capsys.readouterr().out


def test_lines_have_a_matrix_of_their_own(tmp_path: Path) -> None:
    lines = [dataclasses.replace(s, line_langs=("ja", "ja", "en")) if s.lang == "ja" else s for s in BASE]
    page = write_report(_compared(("base", lines, "b")), facts={}, out=tmp_path / "r.html").read_text("utf-8")
    assert page.count('<table class="matrix">') == 2
    table = page[page.index("of each line of the answers") :]
    cells = re.findall(r"<td class=\"number[^>]*>([^<]+)<", table[: table.index("</table>")])
    assert cells == [str(N), str(2 * N)] or cells == [str(2 * N), str(N)]


def test_consistency_of_other_sets_has_curves_and_rows_of_its_own(tmp_path: Path) -> None:
    """A Cross set in three languages: its sizes are 2 and 3, whatever multiple choice has."""
    measurements = {f"cross_mmlu/all/{m}": Measurement(value=0.5, n=150, low=0.4, high=0.6)
                    for m in ("accuracy", "consistency_2", "consistency_3", "ac3_2", "ac3_3")}  # fmt: skip
    scores = _scores("base", BASE)
    both = scores.model_copy(update={"measurements": scores.measurements | measurements})
    one = compare_all([Compared(both, Answers.of(BASE))], recipe="x")
    page = write_report(one, facts={}, out=tmp_path / "r.html").read_text("utf-8")
    assert "Consistency over subset size, cross mmlu" in page and "AC3 over subset size" in page
    summary = markdown_summary(one.comparison)
    assert "| Cross mmlu, consistency, s = 3 | all languages | 150 | 50.0 % [40–60] |" in summary
    assert "Cross mmlu, AC3, s = 3" in summary and "Cross mmlu, consistency, s = 4" not in summary
    assert "| Consistency, s = 4 | all languages |" in summary


def test_write_report_judge_and_formats_stand_by_category_and_task(tmp_path: Path) -> None:
    values = {"judge": 7.25, "judge_in_writing": 8.0, "win_rate_base": 0.75, "format_failure_rate": 0.125}
    more = {f"open/ja/{m}": Measurement(value=v, n=24, low=v, high=v) for m, v in values.items()}
    found = [Compared(_scores(role, BASE), Answers.of(BASE)) for role in ("base", "candidate")]
    candidate = found[1].scores.model_copy(update={"measurements": found[1].scores.measurements | more})
    both = compare_all([found[0], Compared(candidate, found[1].answers)], recipe="x")
    page = write_report(both, facts={}, out=tmp_path / "r.html").read_text("utf-8")
    judge = page[page.index('id="judge"') : page.index('id="formats"')]
    assert "writing" in judge and "7.2" in judge and "8.0" in judge and "75.0 %" in judge
    formats = page[page.index('id="formats"') : page.index('id="numbers"')]
    assert "Japanese" in formats and "12.5 %" in formats and "Arabic" not in formats


def test_compare_without_samples_claims_nothing() -> None:
    changes = compare(_scores("base", BASE), _scores("candidate", CANDIDATE), NO_ANSWERS, NO_ANSWERS)
    assert {change.verdict for change in changes} == {"unclear"}
    assert {change.shown_range for change in changes} == {""}
    assert {change.as_difference().interval for change in changes} == {"none"}


def test_compare_items_that_do_not_match_are_not_paired() -> None:
    other = [dataclasses.replace(sample, id=sample.id + "x") for sample in CANDIDATE]
    changes = compare(_scores("base", BASE), _scores("candidate", other), Answers.of(BASE), Answers.of(other))
    assert {change.verdict for change in changes} == {"unclear"}


def test_compare_ratings_are_paired_over_the_items_that_both_have() -> None:
    rated = {f"o-{i:02d}": float(i % 10) for i in range(N)}
    better = {name: value + 1 for name, value in rated.items() if name != "o-00"}
    one, other = (
        _scores(role, BASE).model_copy(
            update={"measurements": {"open/ja/judge": Measurement(value=value, n=N)}}
        )
        for role, value in (("base", 4.5), ("candidate", 5.5))
    )
    (change,) = compare(one, other, Answers({}, {"ja": rated}), Answers({}, {"ja": better}))
    assert (change.delta.value, change.delta.n) == (pytest.approx(1.0), N - 1)
    assert change.verdict == "better" and change.p == pytest.approx(2 / 2 ** (N - 1))


def test_compare_tasks_without_a_name_here_are_compared_all_the_same() -> None:
    samples = [dataclasses.replace(s, task="cross_mmlu") for s in BASE if s.task == "choices"]
    scores = [
        _scores(role, BASE).model_copy(
            update={"measurements": {"cross_mmlu/ar/accuracy": Measurement(value=0.5, n=N)}}
        )
        for role in ("base", "candidate")
    ]
    (change,) = compare(*scores, Answers.of(samples), Answers.of(samples))
    assert (change.measure.label, change.measure.main) == ("Cross mmlu", True)
    assert change.as_difference().interval == "score"


def _change(delta: Measurement) -> Change:
    return Change(MEASURES[0], "es", delta, delta, Paired(delta, "score", {}, {}))


def test_change_few_items_are_never_clear() -> None:
    small = Measurement(value=1, n=5, low=1, high=1)
    enough = small.model_copy(update={"n": 10})
    verdicts = [_change(delta).verdict for delta in (small, enough)]
    assert verdicts == ["unclear", "better"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-2, -1, "worse"), (-2, 0, "unclear"), (-2, 1, "unclear"), (0, 1, "unclear"), (0.5, 1, "better")],
)
def test_change_interval_over_zero_is_no_verdict(low: float, high: float, verdict: str) -> None:
    delta = Measurement(value=(low + high) / 2, n=50, low=low, high=high)
    assert _change(delta).verdict == verdict


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
        _scores("base", BASE), _scores("candidate", CANDIDATE), Answers.of(BASE), Answers.of(CANDIDATE)
    )
    for item in MEASURES_OF_THIS_SUITE:
        plot = change_bars(item, [change for change in changes if change.measure == item])
        for mark in plot.marks:
            assert 0 < mark.low <= mark.x <= mark.high < plot.width
            assert 0 < mark.y < plot.axis


def test_headline_nothing_in_common_says_so() -> None:
    assert "Nothing to compare" in headline([], "en", "the base model")


def test_markdown_summary_hostile_model_name_stays_in_its_cell() -> None:
    comparison = _compared(
        ("base", BASE, "a|b\n<script> [x](y)"), ("candidate", CANDIDATE, "tiny"), contamination=CONTAMINATION
    ).comparison
    lines = markdown_summary(comparison).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert "<script>" not in markdown_summary(comparison)
    assert any(
        "Multiple choice | Japanese | 24 | 50.0 % [31–69] | 8.3 % [2–26] | −41.7 |" in line for line in lines
    )


def test_markdown_summary_losses_come_first_and_contamination_last(compared: AllCompared) -> None:
    text = markdown_summary(compared.comparison)
    assert "**Clear losses against base: 2**:" in text
    assert "- Japanese, Multiple choice: −41.7 (−61.2 to −22.1, p 0.006 after Holm's correction)" in text
    assert text.index("Clear losses") < text.index("| Measure |") < text.index("Overlap with 77")
    assert "- choices, Arabic: 3 of 24 items, 2 more in another language" in text
    rows = [line.split(" | ")[1] for line in text.splitlines() if line.startswith("| Multiple choice |")]
    assert rows == ["Japanese", "English", "Spanish", "Arabic"]


def test_comparison_reads_back_from_json(compared: AllCompared) -> None:
    comparison = compared.comparison
    assert type(comparison).model_validate_json(comparison.model_dump_json()) == comparison
    assert {d.name for d in comparison.against["base"]} >= {"choices/ja/accuracy", "translation/ar/chrf"}


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
