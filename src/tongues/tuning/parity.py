"""The parity gate: what was written answers like what was trained.

One model, the trained one, answers some prompts greedily; others then say what they prefer at each place
of the very same answers, and how likely they find the token that stands there. Here the written weights do
so in transformers. The answers are kept, so that another engine can be asked the same (`Answer`, `judge`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_file
from tongues.core.errors import TuningError
from tongues.tuning.merge import with_adapter
from tongues.tuning.models import load_model, load_tokenizer

MAX_FOLD_ERROR = 0.02
"""How far the part of the adapter that is found in the merged weights may be from 1, beyond six
standard errors of the rounding, which on a real model are below 0.01 over all layers together; an
adapter scaled by 1.1 is off by 0.1."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far two sides may be apart.

    Args:
        agreement: least share of places at which both prefer the same token, 0 to 1.
        mean: largest mean |difference| of log-probabilities, nats.
        largest: largest |difference| of one token's log-probability, nats.
    """

    agreement: float
    mean: float
    largest: float


WRITTEN = Bounds(agreement=0.95, mean=0.02, largest=0.5)
"""Written against trained weights, both computed in fp32: only the rounding of merged weights to bf16
(relative error below 2^-7) is left to differ. It decides a place only where two tokens are nearly equally
likely; alone it gives a mean of about 0.005, and never what a broken layer does."""

_MERGE_AGAIN = "merge again from the adapter and the base it was trained on"
_STANDARD_ERRORS = 6
_ANSWER_TOKENS = 24

Score = tuple[int, float]
"""At one place of an answer: the preferred token, and the log-probability of the one that stands there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the trained model answered, and what some model thinks of it.

    Args:
        prompt: the user's turn.
        prompt_ids: the same as the chat template renders it.
        ids: the answer's tokens.
        scores: of each of them.
    """

    prompt: str
    prompt_ids: tuple[int, ...]
    ids: tuple[int, ...]
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two sides answer.

    Args:
        prompts: how many were compared.
        same_answers: those at which both prefer the same token at every place.
        tokens: places compared.
        agreement: share of them at which both prefer the same token, 0 to 1.
        mean_difference: mean |log-probability difference|, nats.
        max_difference: largest of them.
    """

    prompts: int
    same_answers: int
    tokens: int
    agreement: float
    mean_difference: float
    max_difference: float

    def measured(self) -> dict[str, float]:
        """As it stands in a manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Parity:
    """How alike trained and written weights answer.

    Args:
        fold: part of the adapter found in the merged weights, 1 if all of it.
        likeness: of the answers.
        trained: the answers as the trained model scores them.
        written: the same answers as the written one does.
    """

    fold: float
    likeness: Likeness
    trained: Sequence[Answer] = field(repr=False)
    written: Sequence[Answer] = field(repr=False)

    def measured(self) -> dict[str, Any]:
        """As it stands in a manifest."""
        return {"fold": self.fold, **self.likeness.measured()}


def parity(base: Path, adapter: Path, merged: Path, prompts: Sequence[str]) -> Parity:
    """Compare adapter-on-base with the merged model on what the former answers.

    Args:
        base: folder of the base model.
        adapter: folder of the adapter.
        merged: folder written by `merge`.
        prompts: user turns; at least one.

    Raises:
        TuningError: tokenizer or chat template differ, or the answers do beyond the stated bounds.
    """
    _same_text_side(adapter, merged)
    trained, written = with_adapter(base, adapter).eval(), load_model(merged, "fp32").eval()
    fold = _check_fold(trained, written, where=str(merged))
    return _compare(trained, written, merged, prompts, fold=fold)


def parity_of_full(base: Path, trained: Path, merged: Path, prompts: Sequence[str]) -> Parity:
    """Compare weights as they were trained, in fp32, with what was written of them.

    Args:
        base: folder of the base model, whose template and tokenizer the result must have.
        trained: folder with the trained weights: the last checkpoint.
        merged: folder written by `export_full`.
        prompts: user turns; at least one.

    Raises:
        TuningError: tokenizer or chat template differ, or the answers do beyond the stated bounds.
    """
    _same_text_side(base, merged)
    expected, found = load_model(trained, "fp32").eval(), load_model(merged, "fp32").eval()
    return _compare(expected, found, merged, prompts, fold=1.0)


def judge(
    expected: Sequence[Answer], found: Sequence[Answer], bounds: Bounds, *, who: str, where: str, fix: str
) -> Likeness:
    """Measure how alike two sides score the same answers.

    Args:
        expected: at least one, as the side that is right scores them.
        found: the same, as the other does.
        bounds: what is allowed.
        who: the other side with its verb, for the message.
        where: its weights.
        fix: what to do where it is further off.

    Raises:
        TuningError: they are further apart than the bounds allow.
    """
    pairs = [list(zip(a.scores, b.scores, strict=True)) for a, b in zip(expected, found, strict=True)]
    places = [pair for answer in pairs for pair in answer]
    differences = [abs(a[1] - b[1]) for a, b in places]
    likeness = Likeness(
        prompts=len(pairs),
        same_answers=sum(all(a[0] == b[0] for a, b in answer) for answer in pairs),
        tokens=len(places),
        agreement=sum(a[0] == b[0] for a, b in places) / len(places),
        mean_difference=sum(differences) / len(places),
        max_difference=max(differences) if all(map(math.isfinite, differences)) else math.inf,
    )
    if not _within(likeness, bounds):
        raise TuningError(_unlike(likeness, bounds, who), where=where, fix=fix)
    return likeness


def _within(found: Likeness, bounds: Bounds) -> bool:
    return (
        found.agreement >= bounds.agreement
        and found.mean_difference <= bounds.mean
        and found.max_difference <= bounds.largest
    )


def _unlike(found: Likeness, bounds: Bounds, who: str) -> str:
    return (
        f"{who} not answer like what was trained: agreement {found.agreement:.3f} (at least "
        f"{bounds.agreement}), mean log-probability difference {found.mean_difference:.4f} (at most "
        f"{bounds.mean}), largest {found.max_difference:.3f} (at most {bounds.largest}); "
        f"{found.same_answers} of {found.prompts} answers are the same"
    )


def _compare(trained: Any, written: Any, merged: Path, prompts: Sequence[str], *, fold: float) -> Parity:
    tokenizer = load_tokenizer(merged)
    rendered = [tuple(_prompt_ids(tokenizer, prompt)) for prompt in prompts]
    answers = [(prompt, ids, _continue(trained, ids)) for prompt, ids in zip(prompts, rendered, strict=True)]
    expected, found = ([_scored(model, *answer) for answer in answers] for model in (trained, written))
    who = "the weights written do"
    likeness = judge(expected, found, WRITTEN, who=who, where=str(merged), fix=_MERGE_AGAIN)
    return Parity(fold, likeness, expected, found)


def _deltas(trained: Any, merged: Any) -> Iterator[tuple[str, Any, Any]]:
    """Per adapted layer: its name, the change the adapter asks for, the change that was made."""
    layers = dict(merged.named_modules())
    for name, layer in trained.get_base_model().named_modules():
        if hasattr(layer, "get_delta_weight"):
            asked = _asked_change(layer)
            yield name, asked, layers[name].weight.detach() - layer.base_layer.weight.detach()


def _asked_change(layer: Any) -> Any:
    """What a layer's adapter adds to its weights; DoRA sets the length of each row besides."""
    adapter = layer.active_adapters[0]
    change = layer.get_delta_weight(adapter).detach()
    if not layer.use_dora.get(adapter):
        return change
    weight = layer.base_layer.weight.detach()
    length = (weight + change).norm(dim=1)
    magnitude = layer.lora_magnitude_vector[adapter].weight.detach()
    return (magnitude / length)[:, None] * (weight + change) - weight


