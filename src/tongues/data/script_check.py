"""Whether a translation is written in the script of its language, and in no other."""

import re
import unicodedata
from functools import lru_cache

from tongues.core.languages import language
from tongues.core.ports import Verdict
from tongues.data.letter_ratios import letters_per_english
from tongues.data.verdicts import TELLING_LETTERS, hint, judged

_NAMES = {
    **{"Latn": "LATIN", "Cyrl": "CYRILLIC", "Grek": "GREEK", "Arab": "ARABIC", "Hebr": "HEBREW"},
    **{"Deva": "DEVANAGARI", "Beng": "BENGALI", "Guru": "GURMUKHI", "Gujr": "GUJARATI", "Orya": "ORIYA"},
    **{"Taml": "TAMIL", "Telu": "TELUGU", "Knda": "KANNADA", "Mlym": "MALAYALAM", "Sinh": "SINHALA"},
    **{"Thai": "THAI", "Laoo": "LAO", "Khmr": "KHMER", "Mymr": "MYANMAR", "Tibt": "TIBETAN"},
    **{"Ethi": "ETHIOPIC", "Geor": "GEORGIAN", "Armn": "ARMENIAN", "Thaa": "THAANA", "Mtei": "MEETEI"},
    **{"Hans": "CJK", "Hant": "CJK", "Jpan": "CJK HIRAGANA KATAKANA KATAKANA-HIRAGANA", "Kore": "HANGUL CJK"},
}
"""ISO 15924 to the first word of the script's letters in Unicode's character names."""
_SCRIPTS = frozenset(" ".join(_NAMES.values()).split())
_LOOKALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK"})
"""Scripts with letters that look the same; no word mixes them on purpose."""
_WORD = re.compile(r"[^\W\d_]+")
_PIECE = re.compile(r"[A-Za-z\u00c0-\u024f]+|[^\W\d_A-Za-z\u00c0-\u024f]+")
"""A word, or its Latin and other parts: Chinese stands beside Latin names without a space."""
_SHORTEST_MIX = 3
_MIXED_LETTERS = 2
_OWN_SHARE = 0.5


def check_script(source: str, translated: str, source_lang: str, target_lang: str) -> Verdict:
    """Fail a translation in another script than its language's, or with letters of a foreign one.

    Words that stand in the source too may be in any script, and Latin names and terms may stand
    anywhere. Letters of a script that belongs to neither text are a slip of the model from two letters on,
    as is a word of Latin, Cyrillic and Greek letters together.
    """
    own = frozenset(_NAMES[language(target_lang).script].split())
    if _scripts(translated) <= own:
        return judged("script", "")
    kept = {*_WORD.findall(source), *_PIECE.findall(source)}
    if mixed := next((w for w in _WORD.findall(translated) if _is_mixed(w) and w not in kept), ""):
        return judged(
            "script", "mixed-scripts", f"{mixed[:40]!r} mixes {' and '.join(sorted(_scripts(mixed)))}"
        )
    words = [word for word in _PIECE.findall(translated) if word not in kept]
    wrong = _wrong_script(words, own, letters_per_english(target_lang))
    if wrong:
        return judged("script", "wrong-script", wrong)
    return _foreign(words, own | {"LATIN"} | _scripts(source))


def _is_mixed(word: str) -> bool:
    return not word.isascii() and len(word) >= _SHORTEST_MIX and len(_scripts(word) & _LOOKALIKE) > 1


def _wrong_script(words: list[str], own: frozenset[str], letters_per_english: float) -> str:
    """What is wrong with the share of letters in the language's own script; "" if nothing.

    A Chinese letter weighs as much as the three of a Latin name that it stands beside.
    """
    letters = "".join(words)
    mine = sum(1 for letter in letters if _script(letter) in own)
    weight = mine / min(letters_per_english, 1)
    total = weight + len(letters) - mine
    if total < TELLING_LETTERS or weight >= _OWN_SHARE * total:
        return ""
    return f"{mine} of {len(letters)} letters are {' or '.join(sorted(own))}"


def _foreign(words: list[str], allowed: frozenset[str]) -> Verdict:
    alien = [letter for word in words for letter in word if _script(letter) not in allowed | {""}]
    if not alien:
        return judged("script", "")
    detail = (
        f"{len(alien)} letters of {' and '.join(sorted(map(_script, set(alien))))}: {''.join(alien[:20])}"
    )
    if len(alien) >= _MIXED_LETTERS:
        return judged("script", "mixed-scripts", detail)
    return hint("script", "foreign-letter", detail)


def _scripts(text: str) -> frozenset[str]:
    return frozenset(map(_script, set(text))) & _SCRIPTS


@lru_cache(maxsize=65_536)
def _script(letter: str) -> str:
    """First word of the letter's name if that is a script we know; "" for letters that all may use."""
    name = unicodedata.name(letter, "").split(" ", 1)[0]
    return name if name in _SCRIPTS else ""
