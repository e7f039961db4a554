"""What a chat model is told when it is to write a dialogue, in the language of the dialogue.

One file per language in ``ultralink_prompts`` (TOML); all of them are worded here, the paper's are not used
(arXiv 2402.04588). Adding a language is adding a file:

    question.first, .depth, .width   the task: a first question, a deeper one, one in another field
    question.rules, .advice          what each of them must be, and which kinds serve well
    answer.task, .rules              the task and the rules of an answer with the document at hand
    answer.alone                     the same without a document
    heads                            what stands before conversation, questions and answers; "grounded" opens
                                     a first question that brings its document along
    checks.refers_to_text            regular expressions for words that point at a text the reader lacks
    checks.asks_about_text           the same in questions, where to name a document at all is to point at it
    checks.pronouns                  words at the start of a question that may point at nothing

In the English file {language} stands for the language to write in; it serves those that have no file.

The rules stand in the system message, for all passages alike, so that an endpoint with prefix caching
computes them once. The document stands between tags, and the model is told that it is no request.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal

from tongues.core.digests import digest_value
from tongues.core.languages import language
from tongues.inference.chat import ChatMessage

Move = Literal["first", "depth", "width"]
"""What a question does: it opens the dialogue, digs into what was said, or turns to another field."""
Pairs = Sequence[tuple[str, str]]
"""Questions with their answers, in order."""

_FOLDER = "ultralink_prompts"
_FALLBACK = "en"
_MARKED = re.compile(r"</?document>", re.IGNORECASE)


@dataclass(frozen=True)
class Wording:
    """The prompts of one language.

    Args:
        lang: BCP-47 code that is written in.
        texts: the file of the language, or that of English.
        demand: what English prompts say besides, where the language is another; else empty.
    """

    lang: str
    texts: dict[str, dict[str, Any]]
    demand: str = ""

    @cached_property
    def digest(self) -> str:
        """Digest of all that is told beside document and dialogue."""
        return digest_value([self.texts, self.demand])

    def question(self, move: Move, document: str, pairs: Pairs) -> tuple[ChatMessage, ...]:
        """The messages that ask for a question."""
        texts = self.texts["question"]
        parts = [texts["advice"], tagged(document), self._dialogue(pairs), texts["request"]]
        return self._messages([texts[move], texts["rules"]], parts)

    def answer(self, document: str, pairs: Pairs, question: str) -> tuple[ChatMessage, ...]:
        """The messages that ask for the answer to a question, with the document at hand."""
        texts = self.texts["answer"]
        dialogue = self._dialogue([*pairs, (question, "")])
        return self._messages([texts["task"], texts["rules"]], [tagged(document), dialogue, texts["request"]])

    def answer_alone(self, pairs: Pairs, question: str) -> tuple[ChatMessage, ...]:
        """The messages that ask for the answer without a document: the dialogue itself."""
        system = ChatMessage(role="system", content=self._told([self.texts["answer"]["alone"]]))
        turns = [
            message
            for asked, said in pairs
            for message in (
                ChatMessage(role="user", content=asked),
                ChatMessage(role="assistant", content=said),
            )
        ]
        return (system, *turns, ChatMessage(role="user", content=question))

    def grounded(self, document: str, question: str) -> str:
        """A first question that brings its document along."""
        opening = [] if self.demand else [self.texts["heads"]["grounded"]]
        return "\n\n".join([*opening, tagged(document), question])

    def refers_to_text(self, said: str, document: str, *, asking: bool = False) -> str:
        """Words that point at a text the reader lacks and do not stand in the document; else empty.

        Args:
            said: a question or an answer.
            document: what it was written from.
            asking: whether it is a question.
        """
        there = document.casefold()
        for pattern in (*self._pointing, *(self._asking if asking else ())):
            for found in pattern.finditer(said):
                if found[0].casefold() not in there:
                    return str(found[0])
        return ""

    def speaks_for_others(self, said: str) -> str:
        """The head of a question or an answer inside a text, which then holds more than its turn."""
        found = self._headed.search(said)
        return found[0].strip() if found else ""

    def without_head(self, said: str) -> str:
        """The text without a head before it, and without quotation marks around all of it."""
        bare = self._headed.sub("", said.strip(), count=1) if self._headed.match(said.strip()) else said
        bare = bare.strip()
        around = bare[:1] + bare[-1:]
        if around in _QUOTES and not set(bare[1:-1]) & set(around):
            bare = bare[1:-1].strip()
        return bare

    def opens_with_pronoun(self, question: str) -> bool:
        """Whether the first word may point at nothing; a hint only."""
        start = question.lstrip("¿¡«\"'“‘ ").casefold()
        return bool(self._pronoun.match(start))

    def _dialogue(self, pairs: Pairs) -> str:
        heads = self.texts["heads"]
        turns = [
            f"{heads[name]}: {said}"
            for pair in pairs
            for name, said in zip(("question", "answer"), pair, strict=True)
            if said
        ]
        return "\n".join([heads["dialogue"], *turns]) if turns else ""

    def _messages(self, told: Sequence[str], parts: Sequence[str]) -> tuple[ChatMessage, ...]:
        user = "\n\n".join(part.strip() for part in parts if part)
        return (
            ChatMessage(role="system", content=self._told(told)),
            ChatMessage(role="user", content=user),
        )

    def _told(self, told: Sequence[str]) -> str:
        return "\n".join([*(part.strip() for part in told), *([self.demand] if self.demand else [])])

    @cached_property
    def _pointing(self) -> list[re.Pattern[str]]:
        return [re.compile(p, re.IGNORECASE) for p in self.texts["checks"]["refers_to_text"]]

    @cached_property
    def _asking(self) -> list[re.Pattern[str]]:
        return [re.compile(p, re.IGNORECASE) for p in self.texts["checks"]["asks_about_text"]]

    @cached_property
    def _headed(self) -> re.Pattern[str]:
        heads = {*(self.texts["heads"][name] for name in ("question", "answer")), "User", "Assistant"}
        names = "|".join(map(re.escape, sorted(heads)))
        return re.compile(
            rf"^[ \t]*[*#]*[ \t]*(?:{names})[ \t]*\d*[*]*[ \t]?[:：][ \t]*[*]*[ \t]*", re.I | re.M
        )

    @cached_property
    def _pronoun(self) -> re.Pattern[str]:
        words = "|".join(map(re.escape, sorted(self.texts["checks"]["pronouns"], key=len, reverse=True)))
        end = r"(?!\w)" if language(self.lang).has_spaces or self.demand else ""
        return re.compile(f"(?:{words}){end}")


_QUOTES = frozenset(['""', "“”", "«»", "„“", "「」", "''", "‘’"])


def tagged(document: str) -> str:
    """The document between its tags; tags inside it are taken out, so that it ends where it ends."""
    return f"<document>\n{_MARKED.sub('', document)}\n</document>"


@cache
def languages_with_prompts() -> tuple[str, ...]:
    """BCP-47 codes of the languages that have prompts of their own."""
    names = (file.name for file in resources.files("tongues.methods").joinpath(_FOLDER).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def wording(lang: str) -> Wording:
    """The prompts for a language: its own, or English ones that demand it."""
    if lang in languages_with_prompts():
        return Wording(lang, _read(lang, lang))
    return Wording(lang, _read(_FALLBACK, lang), f"Write {language(lang).name} only, nothing in English.")


def _read(file: str, lang: str) -> dict[str, dict[str, Any]]:
    path = resources.files("tongues.methods").joinpath(_FOLDER, f"{file}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8").replace("{language}", language(lang).name))
