"""The rules of selective translation that come with tongues, for instructions written in English.

The first that matches decides, so their order counts. They would rather miss a row than take one that
they do not mean: each asks for the wording of a task ("translate ... into French"), never for a bare
word ("translate the graph by 3", "the tense negotiation"). What each does, with examples, stands in
docs/selective-translation.md.
"""

import re
from functools import cache

from tongues.core.languages import languages
from tongues.core.recipe import SelectionRule

_OTHER_TONGUES = (
    "Mandarin|Cantonese|Farsi|Tagalog|Old Norse|Ancient Greek|Klingon|Elvish|Morse code|Pig Latin"
    "|(?:an?|any|some|the|another|a different|several|multiple)(?: \\w+)? (?:languages?|dialects?)"
)
_GAP = r"[^.?!\n]{0,80}"
_START = r"(?:^|[.!?:;,\n]\s*|\b(?:please|you|and|then|must|should|asked to|tasked to|need to|want to)\s+)"
_WRITE = (
    rf"{_START}(?:write|compose|create|generate|make|give|tell|craft|come up with|invent|think of|provide"
    r"|recite|deliver|share|pen)\s+(?:(?!(?:about|on|of|who|that|in|for|with)\b)[\w'’-]+,?\s+){0,6}?"
)
_FIND = (
    r"\b(?:find|give|come up with|list|suggest|provide|generate|name|write|what|which|choose|identify|use)\b"
)
_REPAIR = r"\b(?:correct|fix|check|find|identify|spot|edit|improve|revise|detect|rewrite)\b"
_TEXT = (
    r"(?:texts?|sentences?|reviews?|tweets?|e-?mails?|comments?|messages?|articles?|paragraphs?|posts?|headlines?"
    r"|statements?|passages?|utterances?|documents?|threads?|dialogues?|conversations?|quotes?|phrases?|words?)"
)
_MOOD = (
    r"(?:sentiment|tone|emotion|mood|toxic\w*|spam|hate speech|offensive|sarcas\w+|ironic|passive-aggressive"
    r"|intent|topic|genre|promotion\w*|formality|formal or informal)"
)
_PART = (
    r"(?:verbs?|nouns?|adjectives?|adverbs?|pronouns?|prepositions?|conjunctions?|subject|predicate|object)"
)

_SHORT = r"\A\s*\S+(?:\s+\S+){0,9}\s*\Z"
"""An answer of ten words at most: a label, not a discussion."""
_EXPLAINED = (
    r"\b(?:is|are|was|were|means?|words?|forms?|plural|singular|past|synonyms?|antonyms?|letters?|terms?"
    r"|(?:pro)?nouns?|(?:ad)?verbs?|adjectives?|prepositions?|conjunctions?|articles?|subject|object|phrases?"
    r"|sentences?|spelling|spell(?:ed|t)|acronym)\s[\"'“‘«][^\"'“”’»\n]{1,120}[\"'”’»]"
)
"""An answer that talks about its operands, in quotation marks: the talk is translated, they are not."""
_EXPLAINED_TRANSLATION = r"\A\s*(?:the|you|it|this|to say|yes,)\b[^\n]{0,120}?" + _EXPLAINED


@cache
def shipped_rules() -> tuple[SelectionRule, ...]:
    """The rules in the order in which they are tried."""
    return (
        *_programs(),
        *_bound(),
        *_translation(),
        *_operand_task("spelling", _SPELLING),
        *_operand_task("grammar", _GRAMMAR),
        *_operand_task("word-forms", _WORD_FORMS),
        *_operand_task("synonyms", rf"{_FIND}{_GAP}\b(?:synonyms?|antonyms?|homophones?|homonyms?)\b"),
        *_operand_task("rhyme", _RHYME),
        *_operand_task("letters", _LETTERS),
        *_operand_task(
            "acronyms", rf"(?:{_FIND}|\b(?:expand|create|make)\b){_GAP}\b(?:acronym|initialism)s?\b"
        ),
        *_operand_task("parts-of-speech", _PARTS_OF_SPEECH),
        *_operand_task("wording", _WORDING, explained=None),
        *_about_text(),
    )


