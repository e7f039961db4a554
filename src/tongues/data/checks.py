"""Checks after every translation; a text that fails one must not become training data.

Each check is a callable of (source, translated, source language, target language) that gives a
`Verdict`. Texts come without their protected spans. Where a check cannot tell, it says so
("unsure", "too-short-to-tell") and lets the text pass: the hint is stored with the row.

    empty         nothing visible                        empty
    echo          the source again                       echo; hint already-in-target
    untranslated  parts left in the source language      partly-untranslated; hint partly-kept
    length        too few or too many letters            too-short, too-long
    truncation    stops before its source does           truncated; hints no-final-stop, question-lost
    sentences     half of the sentences gone             sentences-lost; hint fewer-sentences
    numbers       other numbers than the source          changed-numbers
    balance       brackets, code, direction left open    unbalanced-markup
    loop          the same again and again               repetition
    script        another script, or two in one word     wrong-script, mixed-scripts; hint foreign-letter
    meta-comment  refusal, talk about translating        refusal, meta-comment
    language      another language                       wrong-language; hint unsure
"""

import unicodedata
from collections.abc import Sequence

from tongues.core.ports import Check, Verdict
from tongues.core.recipe import TranslationSection
from tongues.data.echo_check import EchoCheck
from tongues.data.language_check import LanguageCheck
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.length_check import LengthCheck
from tongues.data.loop_check import check_loop
from tongues.data.markup_check import check_balance
from tongues.data.meta_comments import find_meta_comment
from tongues.data.number_check import check_numbers
from tongues.data.script_check import check_script
from tongues.data.sentence_checks import check_sentences, check_truncation
from tongues.data.untranslated_check import UntranslatedCheck
from tongues.data.verdicts import judged


def standard_checks(
    section: TranslationSection, identify: RestrictedIdentifier, languages: Sequence[str]
) -> list[Check]:
    """The checks that every translation goes through, the plainest reasons first.

    Args:
        section: limits for length ratio and language identification.
        identify: language identification.
        languages: the recipe's languages (BCP-47); with source and target they are the candidates.
    """
    candidates = tuple(languages)
    return [
        check_empty,
        EchoCheck(identify, candidates, section.min_lid_letters),
        check_numbers,
        check_balance,
        check_loop,
        check_meta_comment,
        check_script,
        LanguageCheck(identify, candidates, section.min_lid_letters),
        UntranslatedCheck(identify),
        check_truncation,
        check_sentences,
        LengthCheck(section.min_length_ratio, section.max_length_ratio, section.length_ratios),
    ]


def written_checks() -> list[Check]:
    """The checks of a text that a model wrote from another one in the same language, besides its language."""
    return [check_empty, check_loop, check_meta_comment, check_script]


def check_empty(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation with nothing visible in it, unless the source has nothing either."""
    lost = _is_visible(source) and not _is_visible(translated)
    return judged("empty", "empty" if lost else "", "no visible character")


def check_meta_comment(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that refuses, or talks about translating, where the source does not."""
    comment = find_meta_comment(source, translated, source_lang, target_lang)
    return judged("meta-comment", comment[0] if comment else "", comment[1] if comment else "")


def _is_visible(text: str) -> bool:
    return any(unicodedata.category(c)[0] not in "CZ" for c in text)
