"""Token ids and labels: the loss falls on answers and their end-of-turn tokens, on nothing else.

On the last answer; in a record whose metadata says ``loss: every-answer``, on each of them.

The proof is by construction and made anew for every row. The model's own chat template renders the
prompt (all before the last answer, with the generation prompt) and the whole conversation. The
prompt must be a prefix of the whole, as text and as token ids, so the trained tokens are exactly
those that the served model has to produce after the context it is served with; and what follows the
prompt must be the answer's own text and one end-of-turn token. A template for which this does not
hold is refused; a row for which it does not hold is dropped with its reason. An earlier answer is
proven in the same way, with the conversation cut after it, and must stand in the whole one as it
stands in the cut one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.drops import Drop
from tongues.core.errors import TuningError
from tongues.core.records import Record

IGNORED = -100
"""The label that takes no part in the loss (torch's cross_entropy convention)."""

EVERY_ANSWER = "every-answer"
"""Value of a record's "loss" metadata that takes the loss on all its answers."""

_ROWS_PER_BATCH = 512
_GREEN, _DIM, _RESET = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"

Chat = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Example:
    """One row as the trainer sees it; tokens after the end of turn are left out.

    Args:
        id: the record's id.
        lang: BCP-47 code of the answer.
        input_ids: token ids up to and with the end-of-turn token.
        answer_start: index of the last answer's first token; the loss is taken on it and all after it.
        earlier: start and stop of the answers before it that are trained on too, in order.
    """

    id: str
    lang: str
    input_ids: tuple[int, ...]
    answer_start: int
    earlier: tuple[tuple[int, int], ...] = ()

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Start and stop of each trained answer, its end-of-turn token included."""
        return (*self.earlier, (self.answer_start, len(self.input_ids)))

    @property
    def labels(self) -> tuple[int, ...]:
        """The token ids themselves over the trained answers, `IGNORED` elsewhere."""
        labels = [IGNORED] * len(self.input_ids)
        for start, stop in self.spans:
            labels[start:stop] = self.input_ids[start:stop]
        return tuple(labels)

    @property
    def label_tokens(self) -> int:
        """Tokens the loss is taken on."""
        return sum(stop - start for start, stop in self.spans)

    def columns(self) -> dict[str, list[int]]:
        """The row as TRL's collator takes it."""
        return {"input_ids": list(self.input_ids), "labels": list(self.labels)}


class _UnprovenError(Exception):
    """The labels of one conversation cannot be shown to be right; `reason` is for tallies."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def encode(
    records: Sequence[Record], tokenizer: Any, *, max_seq_tokens: int
) -> tuple[list[Example], list[Drop]]:
    """Tokenise records with their labels.

    Args:
        records: any number; ``len(records) == len(examples) + len(drops)`` afterwards.
        tokenizer: a fast transformers tokenizer with a chat template.
        max_seq_tokens: rows with more tokens are dropped as "too-long", never cut.

    Returns:
        Examples in the order of the records, and drops with one of the reasons "too-long",
        "no-label", "special-token", "template-refused", "mask-unproven", "unknown-loss".

    Raises:
        TuningError: the chat template is missing, or its answers cannot be told from its prompts.
    """
    prove_template(tokenizer)
    examples: list[Example] = []
    drops: list[Drop] = []
    for at in range(0, len(records), _ROWS_PER_BATCH):
        for outcome in _encode_batch(records[at : at + _ROWS_PER_BATCH], tokenizer, max_seq_tokens):
            if isinstance(outcome, Drop):
                drops.append(outcome)
            else:
                examples.append(outcome)
    return examples, drops


def prove_template(tokenizer: Any) -> None:
    """Show on a plain conversation that this template tells answers from prompts.

    Raises:
        TuningError: it does not, or there is none; says what stands where.
    """
    if not tokenizer.chat_template:
        raise TuningError(
            "the base model has no chat template",
            where="chat_template",
            fix="take an instruction-tuned model, or add its chat_template.jinja to the model folder",
        )
    chat = [{"role": "user", "content": "Good morning."}, {"role": "assistant", "content": "Good evening!"}]
    try:
        prompt, whole = _render(chat, tokenizer)
        prompt_ids, whole_ids = _tokenise(tokenizer, [prompt, whole])
        _locate(tokenizer, prompt_ids, whole_ids, _end_of_turn(tokenizer, prompt, whole, chat))
    except _UnprovenError as error:
        raise TuningError(
            f"cannot show which tokens are the answer: {error}",
            where="chat_template",
            fix="use a template whose prompt with add_generation_prompt is a prefix of the whole "
            "conversation and whose answers end with a special token",
        ) from None


def end_of_turn_id(tokenizer: Any) -> int:
    """The token that ends an answer in this template, and so is trained on.

    Raises:
        TuningError: see `prove_template`.
    """
    prove_template(tokenizer)
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    prompt, whole = _render(chat, tokenizer)
    return int(tokenizer.convert_tokens_to_ids(_end_of_turn(tokenizer, prompt, whole, chat)))


def preview(records: Sequence[Record], tokenizer: Any, *, colour: bool = False, limit: int = 3) -> str:
    """Show what is trained on: trained tokens between ⟦ and ⟧, or in bold green.

    Args:
        records: the first `limit` of them are shown whole.
        tokenizer: as in `encode`.
        colour: ANSI colours for a terminal instead of brackets.
        limit: rows to show, at least 1.
    """
    examples, drops = encode(records[:limit], tokenizer, max_seq_tokens=1 << 30)
    lines = ["Trained tokens are " + ("bold green." if colour else "between ⟦ and ⟧.")]
    lines += [_show(example, tokenizer, colour) for example in examples]
    lines += [f"--- {drop.where}: dropped, {drop.reason} ({drop.detail})" for drop in drops]
    return "\n".join(lines) + "\n"


def _show(example: Example, tokenizer: Any, colour: bool) -> str:
    before, after = (_DIM, f"{_RESET}{_GREEN}") if colour else ("", "⟦")
    end = _RESET if colour else "⟧"
    text, at = "", 0
    for start, stop in example.spans:
        prompt = _visible(tokenizer.decode(example.input_ids[at:start]))
        answer = _visible(tokenizer.decode(example.input_ids[start:stop]))
        text, at = f"{text}{before}{prompt}{after}{answer}{end}", stop
    head = f"--- {example.id} {example.lang}: {len(example.input_ids)} tokens, {example.label_tokens} trained"
    return f"{head}\n{text}"


def _visible(text: str) -> str:
    """Control characters as escapes, so that data cannot steer a reader's terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _encode_batch(records: Sequence[Record], tokenizer: Any, max_tokens: int) -> Iterator[Example | Drop]:
    specials = _special_tokens(tokenizer)
    rendered = [_render_record(record, tokenizer, specials) for record in records]
    turns = [turn for item in rendered if not isinstance(item, Drop) for turn in item]
    ids = iter(_tokenise(tokenizer, [text for turn in turns for text in turn[:2]]) if turns else [])
    for record, item in zip(records, rendered, strict=True):
        if isinstance(item, Drop):
            yield item
            continue
        tokens = [(next(ids), next(ids), end) for _, _, end in item]
        try:
            yield _example(record, tokenizer, tokens, max_tokens)
        except _UnprovenError as error:
            yield _drop(record, error.reason, str(error))


_Turn = tuple[str, str, str]  # prompt, the conversation up to its answer, the answer's end-of-turn token


def _render_record(record: Record, tokenizer: Any, specials: dict[str, int]) -> list[_Turn] | Drop:
    """One turn for each answer that is trained on; the last one's conversation is the whole."""
    chat = [{"role": m.role, "content": m.content} for m in record.messages]
    planted = next((s for s in specials for m in chat if s in m["content"]), None)
    if planted:
        return _drop(record, "special-token", f"the text holds {planted!r}, which the model reads as a mark")
    loss = record.meta.get("loss", "")
    if loss not in ("", EVERY_ANSWER):
        return _drop(record, "unknown-loss", f"its metadata says loss: {loss!r}; allowed is {EVERY_ANSWER!r}")
    answers = [i + 1 for i, m in enumerate(record.messages) if m.role == "assistant"]
    try:
        return [_render_turn(chat[:n], tokenizer) for n in (answers if loss else answers[-1:])]
    except _UnprovenError as error:
        return _drop(record, error.reason, str(error))


def _render_turn(chat: Chat, tokenizer: Any) -> _Turn:
    prompt, whole = _render(chat, tokenizer)
    return prompt, whole, _end_of_turn(tokenizer, prompt, whole, chat)


def _example(
    record: Record, tokenizer: Any, turns: list[tuple[list[int], list[int], str]], max_tokens: int
) -> Example:
    spans = [_locate(tokenizer, *turn) for turn in turns]
    whole = turns[-1][1]
    start, length = spans[-1]
    for (_, stop), (_, ids, _) in zip(spans[:-1], turns[:-1], strict=True):
        if whole[:stop] != ids[:stop]:
            raise _UnprovenError(
                "mask-unproven", "the template writes an earlier answer differently once others follow"
            )
    if length > max_tokens:
        raise _UnprovenError("too-long", f"{length} tokens, at most {max_tokens} are allowed")
    return Example(record.id, record.lang, tuple(whole[:length]), start, tuple(spans[:-1]))


def _render(chat: Chat, tokenizer: Any) -> tuple[str, str]:
    """The prompt as it is served, and the whole conversation, both as text."""
    from jinja2.exceptions import TemplateError

    try:
        prompt = tokenizer.apply_chat_template(chat[:-1], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(chat, tokenize=False)
    except TemplateError as error:
        raise _UnprovenError("template-refused", f"the template refuses it: {error}") from None
    return str(prompt), str(whole)


def _end_of_turn(tokenizer: Any, prompt: str, whole: str, chat: Chat) -> str:
    """The special token after the answer; shows on the way that only the answer stands before it."""
    if not whole.startswith(prompt):
        raise _UnprovenError("mask-unproven", "the prompt is not a prefix of the whole conversation")
    answer, rest = chat[-1]["content"].strip(), whole[len(prompt) :].lstrip()
    if not rest.startswith(answer):
        raise _UnprovenError("mask-unproven", f"after the prompt stands {rest[:40]!r}, not the answer")
    tail = rest[len(answer) :].strip()
    specials = sorted(_special_tokens(tokenizer), key=len, reverse=True)
    end = next((s for s in specials if tail.startswith(s)), None)
    if end is None:
        raise _UnprovenError("mask-unproven", f"no end-of-turn token after the answer but {tail[:40]!r}")
    for special in specials:
        tail = tail.replace(special, "")
    if tail.strip():
        raise _UnprovenError("mask-unproven", f"text after the end of the turn: {tail[:40]!r}")
    return end


def _locate(tokenizer: Any, prompt_ids: list[int], whole_ids: list[int], end: str) -> tuple[int, int]:
    """Indices of the first answer token and one past the end-of-turn token."""
    start = len(prompt_ids)
    if whole_ids[:start] != prompt_ids:
        raise _UnprovenError("mask-unproven", "a token spans the end of the prompt and the answer's start")
    end_id = tokenizer.convert_tokens_to_ids(end)
    stop = next((i for i in range(start, len(whole_ids)) if whole_ids[i] == end_id), None)
    if stop is None:
        raise _UnprovenError("mask-unproven", f"{end!r} does not become one token")
    if stop == start:
        raise _UnprovenError("no-label", "the answer has no tokens")
    return start, stop + 1


def _tokenise(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Token ids as at serving: the template has already written every mark the model wants."""
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return ids


def _special_tokens(tokenizer: Any) -> dict[str, int]:
    """Text to id of every token that is a mark and not text."""
    return {str(t): i for i, t in tokenizer.added_tokens_decoder.items() if t.special}


def _drop(record: Record, reason: str, detail: str) -> Drop:
    return Drop(record.lang, reason, detail, record.id, record.answer.content)
