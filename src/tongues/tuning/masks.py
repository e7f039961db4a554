"""Token ids and labels: the loss falls on the last answer and its end-of-turn token, on nothing else.

The proof is by construction and made anew for every row. The model's own chat template renders the
prompt (all before the last answer, with the generation prompt) and the whole conversation. The
prompt must be a prefix of the whole, as text and as token ids, so the trained tokens are exactly
those that the served model has to produce after the context it is served with; and what follows the
prompt must be the answer's own text and one end-of-turn token. A template for which this does not
hold is refused; a row for which it does not hold is dropped with its reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.drops import Drop
from tongues.core.errors import TuningError
from tongues.core.records import Record

IGNORED = -100
"""The label that takes no part in the loss (torch's cross_entropy convention)."""

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
        answer_start: index of the first token the loss is taken on; all later ones take part too.
    """

    id: str
    lang: str
    input_ids: tuple[int, ...]
    answer_start: int

    @property
    def labels(self) -> tuple[int, ...]:
        """`IGNORED` over the prompt, the token ids themselves over the answer."""
        return (IGNORED,) * self.answer_start + self.input_ids[self.answer_start :]

    @property
    def label_tokens(self) -> int:
        """Tokens the loss is taken on."""
        return len(self.input_ids) - self.answer_start

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
        "no-label", "special-token", "template-refused", "mask-unproven".

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
    prompt = _visible(tokenizer.decode(example.input_ids[: example.answer_start]))
    answer = _visible(tokenizer.decode(example.input_ids[example.answer_start :]))
    head = f"--- {example.id} {example.lang}: {len(example.input_ids)} tokens, {example.label_tokens} trained"
    return f"{head}\n{before}{prompt}{after}{answer}{end}"


def _visible(text: str) -> str:
    """Control characters as escapes, so that data cannot steer a reader's terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def _encode_batch(records: Sequence[Record], tokenizer: Any, max_tokens: int) -> Iterator[Example | Drop]:
    specials = _special_tokens(tokenizer)
    rendered = [_render_record(record, tokenizer, specials) for record in records]
    texts = [text for item in rendered if isinstance(item, tuple) for text in item[:2]]
    ids = iter(_tokenise(tokenizer, texts) if texts else [])
    for record, item in zip(records, rendered, strict=True):
        if isinstance(item, Drop):
            yield item
            continue
        prompt_ids, whole_ids = next(ids), next(ids)
        try:
            start, stop = _locate(tokenizer, prompt_ids, whole_ids, item[2])
        except _UnprovenError as error:
            yield _drop(record, error.reason, str(error))
            continue
        if stop > max_tokens:
            yield _drop(record, "too-long", f"{stop} tokens, at most {max_tokens} are allowed")
        else:
            yield Example(record.id, record.lang, tuple(whole_ids[:stop]), start)


def _render_record(record: Record, tokenizer: Any, specials: dict[str, int]) -> tuple[str, str, str] | Drop:
    chat = [{"role": m.role, "content": m.content} for m in record.messages]
    planted = next((s for s in specials for m in chat if s in m["content"]), None)
    if planted:
        return _drop(record, "special-token", f"the text holds {planted!r}, which the model reads as a mark")
    try:
        prompt, whole = _render(chat, tokenizer)
        return prompt, whole, _end_of_turn(tokenizer, prompt, whole, chat)
    except _UnprovenError as error:
        return _drop(record, error.reason, str(error))


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
