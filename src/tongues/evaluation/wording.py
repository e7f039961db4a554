"""What happened, in plain sentences that claim no more than the intervals allow."""

from collections.abc import Sequence

from tongues.core.languages import language
from tongues.evaluation.compare import Change, Verdict

_VERBS: dict[Verdict, str] = {
    "better": "clearly better",
    "worse": "clearly worse",
    "unclear": "no clear change",
}


def headline(changes: Sequence[Change], source_lang: str, against: str) -> str:
    """One sentence over all taught languages, and one about the source language.

    Args:
        changes: every change against one model.
        source_lang: BCP-47 code of the source language.
        against: the model compared with, such as "the base model".
    """
    main = [change for change in changes if change.measure.main]
    taught = [change for change in main if change.lang != source_lang]
    if not taught:
        return f"Nothing to compare with {against}: no measure was taken on both."
    worse, better = (_names(taught, verdict) for verdict in ("worse", "better"))
    source = f"{language(source_lang).name} {_held(main, source_lang)}."
    if not worse and not better:
        return f"Against {against}, no taught language changed by more than noise. {source}"
    gains = f"{_listed(better)} became clearly better in at least one measure" if better else ""
    losses = f"{_listed(worse)} became clearly worse in at least one" if worse else ""
    found = f"{losses}; {gains}" if losses and gains else losses or f"{gains} and none clearly worse"
    return f"Against {against}, {found}. {source}"


def _names(changes: Sequence[Change], verdict: Verdict) -> list[str]:
    return sorted({language(change.lang).name for change in changes if change.verdict == verdict})


def _held(changes: Sequence[Change], lang: str) -> str:
    verdicts = {change.verdict for change in changes if change.lang == lang}
    if not verdicts:
        return "was not measured on both"
    if "worse" in verdicts:
        return "lost clearly"
    return "gained clearly" if "better" in verdicts else "held: no change beyond noise"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sentence(change: Change) -> str:
    """One change: "Multiple choice 30.0 % → 41.7 % (+11.7, 95 % interval −1.7 to +25.0): no clear change"."""
    measure = change.measure
    interval = f", 95 % interval {change.shown_range}" if change.shown_range else ""
    return (
        f"{measure.label} {measure.show(change.before)} → {measure.show(change.after)} "
        f"({change.shown}{interval}): {_VERBS[change.verdict]}"
    )


def verdict_words(verdict: Verdict) -> str:
    """The verdict as it stands in tables."""
    return _VERBS[verdict]


def smallest_clear_change(n: int) -> float:
    """How large a change of a share must be, in points, before it stands out from noise.

    Half-width of a 95 % interval of a paired difference when one item in four changes:
    ``196 * sqrt(0.25 / n)``.

    Args:
        n: items, at least 1.
    """
    return float(196 * (0.25 / n) ** 0.5)