_SPELLING = (
    rf"{_REPAIR}{_GAP}\b(?:spelling|misspell\w*|misspelt|typos?|typographical)\b|\bproofread\b"
    r"|\bwhich words?\b[^.?!\n]{0,40}\bmisspel(?:led|t)\b"
    r"|\bhow (?:do|would) (?:you|i|we) spell\b|\bspell the (?:following )?words?\b"
)
_GRAMMAR = (
    rf"{_REPAIR}{_GAP}\b(?:gramma(?:r|tical)\w*|punctuation)\b"
    r"|\bgrammatical (?:structure|error|mistake)s?\b"
    r"|\b(?:is|if|whether) (?:the |this )?(?:following |given )?sentences? (?:is |are )?grammatical"
    rf"|\b(?:add|insert|put in)\b{_GAP}\b(?:punctuation|commas|apostrophes|articles)\b"
    r"|\b(?:correct|right|appropriate|suitable|missing) "
    r"(?:preposition|article|pronoun|verb form|conjunction)\b"
)
_WORD_FORMS = (
    rf"\b(?:convert|change|rewrite|put|transform|turn|write|give){_GAP}"
    r"\b(?:(?:past|present|future|perfect|continuous|simple)(?: perfect| continuous| simple)? "
    r"(?:tense|participle)|(?:active|passive) voice)\b"
    r"|\bverb tenses?\b|\bconjugat(?:e|ions? of)\b|\bplurals? (?:form )?of\b|\bplural noun\b"
    r"|\b(?:past|plural|comparative|superlative|gerund|infinitive) forms? of\b"
    r"|\b(?:from )?(?:singular|plural) (?:in)?to (?:singular|plural)\b"
)
_RHYME = (
    r"\bwords? (?:that |which )?rhym(?:es?|ing)\b|\brhym(?:es?|ing) (?:with|of|for)\b"
    r"|\brhyming (?:words?|pairs?)\b|\bfind the rhymes?\b"
)
_UNIT = r"(?:letters?|vowels?|consonants?|syllables?|words?|characters?)"
_OF_TEXT = (
    r"(?:the|this|that|these|each|following|given)\s+(?:[\w-]+\s+){0,2}"
    r"(?:word|sentence|phrase|text|string|paragraph|passage)s?\b"
)
_LETTERS = (
    rf"\b(?:how many|count|number of) (?:the |of )?(?:\w+ )?{_UNIT}"
    rf"(?: are there| there are| are| is)? (?:in|of) {_OF_TEXT}"
    rf"|\bhow many {_UNIT} (?:does|do) {_OF_TEXT}|\bnumber of {_UNIT} in {_OF_TEXT}"
    rf"|\b(?:spell|write|reverse)\b{_GAP}\b(?:words?|letters|phrase)\b{_GAP}\b(?:backwards?|in reverse)\b"
    r"|\breverse the (?:order of (?:the )?)?(?:letters|words?)\b|\banagrams? (?:of|for|from)\b|\bunscramble\b"
    r"|\brearrange the letters\b|\b(?:is|whether)\b[^.?!\n]{0,60}\bpalindrome\b"
    r"|\bwhich (?:word|letter) is (?:the )?(?:longer|longest|shorter|shortest)\b"
    r"|\bword\b[^.?!\n]{0,40}\bidentical in both directions\b"
)
_PARTS_OF_SPEECH = (
    r"\bparts?[- ]of[- ]speech\b|\bpos[- ]?tag(?:s|ging)?\b|\bdependency pars\w+|\b(?:parse|syntax) tree\b"
    rf"|\b(?:which|what|identify|find|underline|list|extract|circle)\b[^.?!\n]{{0,30}}\b{_PART}\b"
    rf"[^.?!\n]{{0,20}}\b(?:in|of|from)\b[^.?!\n]{{0,20}}\b(?:sentence|text|paragraph|phrase|passage|clause)\b"
)
_WORDING = (
    rf"\b(?:rewrite|rephrase|reword|paraphrase|rearrange|simplify|shorten)\b{_GAP}\bEnglish\b"
    r"|\b(?:suggest|find|give|choose)\b[^.?!\n]{0,20}\bbetter (?:word|phrase)"
    r"|\b(?:gender-(?:biased|neutral|inclusive)|non-inclusive)\b[^.?!\n]{0,40}"
    r"\b(?:phras\w+|language|wording|words?|terms?|pronouns?)\b"
)


def _programs() -> tuple[SelectionRule, ...]:
    """Tasks about programs and formulas, first: they may speak of words, letters and strings too."""
    code = r"(?:programs?|functions?|scripts? in|(?<!morse )code|quer(?:y|ies)|algorithms?|SQL)"
    formal = (
        r"(?:SQL|(?<!morse )code|equations?|expressions?|formulas?|regex(?:es)?|regular expressions?"
        r"|Python|Java|JavaScript|C\+\+|JSON|XML|HTML|YAML)"
    )
    pattern = (
        rf"(?:{_START}|\bto )(?:write|create|generate|implement|complete|develop|debug|fix|add comments in)"
        rf"{_GAP}(?:\b{code}(?!\w)|\b{formal}(?!\w))|\bsyntax error\b"
        rf"|\b(?:translate|convert|parse|rewrite|turn)\b{_GAP}\b(?:in)?to\b[^.?!\n]{{0,30}}\b{formal}(?!\w)"
        rf"|\b(?:simplify|solv(?:e|ing)|factor|rewrite)\b[^.?!\n]{{0,40}}"
        r"\b(?:equations?|expressions?|formulas?)\b"
    )
    return (SelectionRule(name="programs", pattern=pattern),)


