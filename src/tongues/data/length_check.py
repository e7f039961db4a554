"""Whether a translation has as many letters as its source lets expect."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tongues.core.ports import Verdict
from tongues.core.recipe import LengthRatio
from tongues.data.letter_ratios import count_letters, english_letters, length_ratio
from tongues.data.verdicts import TELLING_LETTERS, judged


@dataclass(frozen=True, slots=True)
class LengthCheck:
    """Fail a translation with far fewer or far more letters than its source would give.

    The general limits hold for the ratio over what is usual between the two languages (see
    `letter_ratios`), so one pair of them suits all: 1 is as long as expected. A language's own
    limits hold for letters as counted, since they are set with that language in mind. Sources below
    20 letters say nothing.

    Args:
        low: smallest ratio, above 0.
        high: largest ratio.
        own: limits for single target languages, in place of the two.
    """

    low: float
    high: float
    own: Sequence[LengthRatio] = ()
    _own: dict[str, LengthRatio] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_own", {limits.lang: limits for limits in self.own})

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        """Judge."""
        if english_letters(source, source_lang) < TELLING_LETTERS:
            return judged("length", "")
        ratio, low, high = length_ratio(source, translated, source_lang, target_lang), self.low, self.high
        if own := self._own.get(target_lang):
            ratio, low, high = count_letters(translated) / count_letters(source), own.low, own.high
        reason = "too-short" if ratio < low else "too-long" if ratio > high else ""
        return judged("length", reason, f"letter ratio {ratio:.2f}, allowed {low:g} to {high:g}")
