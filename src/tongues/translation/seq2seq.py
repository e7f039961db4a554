"""Translation by encoder-decoder models through transformers: NLLB-200, M2M-100, MADLAD-400.

These models were made for single sentences; given several they drop some. So a segment is cut into
sentences, each is translated for itself, and as many come back as went in, by construction.
Sentences of about the same length share a forward pass. The search is by beams or greedy, never at
random; which sentences share a batch changes answers only where two hypotheses are equal up to
rounding.

    no end within max_output_tokens    "truncated": a loop, or a sentence too long to answer
    longer than the model reads        cut behind commas or spaces; where there are none, "too-long"
    a token of its own in the text     "special-token", where the tokenizer cannot take it for text
    letters it has no token for        "unknown-letters", if they are missing in the answer
"""

import asyncio
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tongues.core.digests import digest_value
from tongues.core.errors import TonguesError
from tongues.core.languages import language
from tongues.core.recipe import PriceSection, Seq2SeqEngine
from tongues.core.records import Step
from tongues.core.sentences import cut_at_spaces, split_sentences
from tongues.inference.engine import Outcome, Unit, encodable, failed
from tongues.inference.spending import Spent
from tongues.translation.seq2seq_files import fetch_model, file_names, model_problems, model_version
from tongues.translation.seq2seq_model import Decoding, Seq2SeqModel, Seq2SeqTokenizer

_REVISION = 1  # raise it when sentences are cut or joined in another way
_BATCHES_PER_CALL = 4
_NO_SPACE_BETWEEN = frozenset({"Hans", "Hant", "Jpan"})
_CLAUSE = re.compile(r"[^,;:，；：、،؛]*[,;:，；：、،؛]*\s*")


