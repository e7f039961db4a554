"""What happened, in plain sentences that claim no more than the intervals allow."""

from collections.abc import Mapping, Sequence

from tongues.core.comparison import Verdict
from tongues.core.languages import language
from tongues.evaluation.compare import Change

_VERDICTS: dict[Verdict, str] = {
    "better": "clearly better",
    "worse": "clearly worse",
    "unclear": "no clear change",
}

_FATES = (
    "clearly lost",
    "gained in one measure and lost in another",
    "clearly gained",
    "did not change by more than noise",
)
"""What can become of a language, in the order the headline tells it."""


_NAMED = 7
"""Above so many languages the headline counts the rest."""


def headline(changes: Sequence[Change], source_lang: str, against: str) -> str:
    """What became of every language in at most four short sentences, losses first.

    Args:
        changes: every change against one model.
        source_lang: BCP-47 code of the source language.
        against: the model compared with, such as "the base model".
    """
    verdicts: dict[str, set[Verdict]] = {}
    for change in changes:
        if change.measure.main:
            verdicts.setdefault(change.lang, set()).add(change.verdict)
    if not verdicts:
        return f"Nothing to compare with {against}: no measure was taken on both."
    parts = _parts(verdicts, source_lang)
    return f"Against {against}, {parts[0]}." + "".join(f" {part[0].upper()}{part[1:]}." for part in parts[1:])


def _parts(verdicts: Mapping[str, set[Verdict]], source_lang: str) -> list[str]:
    named: dict[str, list[str]] = {}
    for code, found in verdicts.items():
        name = language(code).name + (" (the source)" if code == source_lang else "")
        named.setdefault(_fate(found), []).append(name)
    return [f"{_listed(sorted(named[words]))} {words}" for words in _FATES if words in named]


def _fate(found: set[Verdict]) -> str:
    lost, mixed, gained, unchanged = _FATES
    if "worse" in found:
        return mixed if "better" in found else lost
    return gained if "better" in found else unchanged


def _listed(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more languages"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def verdict_words(verdict: Verdict) -> str:
    """The verdict as people read it."""
    return _VERDICTS[verdict]
