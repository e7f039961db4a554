"""Language identification restricted to the languages in play (py3langid).

Restriction matters more than the choice of library: a short Indonesian text is Indonesian among
{id, en} and a coin toss against Malay among 140. What stays in doubt even so, `untellable` says.
"""

import copy
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any

from tongues.core.languages import UNDETERMINED
from tongues.core.ports import Identified

CONFIDENT = 0.9
"""Probability, among the candidates, from which on a language counts as seen."""
_LABELS = {"zh-Hans": "zh", "zh-Hant": "zh", "fil": "tl", "gn": "gug"}
"""BCP-47 codes that the model knows under another name."""
_CHARSETS = {"zh-Hans": "gb2312", "zh-Hant": "big5"}
"""Old character sets that hold the characters of one of the two ways to write Chinese."""


_CONFUSED = {("bs", "hr"): 0.48, ("id", "ms"): 0.24}
"""Pairs of which the model takes one for the other, and how often: of 150 messages of 40 to 150
letters in each of 79 languages, all other pairs stayed below 9 %."""
_END_CHARS = 10_000
"""Of a long text, so much of its beginning and of its end is looked at."""


class RestrictedIdentifier:
    """Guesses the language of a text among candidates; loads its model once per process."""

    def __call__(self, text: str, candidates: Sequence[str]) -> Identified:
        """Guess which of the candidates a text is written in.

        Args:
            text: any text; one without letters belongs to no language.
            candidates: BCP-47 codes; those the model does not know are left out.

        Returns:
            The likeliest candidate with its probability among the candidates; "und" with
            confidence 0 where there is no letter or no candidate that the model knows. Where it
            knows only some of the candidates it cannot exclude the others, so it chooses among
            all its languages and says "und" for one that is not a candidate.
        """
        return _identified(text, tuple(candidates))

    def supports(self, lang: str) -> bool:
        """Whether the model can tell this language (BCP-47) at all."""
        return _is_known(lang)


# A check and the score ask the same of a text, one after the other.
@lru_cache(maxsize=4)
def _identified(text: str, candidates: tuple[str, ...]) -> Identified:
    known = sorted(filter(_is_known, candidates))
    if not known or not has_letters(text):
        return Identified(UNDETERMINED, 0.0)
    labels = frozenset(map(_label, known)) if len(known) == len(set(candidates)) else None
    label, confidence = _restricted(labels).classify(_encodable(_ends(text)))
    return Identified(_code(label, known, text), float(confidence))


def has_letters(text: str) -> bool:
    """Whether a text holds at least one letter of any script."""
    return any(map(str.isalpha, text))


def tellable(candidates: Iterable[str], target: str) -> list[str]:
    """The candidates (BCP-47) without those that the model confuses with the target, or with each other.

    Of two that it confuses one stays: a text in either is then seen as that one, and surely so.
    """
    left = list[str]()
    for code in sorted(candidates, key=lambda code: (code != target, code)):
        if not any((min(code, other), max(code, other)) in _CONFUSED for other in left):
            left.append(code)
    return sorted(left)


def untellable(candidates: Sequence[str]) -> dict[str, str]:
    """The candidates (BCP-47) whose texts nobody can vouch for, each with the reason for a reader."""
    unknown = {
        code: "not known to the identifier: only its script and a text left in the source language are seen"
        for code in candidates
        if not _is_known(code)
    }
    return unknown | _confused_among(candidates)


def _confused_among(candidates: Sequence[str]) -> dict[str, str]:
    return {
        code: f"taken for {other} in about {rate:.0%} of texts, so a mix-up of the two is not seen"
        for pair, rate in _CONFUSED.items()
        if set(pair) <= set(candidates)
        for code, other in (pair, pair[::-1])
    }


@cache
def _model() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _restricted(labels: frozenset[str] | None) -> Any:
    """The model with its columns cut down to these labels, or whole; scores add up to 1 over them."""
    model = copy.copy(_model())
    model.set_languages(labels)
    return model


def _is_known(lang: str) -> bool:
    return _label(lang) in _model().labels


def _label(lang: str) -> str:
    return _LABELS.get(lang, lang)


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _END_CHARS else f"{text[:_END_CHARS]} {text[-_END_CHARS:]}"


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _code(label: str, known: list[str], text: str) -> str:
    """The candidate behind a label; the two ways to write Chinese share one and differ by characters."""
    codes = [code for code in known if _label(code) == label]
    if len(codes) > 1:
        return max(codes, key=lambda code: _in_charset(text, code))
    return codes[0] if codes else UNDETERMINED


def _in_charset(text: str, code: str) -> int:
    charset = _CHARSETS[code]
    return len(text.encode(charset, "ignore").decode(charset))
