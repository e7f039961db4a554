"""Knowledge-grounded dialogues: question, answer, and follow-ups in depth or in width (arXiv 2402.04588).

    first question about the passage            its answer
    deeper, or in another field (even chances)  its answer
    again; after each follow-up the dialogue ends with probability 0.1, 0.2, 0.4, 0.8, and then always

So there are at most 6 pairs, and 4.14 on average where nothing else ends a dialogue. It also ends where
prompt and answer reach a number of tokens, at an answer of a few characters, and where a question or an
answer fails a check in every attempt. What failed is dropped with its reason; the pairs before are kept.

Every draw is named by seed, passage and turn, so it is the same in any order and after any crash.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tongues.core.digests import digest_value
from tongues.core.drops import Drop
from tongues.core.ports import Passage
from tongues.core.recipe import DialoguesSection
from tongues.core.records import Message, Record, Step
from tongues.core.token_estimate import estimated_tokens
from tongues.inference.chat import ChatMessage
from tongues.inference.writer import Prompt
from tongues.methods.asking import wrong_language
from tongues.methods.dialogue_wording import Move, Wording
from tongues.methods.draws import draw_weighted
from tongues.methods.writing import Desk

CATEGORY = "language-specific"


@dataclass(frozen=True, slots=True)
class Failure:
    """A question or an answer that there is not."""

    reason: str
    detail: str = ""
    text: str = ""


@dataclass
class Talk:
    """A dialogue as far as it has come.

    Args:
        passage: what it is about.
        pairs: questions with their answers.
        moves: what each question does.
        ended: why there is no further pair; empty while there may be.
        failure: what ended it, where something failed.
    """

    passage: Passage
    pairs: list[tuple[str, str]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    ended: str = ""
    failure: Failure | None = None

    def end(self, why: str, failure: Failure | None = None) -> None:
        """Let it end here."""
        self.ended, self.failure = why, failure


@dataclass(frozen=True)
class Interview:
    """Has dialogues written, one per passage.

    Args:
        section: sizes, probabilities and shares.
        desk: the language, the seed, the writer, and what questions and answers are checked with.
        wording: prompts of the language.
    """

    section: DialoguesSection
    desk: Desk
    wording: Wording

    async def about(self, passage: Passage) -> list[Record | Drop]:
        """The dialogue, its copy without the document if that is wanted, and what failed on the way."""
        talk = Talk(passage)
        while not talk.ended:
            await self._pair(talk)
        results = self._results(talk, "ultralink/dialogue", brings=self._brings_document(passage))
        if self.section.without_document and talk.pairs:
            copy = await self._copy(talk)
            results += self._results(copy, "ultralink/without-document", brings=False)
        return results

    @property
    def lang(self) -> str:
        """BCP-47 code of the dialogues."""
        return self.desk.lang

    async def _pair(self, talk: Talk) -> None:
        """One question and its answer, or the end."""
        move = self._move(talk)
        document = talk.passage.text
        asked = self.wording.question(move, document, talk.pairs)
        if self._too_long(talk, asked):
            return
        question = await self._written(asked, lambda said: self._question_fault(said, talk))
        if isinstance(question, Failure):
            talk.end("failed", question)
            return
        prompt = self.wording.answer(document, talk.pairs, question)
        if not self._too_long(talk, prompt):
            await self._answered(talk, question, move, prompt)

    async def _answered(
        self, talk: Talk, question: str, move: Move, prompt: tuple[ChatMessage, ...], *, copied: bool = False
    ) -> None:
        """Put the answer to a question, and see whether the dialogue goes on."""
        answer = await self._written(prompt, lambda said: self._answer_fault(said, question, talk))
        if isinstance(answer, str) and len(answer) < self.section.min_answer_characters:
            talk.end("short-answer", Failure("short-answer", f"{len(answer)} characters", answer))
        elif isinstance(answer, Failure):
            talk.end("failed", answer)
        else:
            talk.pairs.append((question, answer))
            talk.moves.append(move)
            if self._tokens(prompt) + self._count(answer) >= self.section.max_tokens:
                talk.end("tokens")
            elif not copied and self._draws_end(talk):
                talk.end("drawn")

    async def _copy(self, talk: Talk) -> Talk:
        """The same questions, answered without the document."""
        copy = Talk(talk.passage)
        for (question, _), move in zip(talk.pairs, talk.moves, strict=True):
            if not copy.ended:
                prompt = self.wording.answer_alone(copy.pairs, question)
                if not self._too_long(copy, prompt):
                    await self._answered(copy, question, move, prompt, copied=True)
        copy.ended = copy.ended or "copied"
        return copy

    async def _written(
        self, messages: tuple[ChatMessage, ...], fault: Callable[[str], Failure | None]
    ) -> str | Failure:
        """The first answer that is sound, or what was wrong with the last."""
        temperature = self.section.temperature
        found = Failure("not-asked")
        for sample in range(self.section.attempts if temperature else 1):
            outcome = await self.desk.writer.write(Prompt(messages, sample=sample, temperature=temperature))
            if outcome.text is None:
                found = Failure(outcome.reason, outcome.detail)
                continue
            said = self.wording.without_head(outcome.text)
            problem = fault(said)
            if problem is None:
                return said
            found = problem
        return found

    def _move(self, talk: Talk) -> Move:
        if not talk.pairs:
            return "first"
        chances = (self.section.depth_share, 1 - self.section.depth_share)
        return draw_weighted(("depth", "width"), chances, *self._draw("move", talk.passage, len(talk.pairs)))

    def _draws_end(self, talk: Talk) -> bool:
        """Never after the first pair; then with a probability that grows with each follow-up."""
        if len(talk.pairs) < 2:
            return False
        ends = min(self.section.stop_probability * self.section.stop_growth ** (len(talk.pairs) - 2), 1.0)
        return draw_weighted(
            (True, False), (ends, 1 - ends), *self._draw("stop", talk.passage, len(talk.pairs))
        )

    def _brings_document(self, passage: Passage) -> bool:
        share = self.section.document_in_question
        return draw_weighted((True, False), (share, 1 - share), *self._draw("document", passage, 1))

    def _draw(self, what: str, passage: Passage, turn: int) -> tuple[str | int, ...]:
        return (self.desk.seed, "ultralink", what, passage.id, turn)

    def _too_long(self, talk: Talk, prompt: tuple[ChatMessage, ...]) -> bool:
        """Whether a prompt leaves no room; then the dialogue ends, and a first question is a failure."""
        tokens = self._tokens(prompt)
        if tokens < self.section.max_tokens:
            return False
        failure = Failure("prompt-too-long", f"{tokens} tokens") if not talk.pairs else None
        talk.end("tokens", failure)
        return True

    def _tokens(self, prompt: tuple[ChatMessage, ...]) -> int:
        return sum(self._count(message["content"]) for message in prompt)

    def _count(self, text: str) -> int:
        return estimated_tokens(text, self.section.passages.bytes_per_token)

    def _question_fault(self, said: str, talk: Talk) -> Failure | None:
        if _same(said) in {_same(question) for question, _ in talk.pairs}:
            return Failure("repeated-question", "asked before", said)
        if fault := self._fault(said, talk.passage, asking=True):
            return fault
        lines = len(said.splitlines())
        return Failure("many-lines", f"{lines} lines", said) if lines > 1 else None

    def _answer_fault(self, said: str, question: str, talk: Talk) -> Failure | None:
        if _same(said) in {_same(question), *(_same(answer) for _, answer in talk.pairs)}:
            return Failure("repeated-answer", "said before", said)
        return self._fault(said, talk.passage)

    def _fault(self, said: str, passage: Passage, *, asking: bool = False) -> Failure | None:
        """What is wrong with a question or an answer, whoever says it."""
        if found := self.wording.speaks_for_others(said):
            return Failure("speaks-for-both", found, said)
        if found := self.wording.refers_to_text(said, passage.text, asking=asking):
            return Failure("refers-to-text", found, said)
        if detail := wrong_language(self.desk, said, self.lang):
            return Failure("wrong-language", detail, said)
        for check in self.desk.checks:
            verdict = check(passage.text, said, self.lang, self.lang)
            if not verdict.ok:
                return Failure(verdict.reason, verdict.detail, said)
        return None

    def _results(self, talk: Talk, method: str, *, brings: bool) -> list[Record | Drop]:
        results: list[Record | Drop] = [self._record(talk, method, brings=brings)] if talk.pairs else []
        if talk.failure is not None:
            where = f"{talk.passage.id} turn {len(talk.pairs) + 1}"
            results.append(
                Drop(self.lang, talk.failure.reason, talk.failure.detail, where, talk.failure.text)
            )
        return results

    def _record(self, talk: Talk, method: str, *, brings: bool) -> Record:
        return Record.create(
            messages=tuple(self._messages(talk, brings=brings)),
            group=talk.passage.group,
            method=method,
            source=talk.passage.source,
            steps=(self._step(),),
            meta=self._meta(talk, brings=brings),
        )

    def _messages(self, talk: Talk, *, brings: bool) -> list[Message]:
        said = [text for pair in talk.pairs for text in pair]
        if brings:
            said[0] = self.wording.grounded(talk.passage.text, said[0])
        return [
            Message("assistant" if number % 2 else "user", text, self.lang)
            for number, text in enumerate(said)
        ]

    def _meta(self, talk: Talk, *, brings: bool) -> dict[str, str]:
        unsure = [
            str(turn)
            for turn, (question, _) in enumerate(talk.pairs, start=1)
            if self.wording.opens_with_pronoun(question)
        ]
        return {
            "loss": "every-answer",
            "category": CATEGORY,
            "passage": talk.passage.id,
            "title": talk.passage.title,
            "moves": ",".join(talk.moves),
            "ended": talk.ended,
            "document": "in the question" if brings else "not shown",
            **({"opens-with-pronoun": ",".join(unsure)} if unsure else {}),
        }

    def _step(self) -> Step:
        """What was done: the engine, with the prompts that it was told and how it was sampled."""
        step = self.desk.writer.step
        sampling = digest_value([step.params_sha256, self.section.temperature])
        return replace(step, prompt_sha256=self.wording.digest, params_sha256=sampling)


def _same(text: str) -> str:
    """What two texts have in common that say the same: their words, whatever their case and signs."""
    return " ".join(re.findall(r"\w+", text.casefold()))