def _check_fold(trained: Any, merged: Any, *, where: str) -> float:
    """Project the change that was made on the change asked for: 1 means that all of it is there."""
    along = squares = noise = 0.0
    wrong = []
    for name, asked, made in _deltas(trained, merged):
        square, product = float((asked * asked).sum()), float((asked * made).sum())
        variance = float(((made - asked) * asked).square().sum())
        along, squares, noise = along + product, squares + square, noise + variance
        if not _is_whole(product, square, variance):
            wrong.append(f"{name} holds {product / square:.3f} of it")
    fold = along / squares if squares else 1.0
    if wrong or not _is_whole(along, squares, noise):
        raise TuningError(
            f"the merged weights hold {fold:.3f} of the adapter, 1 is right {'; '.join(wrong[:3])}",
            where=where,
            fix=_MERGE_AGAIN,
        )
    return fold


def _is_whole(product: float, square: float, variance: float) -> bool:
    """Whether <asked, made> / <asked, asked> is 1 but for rounding; so it is where nothing is asked."""
    allowed = MAX_FOLD_ERROR * square + _STANDARD_ERRORS * math.sqrt(variance)
    return abs(product - square) <= allowed


def _same_text_side(trained: Path, merged: Path) -> None:
    for name in ("chat_template.jinja", "tokenizer.json"):
        both = [(folder / name) for folder in (trained, merged)]
        if not all(path.is_file() for path in both) or len({digest_file(path) for path in both}) > 1:
            raise TuningError(
                f"{name} of what was trained and what was written differ: it would be served with other text "
                "than it was trained on",
                where=str(merged),
                fix="merge again",
            )


def _prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    chat = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _continue(model: Any, prompt_ids: Sequence[int]) -> tuple[int, ...]:
    """The greedy answer; it runs on past a stop token, so that there is always one."""
    import torch

    ids = torch.tensor([prompt_ids])
    with torch.no_grad():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=_ANSWER_TOKENS,
            min_new_tokens=_ANSWER_TOKENS,
        )
    return tuple(out[0, len(prompt_ids) :].tolist())


def _scored(model: Any, prompt: str, prompt_ids: tuple[int, ...], answer: tuple[int, ...]) -> Answer:
    """The answer with what the model thinks of it."""
    import torch

    ids, start = torch.tensor([prompt_ids + answer]), len(prompt_ids)
    with torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits[0, start - 1 : -1].float()
    chosen = logits.log_softmax(-1).gather(1, ids[0, start:, None])[:, 0]
    scores = tuple(zip(logits.argmax(-1).tolist(), chosen.tolist(), strict=True))
    return Answer(prompt, prompt_ids, answer, scores)