class Seq2Seq:
    """The engine; the tokenizer is loaded when first needed, the weights with the first segment.

    Weights stay loaded over `aclose`: they are no connection, and the next language needs them too.

    Args:
        section: the recipe's settings.
    """

    name = "seq2seq"
    concurrency = 1
    unit: Unit = "segment"
    max_characters = None

    def __init__(self, section: Seq2SeqEngine) -> None:
        self._section = section
        self._scratch = tempfile.TemporaryDirectory(prefix="tongues-model-")
        self._closing = False
        self.requests_sent = 0

    @property
    def batch_segments(self) -> int:
        """Several batches' worth, so that sentences of like length can be put together."""
        return _BATCHES_PER_CALL * self._section.batch_rows

    @property
    def price(self) -> PriceSection:
        """As the recipe says."""
        return self._section.price

    def supports(self, source: str, target: str) -> bool:
        """Whether the model has tokens for both languages."""
        return source != target and self._tokenizer.knows(source) and self._tokenizer.knows(target)

    def pairs(self) -> list[tuple[str, str]]:
        """Empty: any pair of the languages that the tokenizer knows."""
        return []

    def step(self, source: str, target: str) -> Step:
        """The model is the hub's revision or the digest of its files; speed settings are left out."""
        section = self._section
        params = {
            "revision": _REVISION,
            "languages": section.languages,
            "beams": section.beams,
            "max_output_tokens": section.max_output_tokens,
            "precision": section.precision,
        }
        return Step(
            op="translate",
            engine=self.name,
            model=self._version,
            prompt_sha256="",
            params_sha256=digest_value(params),
        )

    def at_most(self, texts: Sequence[str]) -> Spent:
        """One call a text, free but for the machine's time."""
        return Spent(requests=len(texts), characters=sum(map(len, texts)))

    async def answer(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        """Translate segments in a thread of its own; see `Engine.answer`."""
        self._closing = False
        return await asyncio.to_thread(self._translate, texts, source, target)

    async def aclose(self) -> None:
        """Let work that is under way end after its batch."""
        self._closing = True

    @cached_property
    def _folder(self) -> Path:
        return fetch_model(self._section.uri, Path(self._scratch.name), weights=True)

    @cached_property
    def _version(self) -> str:
        return model_version(self._section.uri, self._folder)

    @cached_property
    def _tokenizer(self) -> Seq2SeqTokenizer:
        return Seq2SeqTokenizer(self._folder, self._section.languages)

    @cached_property
    def _model(self) -> Seq2SeqModel:
        return Seq2SeqModel(self._folder, self._tokenizer, self._section.precision)

    def _translate(self, texts: Sequence[str], source: str, target: str) -> list[Outcome]:
        plans = [self._plan(text, source, target) for text in texts]
        wanted = {s.text: s for plan in plans if isinstance(plan, list) for s in plan if s.tokens}
        answers = self._answers(list(wanted.values()), target)
        return [p if isinstance(p, Outcome) else _joined(p, answers, target) for p in plans]

    def _plan(self, text: str, source: str, target: str) -> "list[_Sentence] | Outcome":
        """The sentences of a segment, or why it cannot be translated."""
        if not encodable(text):
            return failed("not-unicode", "lone surrogate", permanent=True)
        sentences = [
            piece
            for sentence in split_sentences(text, source)
            for piece in self._fitting(sentence, source, target)
        ]
        longest = max((len(s.tokens) for s in sentences), default=0)
        if longest > self._model.max_input_tokens:
            detail = f"{longest} tokens without a place to cut; it reads {self._model.max_input_tokens}"
            return failed("too-long", detail, permanent=True)
        if commands := [word for s in sentences for word in self._tokenizer.commands(s.tokens)]:
            return failed("special-token", f"the model would obey {commands[0]!r}", permanent=True)
        return sentences

    def _fitting(self, text: str, source: str, target: str) -> "list[_Sentence]":
        """A sentence, or parts of it that the model can read, as far as commas and spaces allow."""
        core = text.strip()
        tokens = self._tokenizer.encode(core, source, target) if any(map(str.isalpha, core)) else []
        parts = _halves(text) if len(tokens) > self._model.max_input_tokens else [text]
        if len(parts) == 1:
            return [_Sentence(core, text[len(text.rstrip()) :], tokens)] if core else []
        return [sentence for part in parts for sentence in self._fitting(part, source, target)]

    def _answers(self, sentences: "list[_Sentence]", target: str) -> dict[str, Outcome]:
        section = self._section
        decoding = Decoding(section.beams, section.max_output_tokens, section.batch_rows)
        answers = dict[str, Outcome]()
        for batch in _batches(sentences, section.batch_rows):
            if self._closing:
                break
            self.requests_sent += len(batch)
            outcomes = self._model.translate([s.tokens for s in batch], target, decoding)
            answers |= {s.text: outcome for s, outcome in zip(batch, outcomes, strict=True)}
        return answers


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence without the space behind it; no tokens where there is nothing to translate."""

    text: str
    space: str
    tokens: list[int]


def _batches(sentences: list[_Sentence], size: int) -> Iterator[list[_Sentence]]:
    """Longest first, so that a batch that does not fit into memory fails at once."""
    ordered = sorted(sentences, key=lambda s: (-len(s.tokens), s.text))
    return (ordered[at : at + size] for at in range(0, len(ordered), size))


def _halves(text: str) -> list[str]:
    """Cut a sentence near its middle, best behind a comma, else behind a space."""
    middle = len(text) // 2
    ends = [clause.end() for clause in _CLAUSE.finditer(text) if 0 < clause.end() < len(text.rstrip())]
    near = [end for end in ends if middle // 2 <= end <= middle + middle // 2]
    if near:
        end = min(near, key=lambda at: abs(at - middle))
        return [text[:end], text[end:]]
    return cut_at_spaces(text, middle)


def _joined(sentences: list[_Sentence], answers: dict[str, Outcome], target: str) -> Outcome:
    """One segment of its sentences; the first that failed fails it."""
    between = "" if language(target).script in _NO_SPACE_BETWEEN else " "
    parts, prompt, completion = list[str](), 0, 0
    for number, sentence in enumerate(sentences, 1):
        answer = answers.get(sentence.text) if sentence.tokens else Outcome(sentence.text)
        if answer is None:
            return failed("interrupted", "the engine was closed")
        if answer.text is None:
            return answer
        is_last = number == len(sentences)
        parts += [answer.text, sentence.space if is_last else between and (sentence.space or between)]
        prompt, completion = prompt + answer.prompt_tokens, completion + answer.completion_tokens
    return Outcome("".join(parts), prompt_tokens=prompt, completion_tokens=completion)


def seq2seq_problems(section: Seq2SeqEngine, source: str, targets: Sequence[str]) -> list[str]:
    """What keeps a model from translating, found without loading its weights.

    Args:
        section: the recipe's settings.
        source: BCP-47 code.
        targets: BCP-47 codes.

    Returns:
        One line for each problem with files, tokenizer and languages; empty if all is well.
    """
    try:
        if problems := model_problems(section.uri, file_names(section.uri)):
            return problems
        with tempfile.TemporaryDirectory(prefix="tongues-model-") as scratch:
            folder = fetch_model(section.uri, Path(scratch), weights=False)
            tokenizer = Seq2SeqTokenizer(folder, section.languages)
    except TonguesError as error:
        return [error.line()]
    return [
        f"{section.uri}: the model has no {section.languages} token for {lang} ({language(lang).name}). "
        "Fix: check translation.engine.languages, or take another engine for this language"
        for lang in (source, *targets)
        if not tokenizer.knows(lang)
    ]
