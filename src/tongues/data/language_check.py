"""Whether a translation is in the language that was asked for."""

from dataclasses import dataclass

from tongues.core.ports import Verdict
from tongues.data.language_id import CONFIDENT, RestrictedIdentifier, has_letters, tellable
from tongues.data.letter_ratios import english_letters
from tongues.data.verdicts import hint, judged


@dataclass(frozen=True, slots=True)
class LanguageCheck:
    """Fail a translation that is in another language of those in play.

    Hard only on texts with enough letters and when the identifier is at least 90 % sure, and never
    between languages that it confuses; of a target that it does not know it can only say that a
    text is still in the source language. Otherwise the answer is the hint "unsure".

    Args:
        identify: language identification.
        languages: BCP-47 codes in play beside source and target.
        min_letters: letters below which the check is only a hint.
    """

    identify: RestrictedIdentifier
    languages: tuple[str, ...]
    min_letters: int

    def __call__(self, source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
        """Judge."""
        candidates = tellable({source_lang, target_lang, *self.languages}, target_lang)
        seen = self.identify(translated, candidates)
        detail = f"looks like {seen.lang} ({seen.confidence:.2f}), expected {target_lang}"
        if seen.lang == target_lang or not has_letters(translated):
            return judged("language", "")
        telling = self.identify.supports(target_lang) or seen.lang == source_lang
        enough = english_letters(translated, target_lang) >= self.min_letters
        hard = enough and seen.confidence >= CONFIDENT and telling
        return judged("language", "wrong-language", detail) if hard else hint("language", "unsure", detail)
