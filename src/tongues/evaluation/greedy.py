"""Greedy search over a batch whose rows share the opening of their prompts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tongues.evaluation.runner import Done


class GreedyBatch:
    """Prompts answered together, each with its likeliest tokens.

    What all prompts open with (the template's system turn) is run once and its key-value cache
    shared. A row that ends its turn leaves the batch, so that the others go faster. Penalties and
    sampling of the model's own generation settings do not apply.

    Args:
        model: a causal language model of transformers.
        turns: token ids of each prompt, at least one token each.
        stops: tokens that end an answer.
    """

    def __init__(self, model: Any, turns: Sequence[Sequence[int]], stops: Sequence[int]) -> None:
        import torch

        self.model, self.device = model, model.device
        self.stops = torch.tensor(stops, device=self.device)
        self.answers: list[list[int]] = [[] for _ in turns]
        self.rows = list(range(len(turns)))  # which prompt each row of the tensors belongs to
        shared = min(common_prefix(turns), min(map(len, turns)) - 1)
        self.cache = self._share(turns[0][:shared], len(turns))
        self.ids, mask = left_padded([turn[shared:] for turn in turns], self.device)
        self.mask = torch.cat([torch.ones_like(mask[:, :1]).expand(-1, shared), mask], dim=1)

    def run(self, max_new_tokens: int, done: "Done") -> list[list[int]]:
        """Answer every prompt.

        Args:
            max_new_tokens: length limit of an answer.
            done: told of finished rows.

        Returns:
            Token ids of the answers, without the token that ended them.
        """
        for _ in range(max_new_tokens):
            if self.rows:
                self._advance(done)
        done(len(self.rows))
        return self.answers

    def _share(self, opening: Sequence[int], rows: int) -> Any:
        import torch

        if not opening:
            return None
        ids = torch.tensor([opening], device=self.device)
        cache = self.model.base_model(input_ids=ids, use_cache=True).past_key_values
        cache.batch_repeat_interleave(rows)
        return cache

    def _advance(self, done: "Done") -> None:
        """Add one token to every row, and let the rows go whose token is a stop."""
        import torch

        tokens = self._next_tokens()
        going = ~torch.isin(tokens, self.stops)
        stay = going.nonzero().squeeze(1)
        if len(stay) < len(tokens):
            done(len(tokens) - len(stay))
            self.cache.batch_select_indices(stay)
            self.rows = [self.rows[i] for i in stay.tolist()]
            tokens, self.mask = tokens[stay], self.mask[stay]
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            self.answers[row].append(token)
        self.ids = tokens.unsqueeze(1)
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1)

    def _next_tokens(self) -> Any:
        # Padding has no position of its own; the real tokens count on from the shared opening.
        positions = (self.mask.cumsum(1) - 1).clamp(min=0)[:, -self.ids.shape[1] :]
        output = self.model.base_model(
            input_ids=self.ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.cache = output.past_key_values
        return self.model.get_output_embeddings()(output.last_hidden_state[:, -1]).argmax(-1)


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Number of leading tokens that all rows have in common."""
    for length, tokens in enumerate(zip(*rows, strict=False)):
        if len(set(tokens)) > 1:
            return length
    return min(map(len, rows))


def left_padded(rows: Sequence[Sequence[int]], device: Any) -> tuple[Any, Any]:
    """Token ids and attention mask with the rows' ends in one column.

    The id of the padding does not matter, since nothing attends to it.
    """
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*[0] * (width - len(row)), *row] for row in rows], device=device)
    mask = torch.tensor([[*[0] * (width - len(row)), *[1] * len(row)] for row in rows], device=device)
    return ids, mask
