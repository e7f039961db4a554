"""Log-likelihood of answer options after their prompts, batched, exact at token boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tongues.evaluation.greedy import common_prefix

_TOKENS_AT_A_TIME = 256
"""Rows of vocabulary logits in memory at once: 50 MB for 49,152 tokens, 260 MB for 256,000."""


@dataclass(frozen=True, slots=True)
class OptionScore:
    """How likely one option is after its prompt.

    Args:
        loglikelihood: sum over the option's tokens of ln p(token | what stands before), in nats.
        tokens: tokens summed over.
        characters: length of the option in characters, without the space that joins it.
    """

    loglikelihood: float
    tokens: int
    characters: int

    @property
    def per_character(self) -> float:
        """Log-likelihood per character, so that longer options are not at a disadvantage."""
        return self.loglikelihood / self.characters


@dataclass(frozen=True, slots=True)
class EncodedOptions:
    """The options of one prompt as token ids.

    Args:
        ids: prompt and option together, one list per option.
        starts: index of each option's first token: the first one that reaches past the prompt, so
            a token that spans the boundary is scored, not given.
        characters: length of each option.
    """

    ids: tuple[list[int], ...]
    starts: tuple[int, ...]
    characters: tuple[int, ...]

    @property
    def shared(self) -> int:
        """Leading tokens that all options have in common and that predict none of them."""
        return min(common_prefix(self.ids), min(self.starts) - 1)

    @property
    def length(self) -> int:
        """Tokens of the longest option with its prompt."""
        return max(map(len, self.ids))


def encode_options(
    tokenizer: Any, opening: Sequence[int], prompt: str, options: Sequence[str]
) -> EncodedOptions:
    """Tokenise each option together with its prompt, as the model would have read it.

    Args:
        tokenizer: a fast tokenizer, for its character offsets.
        opening: tokens put before every text, such as BOS.
        prompt: plain text.
        options: continuations with the space that joins them.

    Raises:
        ValueError: no token of the prompt stands before an option, so nothing predicts it.
    """
    ids, starts = [], []
    for option in options:
        encoding = tokenizer(prompt + option, add_special_tokens=False, return_offsets_mapping=True)
        first = next(i for i, (_, end) in enumerate(encoding["offset_mapping"]) if end > len(prompt))
        ids.append([*opening, *encoding["input_ids"]])
        starts.append(len(opening) + first)
    if not min(starts):
        raise ValueError(f"the prompt {prompt!r} has no token of its own, so nothing predicts its options")
    return EncodedOptions(tuple(ids), tuple(starts), tuple(len(option.strip()) for option in options))


def score_options(model: Any, batch: Sequence[EncodedOptions]) -> list[list[OptionScore]]:
    """Score the options of several prompts in two forward passes.

    The first runs what the options of a prompt share, once; the second the options alone, on
    copies of its key-value cache. Vocabulary logits are taken for the options' tokens only.

    Args:
        model: a causal language model of transformers.
        batch: encoded prompts with options.
    """
    # A row without a shared prefix would attend to padding alone: then nobody shares.
    shares = [e.shared for e in batch]
    shares = shares if all(shares) else [0] * len(batch)
    cache, prefix_mask = _run_shared(model, batch, shares)
    flat = [(e, k, share) for e, share in zip(batch, shares, strict=True) for k in range(len(e.ids))]
    hidden = _run_options(model, flat, cache, prefix_mask)
    scores = iter(_sum_up(model, hidden, flat))
    return [[next(scores) for _ in e.ids] for e in batch]


def _run_shared(model: Any, batch: Sequence[EncodedOptions], shares: Sequence[int]) -> tuple[Any, Any]:
    """Key-value cache of the shared tokens, one row per option, and its attention mask."""
    import torch

    repeats = torch.tensor([len(e.ids) for e in batch])
    rows = torch.arange(len(batch)).repeat_interleave(repeats).to(model.device)
    if not any(shares):
        return None, torch.zeros((len(rows), 0), dtype=torch.long, device=model.device)
    ids, mask = right_padded([e.ids[0][:n] for e, n in zip(batch, shares, strict=True)], model.device)
    cache = model.base_model(input_ids=ids, attention_mask=mask, use_cache=True).past_key_values
    cache.batch_select_indices(rows)
    return cache, mask[rows]


def _run_options(
    model: Any, flat: Sequence[tuple[EncodedOptions, int, int]], cache: Any, prefix_mask: Any
) -> Any:
    """Last hidden states of what follows the shared tokens: shape (options, length, width)."""
    import torch

    ids, mask = right_padded([e.ids[k][share:-1] for e, k, share in flat], model.device)
    # The cache may hold padding between a short prefix and its option: positions skip it.
    offsets = torch.tensor([[share] for *_, share in flat], device=model.device)
    return model.base_model(
        input_ids=ids,
        attention_mask=torch.cat([prefix_mask, mask], dim=1),
        position_ids=torch.arange(ids.shape[1], device=model.device) + offsets,
        past_key_values=cache,
    ).last_hidden_state


def _sum_up(model: Any, hidden: Any, flat: Sequence[tuple[EncodedOptions, int, int]]) -> list[OptionScore]:
    """Log-likelihood of each option's tokens, summed in float64."""
    import torch

    wanted = [e.ids[k][e.starts[k] :] for e, k, _ in flat]
    before = [range(e.starts[k] - 1 - share, len(e.ids[k]) - 1 - share) for e, k, share in flat]
    rows = torch.tensor([row for row, columns in enumerate(before) for _ in columns], device=model.device)
    columns = torch.tensor([column for columns in before for column in columns], device=model.device)
    tokens = torch.tensor([token for option in wanted for token in option], device=model.device)
    found = _token_loglikelihoods(model, hidden[rows, columns], tokens)
    per_option = found.double().cpu().split([len(option) for option in wanted])
    return [
        OptionScore(float(values.sum()), len(values), e.characters[k])
        for values, (e, k, _) in zip(per_option, flat, strict=True)
    ]


def _token_loglikelihoods(model: Any, hidden: Any, tokens: Any) -> Any:
    """Ln p of one token per hidden state; a piece at a time, since a vocabulary is wide."""
    import torch

    pieces = []
    for states, wanted in zip(hidden.split(_TOKENS_AT_A_TIME), tokens.split(_TOKENS_AT_A_TIME), strict=True):
        logits = model.get_output_embeddings()(states).float()
        chosen = logits.gather(1, wanted.unsqueeze(1)).squeeze(1)
        pieces.append(chosen - logits.logsumexp(-1))
    return torch.cat(pieces)


def right_padded(rows: Sequence[Sequence[int]], device: Any) -> tuple[Any, Any]:
    """Token ids and attention mask with the rows' beginnings in one column."""
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device, dtype=torch.long)
    mask = torch.tensor([[*[1] * len(row), *[0] * (width - len(row))] for row in rows], device=device)
    return ids, mask
