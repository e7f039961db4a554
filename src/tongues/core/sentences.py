"""Cutting a text into sentences, by the full stops of its script; joined again they are the text.

For translation and for counting, an end too few does less harm than one too many: where a full stop
may belong to an abbreviation, an initial or an ordinal number, the sentence goes on. Everything
is one pass over the text, whatever is in it.
"""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from tongues.core.languages import language

_ALWAYS = (
    "。｡！？‼⁇⁈⁉︒︕︖"  # East Asian
    "।॥۔؟܀܁܂"  # Indic, Arabic, Syriac
    "።፧፨။។៕།༎༏༐"  # Ethiopic, Burmese, Khmer, Tibetan
    "։᙮᠃᠉᥄᥅꓿꘎꘏꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫᱾᱿߹"  # Armenian, Canadian, Mongolian, Limbu and further ones
)
"""Marks that end a sentence wherever they stand."""
_MAYBE = ".!?…‥"
"""Marks that end one before white space, or before a letter of a script without spaces."""
_CLOSING = "\"'”’»›)]}」』】）］〉》〕*_`\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0f\u0300-\u036f"
_OPENING = "\"'“‘„‚«‹([{「『【（［〈《〔*_`¿¡-–—•\u200b-\u200f\u202a-\u202e\u2060-\u2069"
_LINE_END = "\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"

_ALWAYS_SET = frozenset(_ALWAYS)
_WORD = re.compile(r"[^\W_]")
_DOTTED = re.compile(r"\w\.(?:\w\.)*\w")
_UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\uff66-\uff9f]")
_LOOK_BACK = 24
_LONG = 200
"""Letters from which on a stretch of Thai, Lao, Khmer or Burmese without a stop is cut at spaces."""
_RARE_STOPS = frozenset({"Thai", "Laoo", "Khmr", "Mymr"})

_TITLES = "dr dra prof mr mrs ms sr sra jr st vs cf fig vol art nr núm num pag pág approx dept inc ltd"
_ABBREVIATIONS = {
    "en": "no etc gen rev hon capt lt col sgt e.g i.e u.s mt",
    "es": "srta ud uds dña lic ing avda tel ej p.ej",
    "ca": "srta pàg av tel ex",
    "gl": "srta páx av tel ex",
    "pt": "srta av tel ex eng",
    "fr": "mm mme mlle av tél ex env",
    "it": "sig dott avv ing es ecc tel",
    "de": "z d u bzw usw ca ggf evtl vgl abb hr str tel inkl zzgl sog u.a z.b d.h",
    "nl": "dhr mevr bijv blz ca",
    "pl": "mgr inż ul np tzn str tys godz św",
    "cs": "ing tj např č str mgr",
    "sk": "ing tj napr č str mgr",
    "sv": "bl.a t.ex ca",
    "ro": "dl dna str",
    "tr": "sn vb bkz örn",
    "id": "tn ny hlm no jl dll",
    "vi": "ts gs ths pgs tp",
    "eo": "s-ro s-ino d-ro ktp ekz",
    "ru": "г ул т д стр др пр им тыс млн руб см напр рис гл",
    "uk": "м вул р стор тис млн грн див напр рис ін ім",
    "bg": "г ул стр др напр",
    "el": "κ κα δρ βλ σελ π.χ δηλ",
}
_ORDINAL_STOP = frozenset(
    [
        "bs",
        "cs",
        "da",
        "de",
        "et",
        "eu",
        "fi",
        "hr",
        "hu",
        "is",
        "lb",
        "lv",
        "no",
        "pl",
        "sk",
        "sl",
        "sr",
        "tr",
    ]
)
"""Languages that write ordinal numbers with a full stop ("am 3. Mai")."""
_INITIAL_SCRIPTS = frozenset({"Latn", "Cyrl", "Grek", "Armn", "Arab", "Hebr"})


