"""Language identification restricted to the languages in play (py3langid).

Restriction matters more than the choice of library: a short Indonesian text is Indonesian among
{id, en} and a coin toss against Malay among 140.
"""

import copy
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from tongues.core.languages import UNDETERMINED
from tongues.core.ports import Identified

_LABELS = {"zh-Hans": "zh", "zh-Hant": "zh", "fil": "tl", "gn": "gug"}
"""BCP-47 codes that the model knows under another name."""
_CHARSETS = {"zh-Hans": "gb2312", "zh-Hant": "big5"}
"""Old character sets that hold the characters of one of the two ways to write Chinese."""


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
        known = sorted(filter(self.supports, candidates))
        if not known or not has_letters(text):
            return Identified(UNDETERMINED, 0.0)
        labels = frozenset(map(_label, known)) if len(known) == len(set(candidates)) else None
        label, confidence = _restricted(labels).classify(_encodable(text))
        return Identified(_code(label, known, text), float(confidence))

    def supports(self, lang: str) -> bool:
        """Whether the model can tell this language (BCP-47) at all."""
        return _label(lang) in _model().labels


def has_letters(text: str) -> bool:
    """Whether a text holds at least one letter of any script."""
    return any(map(str.isalpha, text))


def count_letters(text: str) -> int:
    """Letters of any script (Unicode category L); marks, digits and signs do not count."""
    return sum(1 for c in text if unicodedata.category(c)[0] == "L")


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


def _label(lang: str) -> str:
    return _LABELS.get(lang, lang)


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