def _bound() -> tuple[SelectionRule, ...]:
    """What lives from the sound or the letters of one language: there is nothing to translate it into."""
    verse = r"(?:poem|verse|song|couplet|rap|lyrics|ballad|stanza|quatrain|story|riddle)s?"
    forms = (
        r"(?:limericks?|haikus?|tanka|acrostics?|tongue[- ]twisters?|puns?|knock[- ]knock jokes?|palindromes?"
        r"|crosswords?(?: puzzles?)?|spoonerisms?|alliterations?|lipograms?|sonnets?|nursery rhymes?)"
    )
    patterns = {
        "wordplay": rf"{_WRITE}{forms}\b|\b(?:contain(?:s|ing)?|includ(?:es|ing)|using|with)\b"
        r"[^.?!\n]{0,20}\bpuns?\b|\bcrossword clues?\b",
        "rhyming-verse": rf"{_WRITE}rhyming {verse}|\b{verse}\b[^.?!\n]{{0,60}}\brhym(?:es?|ing)\b"
        rf"|\b(?:in rhymes?|rhyming couplets?)\b",
        "idioms": r"\b(?:explain|meaning of|define)\b[^.?!\n]{0,30}\b(?:idioms?|phrasal verbs?)\b"
        r"|\bcollocations?\b",
        "letter-order": r"\b(?:that|which|words?|names?|sentences?|each|all|must|should)\b[^.?!\n]{0,40}"
        r"\b(?:start|begin|end)(?:s|ing|ning)? with (?:the )?(?:same )?"
        r"(?:letter|word|sound|syllable)s?\b|\balphabetical(?:ly| order)\b",
    }
    return tuple(SelectionRule(name=name, pattern=pattern, skip=True) for name, pattern in patterns.items())


def _translation() -> tuple[SelectionRule, ...]:
    tongue = _tongues()
    tail = (
        r"(?=\s*(?:[.,:;!?\"'”’)(]|$|\n|\b(?:and|or|using|with|so|for|without|from|languages?|dialects?)\b))"
    )
    pattern = (
        rf"{_START}(?:re-?)?translate\b[^\n]{{0,160}}?\b(?:in)?to (?:[\w-]+ ){{0,2}}?{tongue}\b{tail}"
        rf"|\bhow (?:do|would|can) (?:you|we|i|one) (?:say|write)\b[^\n]{{0,120}}?\bin {tongue}\b{tail}"
        rf"|\bwhat(?:'s|’s| is) the {tongue} (?:word|translation|term|equivalent|phrase)s? (?:for|of)\b"
        rf"|\btranslations? of\b[^\n]{{0,120}}?\b(?:in)?to {tongue}\b{tail}"
    )
    return _operand_task("translation", pattern, explained=_EXPLAINED_TRANSLATION)


def _operand_task(name: str, pattern: str, explained: str | None = _EXPLAINED) -> tuple[SelectionRule, ...]:
    """A task whose operand is English: the wording is translated, the operand and a bare answer are not."""
    bare = SelectionRule(name=name, pattern=pattern, input="keep", output="keep", keep_quoted=True)
    if explained is None:
        return (bare,)
    talks = {"name": f"{name}-explained", "answer_pattern": explained, "output": "translate"}
    return bare.model_copy(update=talks), bare


def _about_text() -> tuple[SelectionRule, ...]:
    """Tasks about a given text: it stays, the answer is translated unless it is a label out of a list."""
    return (
        SelectionRule(
            name="language-identification",
            pattern=r"\b(?:what|which) language (?:is|are|was|were) "
            r"(?:this|these|the (?:following|given)|that)\b"
            r"|\b(?:identify|detect|determine|recogni[sz]e|guess) the (?:source )?language "
            r"(?:of (?:the|this|these)\b|in which\b|used in\b)",
            input="keep",
            keep_quoted=True,
        ),
        SelectionRule(
            name="text-classification",
            pattern=rf"\b(?:classify|categori[sz]e|label)\b{_GAP}\b{_TEXT}\b"
            rf"|\b(?:determine|detect|identify|predict|tell|decide|choose|judge|analy[sz]e|assess)\b"
            rf"[^.?!\n]{{0,100}}\b{_MOOD}\b",
            answer_pattern=_SHORT,
            input="keep",
            keep_quoted=True,
            keep_labels=True,
        ),
        SelectionRule(name="classification", categories=("classification",), keep_labels=True),
        SelectionRule(
            name="english-text",
            pattern=r"\b(?:this|the|following|these|given|an?) English "
            rf"(?:{_TEXT}|verbs?|nouns?|adjectives?|questions?)\b",
            input="keep",
            keep_quoted=True,
        ),
    )


def _tongues() -> str:
    """English names of languages as an alternation, longest first."""
    names = sorted({row.name.split(" (")[0] for row in languages().values()})
    return f"(?:{'|'.join(sorted(map(re.escape, names), key=len, reverse=True))}|{_OTHER_TONGUES})"