def split_sentences(text: str, lang: str) -> list[str]:
    """Cut a text into sentences.

    Args:
        text: any text, of any length.
        lang: BCP-47 code.

    Returns:
        Sentences in order, each with the white space behind it; joined they are the text,
        character for character. Each holds a letter or a digit, unless the text has none.
    """
    ends = [0, *_ends(text, lang)]
    sentences = [text[start:end] for start, end in pairwise(ends)]
    if text[ends[-1] :]:
        if sentences and not _WORD.search(text, ends[-1]):
            sentences[-1] += text[ends[-1] :]
        else:
            sentences.append(text[ends[-1] :])
    if language(lang).script in _RARE_STOPS:
        return [piece for sentence in sentences for piece in cut_at_spaces(sentence, _LONG)]
    return sentences


def cut_at_spaces(text: str, longest: int) -> list[str]:
    """Cut a text behind spaces into pieces of at most so many characters, where spaces allow it."""
    pieces, start, space = [], 0, 0
    for found in re.finditer(r"\s+", text):
        if found.end() - start > longest and space > start:
            pieces.append(text[start:space])
            start = space
        space = found.end()
    if len(text) - start > longest and start < space < len(text):
        pieces.append(text[start:space])
        start = space
    return [*pieces, text[start:]] if text else []


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a language needs, worked out once."""

    stops: re.Pattern[str]
    abbreviations: frozenset[str]
    has_initials: bool
    has_ordinal_stops: bool


@cache
def _rules(lang: str) -> _Rules:
    question = ";\u037e" if lang == "el" else ""
    stops, closing = re.escape(_MAYBE + question) + _ALWAYS, _CLOSING.replace("]", r"\]")
    # A run of stops or spaces is always taken whole: no text makes the expression try again.
    runs = rf"(?P<stop>[{stops}][{stops}{closing}]*+)(?P<space>\s*+)|(?P<line>[{_LINE_END}])\s*+"
    return _Rules(
        re.compile(runs),
        frozenset(f"{_TITLES} {_ABBREVIATIONS.get(lang, '')}".split()),
        language(lang).script in _INITIAL_SCRIPTS,
        lang in _ORDINAL_STOP,
    )


def _ends(text: str, lang: str) -> list[int]:
    """Where sentences end: behind stops, closing marks and white space."""
    rules, ends, begin, seen, has_word = _rules(lang), list[int](), 0, 0, False
    for stop in rules.stops.finditer(text):
        # Only what is new is searched, else a text of nothing but stops would take time squared.
        has_word = has_word or _WORD.search(text, seen, stop.start()) is not None
        seen = stop.end()
        if has_word and _is_end(text, stop, begin, rules):
            ends.append(seen)
            begin, has_word = seen, False
    return ends


def _is_end(text: str, stop: re.Match[str], begin: int, rules: _Rules) -> bool:
    marks, space, line = stop.groups()
    if line or not _ALWAYS_SET.isdisjoint(marks):
        return True
    following = _following(text, stop.end())
    if not space:
        before = text[stop.start() - 1 : stop.start()]
        return bool(_UNSPACED.match(following)) and not before.isdigit()
    if "\n" in space or "\r" in space:
        return True
    # A small letter goes on: "etc. and so on", "'Really?' he asked".
    return not following.islower() and not (marks == "." and _is_abbreviated(text, stop, begin, rules))


def _following(text: str, at: int) -> str:
    """The first character behind opening marks; "" at the end."""
    return text[at : at + 4].lstrip(_OPENING)[:1]


def _is_abbreviated(text: str, stop: re.Match[str], begin: int, rules: _Rules) -> bool:
    """Whether the full stop belongs to the word before it."""
    head = text[max(begin, stop.start() - _LOOK_BACK) : stop.start()].rsplit(None, 1)
    word = head[-1].lstrip(_OPENING) if head else ""
    if word.isdigit():
        is_first = not text[begin : stop.start() - len(word)].strip()
        return is_first or (len(word) <= 2 and rules.has_ordinal_stops)
    if len(word) == 1 and rules.has_initials and not word.islower():
        return True
    return word.casefold() in rules.abbreviations or _DOTTED.fullmatch(word) is not None
