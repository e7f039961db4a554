"""How many letters a text has in one language for each letter in another.

Letters of Unicode category L; vowel signs, digits and punctuation do not count. Measured on
human translations: de, es, ru, sw, th, vi and zh on parallel questions and paragraphs (MGSM, 250
questions each; XQuAD, 240 paragraphs and 1,190 questions each), et, id, it, ta and tr on XCOPA's
validation set against vi (100 items each); the others on messages of programs for GNU/Linux of at
least 40 letters (GLib, GTK, coreutils and the like; n from 20 to 10,500). Short texts scatter: of
1,190 questions the ratio lay between 0.5 and 2.6 times the mean.
"""

from functools import cache

from tongues.core.languages import language

_LETTERS_PER_ENGLISH = {
    **{"af": 1.09, "ar": 0.81, "as": 0.63, "ast": 1.13, "az": 1.01, "be": 1.10, "bg": 1.15, "bn": 0.71},
    **{"bs": 1.05, "ca": 1.15, "cs": 1.05, "cy": 1.01, "da": 1.06, "de": 1.18, "el": 1.24, "en": 1.00},
    **{"eo": 1.04, "es": 1.12, "et": 1.00, "eu": 1.18, "fa": 0.92, "fi": 1.14, "fil": 1.22, "fr": 1.24},
    **{"ga": 1.15, "gd": 1.30, "gl": 1.14, "gu": 0.62, "he": 0.97, "hi": 0.60, "hr": 1.06, "hu": 1.15},
    **{"hy": 1.11, "id": 1.20, "is": 0.96, "it": 1.20, "ja": 0.55, "ka": 1.12, "kk": 1.07, "km": 0.73},
    **{"kn": 0.71, "ko": 0.54, "ky": 1.13, "lt": 1.06, "lv": 1.01, "mai": 0.63, "mg": 1.18, "mk": 1.06},
    **{"ml": 0.72, "mn": 0.96, "mr": 0.63, "ms": 1.08, "my": 0.58, "ne": 0.64, "nl": 1.17, "no": 1.04},
    **{"nso": 1.34, "oc": 1.22, "or": 0.68, "pa": 0.55, "pl": 1.14, "ps": 0.88, "pt": 1.12, "ro": 1.19},
    **{"ru": 1.06, "si": 0.68, "sk": 1.07, "sl": 1.02, "sq": 1.12, "sr": 1.06, "sv": 1.06, "sw": 1.15},
    **{"ta": 0.80, "te": 0.62, "th": 0.83, "tr": 1.00, "ug": 1.08, "uk": 1.16, "vi": 0.95, "xh": 1.31},
    **{"yi": 1.00, "zh-Hans": 0.34, "zh-Hant": 0.34},
}
_BY_SCRIPT = {
    **{"Arab": 0.9, "Beng": 0.65, "Deva": 0.62, "Ethi": 0.6, "Hans": 0.34, "Hant": 0.34, "Jpan": 0.55},
    **{"Kore": 0.54, "Laoo": 0.83, "Mtei": 0.65, "Tibt": 0.8, "Thaa": 0.8},
}
"""For languages nobody measured: the mean of their script, or a guess (Ethi, Laoo, Mtei, Tibt, Thaa)."""


@cache
def letters_per_english(lang: str) -> float:
    """Letters of a language (BCP-47) for each letter of English."""
    known = _LETTERS_PER_ENGLISH.get(lang)
    return known if known is not None else _BY_SCRIPT.get(language(lang).script, 1.1)


def count_letters(text: str) -> int:
    """Letters of any script (Unicode category L); marks, digits and signs do not count."""
    return sum(map(str.isalpha, text))


def english_letters(text: str, lang: str) -> float:
    """Letters that a text would have in English."""
    return count_letters(text) / letters_per_english(lang)


def length_ratio(source: str, translated: str, source_lang: str, target_lang: str) -> float:
    """How long a translation is for what its source is: 1 is as long as expected; 0 without letters."""
    expected = english_letters(source, source_lang)
    return english_letters(translated, target_lang) / expected if expected else 0.0
