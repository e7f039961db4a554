"""Short answers against known ones: exact match, F1 and numbers, normalised per language.

Normalisation follows SQuAD (arXiv 1606.05250), which is made for English, as MLQA (arXiv 1910.07475)
carries it to others: case, punctuation and articles do not count, and scripts that are written without
spaces are compared by character. A combining mark stays with the letter it belongs to.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

_ARTICLES = {
    "ar": "ال",
    "ca": "el la els les un una uns unes en na",
    "de": "der die das den dem des ein eine einen einem einer eines",
    "el": "ο η το οι τα του της των τον την ένας μια μία ένα",
    "en": "a an the",
    "eo": "la",
    "es": "el la los las lo un una unos unas",
    "eu": "bat batzuk",
    "fr": "le la les un une des du",
    "gl": "o a os as un unha uns unhas",
    "hu": "a az egy",
    "it": "il lo la i gli le un uno una",
    "nl": "de het een",
    "pt": "o a os as um uma uns umas",
    "ro": "un o unei unui niște",
    "vi": "của là cái chiếc những",
}
"""Words that do not count, by the primary subtag; languages not named have no articles of their own."""
_ELISION = re.compile(r"\b(?:l|d|un|dell|all|nell|sull|qu)['’]", re.IGNORECASE)
_ELIDING = {"ca", "fr", "it", "oc"}
_ARABIC_ARTICLE = re.compile(r"\bال(?=\w)")
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "]"
)
_COMMA_DECIMALS = "ca cs da de el es et eu fi fr gl hr hu id it nl no pl pt ro ru sv tr uk vi"
_NUMBER = re.compile(r"[-−]?\d(?:[\d.,٫٬'’\u00a0\u202f]*\d)?")
_SPACED_THOUSANDS = re.compile(r"(?<=\d) (?=\d{3}(?!\d))")
_LONGEST_NUMBER = 40


def normalised_tokens(text: str, lang: str) -> list[str]:
    """What two answers are compared by: words, or characters where words are not set apart.

    Args:
        text: an answer.
        lang: BCP-47 code; decides which articles go.
    """
    primary = lang.split("-", maxsplit=1)[0]
    plain = unicodedata.normalize("NFKC", text).casefold()
    if primary in _ELIDING:
        plain = _ELISION.sub(" ", plain)
    plain = "".join(char for char in plain if unicodedata.category(char)[0] not in "PSC" or char.isspace())
    if primary == "ar":
        plain = _ARABIC_ARTICLE.sub("", plain)
    articles = _ARTICLES.get(primary, "").split()
    tokens = [token for word in plain.split() for token in _split_unspaced(word)]
    return [token for token in tokens if token not in articles]


def _split_unspaced(word: str) -> list[str]:
    """A word as it is, but each letter of an unspaced script alone, with the marks that follow it."""
    parts = list[str]()
    alone = True
    for char in word:
        is_mark = unicodedata.category(char)[0] == "M"
        unspaced = bool(_UNSPACED.match(char))
        if parts and (is_mark or not (alone or unspaced)):
            parts[-1] += char
        else:
            parts.append(char)
        alone = alone if is_mark else unspaced
    return parts


def exact_match(answer: str, accepted: Sequence[str], lang: str) -> bool:
    """Whether an answer equals one of the accepted ones after normalisation.

    Args:
        answer: the model's.
        accepted: at least one.
        lang: BCP-47 code.

    Source: SQuAD, arXiv 1606.05250.
    """
    tokens = normalised_tokens(answer, lang)
    return any(tokens == normalised_tokens(gold, lang) for gold in accepted)


def f1(answer: str, accepted: Sequence[str], lang: str) -> float:
    """Best token F1 over the accepted answers: ``2pr / (p + r)``, 0..1.

    p is the share of the answer's tokens that are in the accepted one, r the share of the accepted one's
    that are in the answer, tokens counted with their number. Where either is empty, F1 is 1 if both are.

    Args:
        answer: the model's.
        accepted: at least one.
        lang: BCP-47 code.

    Source: SQuAD, arXiv 1606.05250.
    """
    tokens = normalised_tokens(answer, lang)
    return max(_f1(tokens, normalised_tokens(gold, lang)) for gold in accepted)


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    if not answer or not gold:
        return float(list(answer) == list(gold))
    common = (Counter(answer) & Counter(gold)).total()
    return 2 * common / (len(answer) + len(gold))


def last_number(text: str, lang: str) -> Decimal | None:
    """The last number in a text, or None; digits of any script, with or without marks between thousands.

    A mark that occurs more than once, or another one before the last, stands between thousands. A single
    mark with three digits behind it does, too, unless it is the language's decimal mark: "1,234" is 1.234
    in German and 1234 in English.

    Args:
        text: an answer.
        lang: BCP-47 code; decides on the decimal mark where a number leaves that open.
    """
    if lang.split("-", maxsplit=1)[0] in _COMMA_DECIMALS.split():
        text = _SPACED_THOUSANDS.sub("", text)
    found = [number for number in _NUMBER.findall(text) if len(number) <= _LONGEST_NUMBER]
    return _number(found[-1], lang) if found else None


def _number(written: str, lang: str) -> Decimal | None:
    ascii_digits = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in written)
    plain = ascii_digits.replace("−", "-").replace("٫", ".").replace("٬", "")
    plain = re.sub("['’\u00a0\u202f]", "", plain)
    for mark in _between_thousands(plain, lang):
        plain = plain.replace(mark, "")
    try:
        return Decimal(plain.replace(",", "."))
    except InvalidOperation:
        return None


def _between_thousands(number: str, lang: str) -> list[str]:
    """The marks of a number that are no decimal mark."""
    marks = [char for char in number if char in ".,"]
    if len(set(marks)) == 2:
        return [mark for mark in ".," if mark != marks[-1] or marks.count(mark) > 1]
    if len(marks) != 1:
        return marks[:1]
    decimal = "," if lang.split("-", maxsplit=1)[0] in _COMMA_DECIMALS.split() else "."
    three_behind = len(number.rsplit(marks[0], 1)[1]) == 3
    return marks if three_behind and marks[0] != decimal else []
