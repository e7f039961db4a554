"""The translation report as Markdown, for the terminal and KFP, and as one page of HTML."""

from pathlib import Path

from tongues import __version__
from tongues.core.languages import language
from tongues.core.pages import write_page
from tongues.translation.quality import Quality
from tongues.translation.report import LanguageLine, TranslationReport

_TEMPLATES = Path(__file__).parent / "templates"


def to_markdown(report: TranslationReport) -> str:
    """The report's tables, for the terminal and for KFP."""
    lines = [f"# Translations of `{report.recipe}`", "", *_rows_table(report), "", *_quality_table(report)]
    for line in report.languages:
        lines += _reasons(line)
    return "\n".join([*lines, ""])


def _rows_table(report: TranslationReport) -> list[str]:
    head = "| language | rows | kept | dropped | score: mean, low tenth | requests | tokens | cost | rows/s |"
    return [head, "| --- |" + " ---: |" * 8, *(_rows_line(line) for line in report.languages)]


def _rows_line(line: LanguageLine) -> str:
    requests = sum(engine.requests for engine in line.engines)
    tokens = sum(engine.prompt_tokens + engine.completion_tokens for engine in line.engines)
    cost = sum(engine.cost for engine in line.engines)
    score = f"{line.score_mean:.2f}, {line.score_low:.2f}" if line.score_mean is not None else "-"
    cells = (
        line.lang,
        line.rows.rows_in,
        line.rows.rows_out,
        sum(line.rows.dropped.values()),
        score,
        requests,
        tokens,
        f"{cost:.4g}",
        f"{line.rows_per_s:.1f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _quality_table(report: TranslationReport) -> list[str]:
    measured = [(line.lang, one) for line in report.languages for one in line.quality]
    if not measured:
        return []
    head = "| language | measured | sentences | BLEU | chrF++ | TER | adequacy | fluency | |"
    return [
        head,
        "| --- | --- |" + " ---: |" * 6 + " --- |",
        *(_quality_line(lang, one) for lang, one in measured),
    ]


def _quality_line(lang: str, measured: Quality) -> str:
    values = (measured.bleu, measured.chrf, measured.ter, measured.adequacy, measured.fluency)
    scores = " | ".join(map(_number, values))
    failed = f" ({measured.failed} failed)" if measured.failed else ""
    return f"| {lang} | {measured.kind} | {measured.sentences}{failed} | {scores} | {measured.note} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _reasons(line: LanguageLine) -> list[str]:
    told = {
        "dropped": line.rows.dropped,
        "escalated": line.escalated,
        "rescued": line.rescued,
        "passed with a hint": line.hints,
        "left in the source language": line.selection,
    }
    entries = [
        f"- {what}: " + ", ".join(f"{reason} {rows}" for reason, rows in sorted(counts.items()))
        for what, counts in told.items()
        if counts
    ]
    entries += [f"- language identification: {line.cannot_tell}"] if line.cannot_tell else []
    return ["", f"## {language(line.lang).name} ({line.lang})", "", *entries] if entries else []


def write_html(report: TranslationReport, out: Path) -> Path:
    """Write the report as one self-contained page without script or network."""
    values = {"report": report, "language": language, "version": __version__, "number": _number}
    return write_page(out, _TEMPLATES, "translation.html.j2", **values)
