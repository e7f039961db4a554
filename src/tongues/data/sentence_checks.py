"""Whether a translation goes on to the end of its source, and leaves no sentence out."""

import re

from tongues.core.languages import language
from tongues.core.ports import Verdict
from tongues.core.sentences import split_sentences
from tongues.data.letter_ratios import english_letters, length_ratio
from tongues.data.verdicts import TELLING_LETTERS, hint, judged

_WITHOUT_STOPS = frozenset({"Thai", "Laoo", "Khmr", "Tibt"})
"""Scripts in which a sentence may end without a stop."""
_END = re.compile(
    r"[^\w\s,;:،؛、，；：(\[{¿¡«„“‘\-–—/&+=<][\s\"'”’»›)\]}」』】）〉》*_`~|\u200b-\u200f\u202a-\u202e\u2066-\u2069]*\Z"
)
"""A stop of any script, or another sign that may end a text, with what closes behind it."""
_OPEN_END = re.compile(r"[,;،؛、，；(\[{¿¡«„\-–—&+=]\s*\Z")
"""What no sentence ends with."""
_QUESTION = re.compile("[?？؟;\u037e՞፧⸮]")
_WITHOUT_QUESTION_MARKS = _WITHOUT_STOPS | {"Jpan", "Mymr"}
_WINDOW = 64
_SHORT, _RATHER_SHORT = 0.75, 0.9
_LONG_LETTERS = 100
_MANY = 4


def check_truncation(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation that stops before its source does.

    Lines are compared one by one where both texts have as many. The source's line ends with a stop
    or a closing mark, and the translation's

    - ends with a comma or an opening mark: truncated;
    - ends without a stop: truncated if it is short (less than three quarters of the letters expected)
      or its source long (100 letters), else the hint "no-final-stop";
    - has no question mark where the source ends with one: truncated if it has less than nine tenths
      of the letters expected, else the hint "question-lost".

    Scripts that do without stops or question marks are not asked for them. Of 3,570 human
    translations into es, vi and zh, 3 lacked the final stop.
    """
    found = ""
    for before, after in _lines(source, translated):
        reason = _end_of_line(before, after, source_lang, target_lang)
        if reason == "truncated":
            detail = f"ends with {after[-30:]!r}, the source with {before[-30:]!r}"
            return judged("truncation", reason, detail)
        found = found or reason
    return hint("truncation", found) if found else judged("truncation", "")


def _lines(source: str, translated: str) -> list[tuple[str, str]]:
    before, after = (
        [line.rstrip() for line in text.splitlines() if line.strip()] for text in (source, translated)
    )
    if len(before) == len(after):
        return list(zip(before, after, strict=True))
    return [(source.rstrip(), translated.rstrip())]


def _end_of_line(before: str, after: str, source_lang: str, target_lang: str) -> str:
    """ "truncated", a hint, or "" where the line ends as it should."""
    if not _END.search(before[-_WINDOW:]):
        return ""
    script, letters = language(target_lang).script, english_letters(before, source_lang)
    telling = letters >= TELLING_LETTERS
    if not _END.search(after[-_WINDOW:]):
        if telling and _OPEN_END.search(after[-_WINDOW:]):
            return "truncated"
        if script in _WITHOUT_STOPS:
            return ""
        is_short = telling and length_ratio(before, after, source_lang, target_lang) < _SHORT
        return "truncated" if is_short or letters >= _LONG_LETTERS else "no-final-stop"
    if (
        script in _WITHOUT_QUESTION_MARKS
        or not _ends_in_question(before, source_lang)
        or _QUESTION.search(after)
    ):
        return ""
    is_short = telling and length_ratio(before, after, source_lang, target_lang) < _RATHER_SHORT
    return "truncated" if is_short else "question-lost"


def _ends_in_question(text: str, lang: str) -> bool:
    end = _END.search(text[-_WINDOW:])
    marks = "?？؟" + (";\u037e" if lang == "el" else "")
    return end is not None and end.group()[0] in marks


def check_sentences(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation with half as many sentences as the source, or fewer, that is also too short.

    Translators join sentences, so a translation of the length expected gets the hint
    "fewer-sentences" however few it has. Judged from four sentences on, and only between scripts
    that end sentences with a stop.
    """
    scripts = {language(source_lang).script, language(target_lang).script}
    if not scripts.isdisjoint(_WITHOUT_STOPS):
        return judged("sentences", "")
    before, after = len(split_sentences(source, source_lang)), len(split_sentences(translated, target_lang))
    if before < _MANY or after * 2 > before:
        return judged("sentences", "")
    detail = f"{after} sentences of {before}"
    if length_ratio(source, translated, source_lang, target_lang) < _SHORT:
        return judged("sentences", "sentences-lost", detail)
    return hint("sentences", "fewer-sentences", detail)
