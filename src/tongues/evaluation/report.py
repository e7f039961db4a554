"""The report: one HTML file that needs no network, no script and no explanation."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tongues import __version__
from tongues.core.languages import Language, language
from tongues.core.pages import write_page
from tongues.core.scores import Scores
from tongues.evaluation import tables
from tongues.evaluation.charts import (
    ROLES,
    SUBSET_METRICS,
    SubsetMetric,
    change_bars,
    series,
    shares,
    subset_curves,
)
from tongues.evaluation.compare import Change
from tongues.evaluation.comparison import AllCompared
from tongues.evaluation.gaps import not_measured
from tongues.evaluation.measures import measures_of, together_measures, together_tasks
from tongues.evaluation.showcase import showcase
from tongues.evaluation.wording import headline, verdict_words

_TEMPLATES = Path(__file__).parent / "templates"
_ROLE_NAMES = {"base": "the base model", "champion": "the champion", "candidate": "the candidate"}
_CARDS = 12
"""With more languages, those without a clear change are folded away."""
_OPEN_SAMPLES = 6
"""Up to so many languages the answers to open questions are unfolded."""


def write_report(compared: AllCompared, *, facts: Mapping[str, str], out: Path) -> Path:
    """Write the comparison as one self-contained HTML file.

    Args:
        compared: the models; those without samples get no intervals of change.
        facts: more lines for the last section, such as methods; "date" replaces today's.
        out: the file to write.

    Returns:
        The file.
    """
    return write_page(out, _TEMPLATES, "report.html.j2", **_context(compared, facts))


def _context(compared: AllCompared, facts: Mapping[str, str]) -> dict[str, Any]:
    scores, subject = compared.scores, compared.candidate.scores
    langs = (subject.source_lang, *subject.languages)
    main = compared.changes.get(compared.against, ())
    names = {one.role: _ROLE_NAMES.get(one.role, f"model {one.role}") for one in scores}
    return {
        "recipe_name": compared.comparison.recipe,
        "headlines": [headline(c, subject.source_lang, names[role]) for role, c in compared.changes.items()],
        "scores": scores,
        "subject": subject,
        "series": series,
        "others": [one.role for one in scores if one.role not in ROLES],
        "language": language,
        "findings": _findings(langs, main),
        "cards": _CARDS,
        "noise": _noise(subject),
        "against": compared.against,
        "compared_roles": list(compared.changes),
        "role_names": names,
        "verdict_words": verdict_words,
        "heat": tables.heat(subject, langs, main),
        "gaps": not_measured(scores),
        "bars": _bars(main),
        "rates": _rates(scores, langs),
        "confusion": tables.confusion(compared, langs),
        "rows": tables.every_number(compared),
        **_together(compared),
        **_special(compared, langs),
        "facts": _facts(scores, facts),
    }


def _together(compared: AllCompared) -> dict[str, Any]:
    """What is taken over all languages at once."""
    scores = compared.scores
    curves = [
        subset_curves(_over_sizes(task, metric), task, metric, scores, _options(compared, task))
        for task in together_tasks(scores)
        for metric in SUBSET_METRICS
    ]
    return {"curves": [curve for curve in curves if curve], "together": together_measures(scores)}


def _over_sizes(task: str, metric: SubsetMetric) -> str:
    """Title of a curve."""
    name = "AC3" if metric == "ac3" else "Consistency"
    return f"{name} over subset size" + ("" if task == "choices" else f", {task.replace('_', ' ')}")


def _special(compared: AllCompared, langs: Sequence[str]) -> dict[str, Any]:
    """Judge, formats, contamination and samples, each only where there is something to show."""
    scores, subject = compared.scores, compared.candidate.scores
    other = next((one for one in scores if one.role == compared.against), None)
    sections = (
        showcase(langs, subject.source_lang, compared.answers(compared.against), compared.candidate.answers)
        if compared.against
        else []
    )
    return {
        "judged": tables.judged(subject, langs, other),
        "failures": tables.format_failures(scores, langs),
        "contaminated": tables.contaminated(compared.comparison.contamination, langs),
        "sections": sections,
        "unfolded": len(langs) <= _OPEN_SAMPLES,
        "task_names": {"open": "Open questions", "choices": "Multiple choice", "qa": "Questions about a text",
                       "math": "Word problems", "code": "Programs"},
    }  # fmt: skip


def _findings(langs: Sequence[str], changes: Sequence[Change]) -> list[dict[str, Any]]:
    """One card per language: those with clear losses first, those without a clear change last."""
    cards = [_finding(language(lang), changes) for lang in langs]
    return sorted(cards, key=lambda card: card["rank"])


def _finding(lang: Language, changes: Sequence[Change]) -> dict[str, Any]:
    mine = [c for c in changes if c.lang == lang.code and c.measure.main]
    verdicts = {change.verdict for change in mine}
    rank = 0 if "worse" in verdicts else 1 if "better" in verdicts else 2
    return {"language": lang, "changes": mine, "rank": rank}


def _noise(scores: Scores) -> str:
    mains = [measure for measure in measures_of([scores]) if measure.main]
    found = [(m, scores.get(m.task, lang, m.metric)) for m in mains for lang in scores.languages]
    sizes: dict[str, list[int]] = {}
    for measure, got in found:
        if got:
            sizes.setdefault(measure.short, []).append(got.n)
    spans = ((name, min(ns), max(ns)) for name, ns in sizes.items())
    listed = ", ".join(
        f"{low if low == high else f'{low} to {high}'} for {name}" for name, low, high in spans
    )
    return (
        f"Items per language: {listed}; the fewer there are, the wider the intervals. Each interval stands "
        "for itself, so of twenty of them one is expected to miss the truth."
    )


def _bars(changes: Sequence[Change]) -> list[Any]:
    measures = dict.fromkeys(change.measure for change in changes if change.measure.main)
    return [change_bars(one, [c for c in changes if c.measure == one]) for one in measures]


def _rates(scores: Sequence[Scores], langs: Sequence[str]) -> list[Any]:
    wanted = (one for one in measures_of(scores) if one.metric == "target_language_rate")
    return [plot for plot in (shares(measure, scores, langs) for measure in wanted) if plot.marks]


def _options(compared: AllCompared, task: str) -> int:
    """Choices per question, for the chance level; four where no sample tells."""
    choices = (
        sample
        for model in compared.models
        for (of, _), found in model.answers.samples.items()
        for sample in found
        if of == task
    )
    return next((len(sample.options) for sample in choices), 4)


def _facts(scores: Sequence[Scores], given: Mapping[str, str]) -> list[tuple[str, str]]:
    facts = {"date": datetime.now(UTC).date().isoformat(), "tongues": __version__, **given}
    for one in scores:
        facts[f"{one.role} model"] = f"{one.model} (sha256 {one.model_sha256})"
    for suite in dict.fromkeys(f"{one.suite} (sha256 {one.suite_sha256})" for one in scores):
        facts["suite and settings"] = suite
    facts["change, right or wrong"] = "paired score interval, 95 %; Tango, Statist. Med. 17 (1998) 891"
    facts["change, other"] = "paired bootstrap over items, 95 %; Koehn, W04-3250"
    facts["p after correction"] = (
        "McNemar's exact test or sign flips, two-sided; Holm over the languages of a measure"
    )
    for name, signature in scores[-1].signatures.items():
        facts[name] = signature
    return list(facts.items())
