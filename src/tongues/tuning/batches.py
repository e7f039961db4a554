"""What the trainer is fed: for each optimiser step, the tensors of its forward passes.

A step is one item, however many passes it takes, so a run that is resumed after n steps skips n items
and goes on with exactly what it would have seen.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tongues.tuning.masks import IGNORED, Example
from tongues.tuning.packing import Budget, Layout, Pass, efficiency, share_out, slots, split_step
from tongues.tuning.schedule import Schedule
from tongues.tuning.tokenised import row_sizes

Ids = Sequence[int]


def packed_columns(rows: Iterable[tuple[Ids, Ids]]) -> dict[str, Any]:
    """One line of whole rows, with what tells attention and positions where each begins.

    Args:
        rows: token ids and labels of each row. A row's first token is never a label: it would be
            predicted from the row before.

    Returns:
        ``input_ids``, ``labels`` and ``position_ids`` of shape ``[1, tokens]``, ``cu_seq_lens_q`` and
        ``_k`` (int32, ``[rows + 1]``), ``max_length_q`` and ``_k``.
    """
    import torch

    pairs = list(rows)
    lengths = [len(ids) for ids, _ in pairs]
    bounds = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    longest = max(lengths)
    return {
        "input_ids": torch.tensor([[i for ids, _ in pairs for i in ids]]),
        "labels": torch.tensor([[i for _, labels in pairs for i in (IGNORED, *labels[1:])]]),
        "position_ids": torch.tensor([[i for length in lengths for i in range(length)]]),
        "cu_seq_lens_q": bounds,
        "cu_seq_lens_k": bounds,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def padded_columns(rows: Iterable[tuple[Ids, Ids]], pad_id: int) -> dict[str, Any]:
    """Rows under each other, padded on the right; padding carries no label and no attention."""
    import torch

    pairs = list(rows)
    longest = max(len(ids) for ids, _ in pairs)

    def filled(values: Ids, filler: int) -> list[int]:
        return [*values, *[filler] * (longest - len(values))]

    return {
        "input_ids": torch.tensor([filled(ids, pad_id) for ids, _ in pairs]),
        "labels": torch.tensor([filled(labels, IGNORED) for _, labels in pairs]),
        "attention_mask": torch.tensor([filled([1] * len(ids), 0) for ids, _ in pairs]),
    }


class Batcher:
    """Divides rows into passes and makes their tensors.

    Args:
        rows: the examples, by index.
        layout: how a pass is laid out.
        budget: of a pass.
        pad_id: fills padded rows.
    """

    def __init__(self, rows: Sequence[Example], layout: Layout, budget: Budget, pad_id: int) -> None:
        self.rows, self.layout, self.budget, self.pad_id = rows, layout, budget, pad_id
        self.tokens, self.label_tokens = row_sizes(rows)

    def passes(self, chosen: Sequence[int]) -> list[Pass]:
        """Passes over the chosen rows, as indices of rows."""
        lengths = [self.tokens[i] for i in chosen]
        return [tuple(chosen[i] for i in one) for one in split_step(lengths, self.layout, self.budget)]

    def shares(self, chosen: Sequence[int], ranks: int) -> list[list[Pass]]:
        """The passes of each of several processes."""
        passes = self.passes(chosen)
        return [passes] if ranks == 1 else share_out(passes, self.tokens, ranks)

    def columns(self, one: Pass, idle: int = 0) -> dict[str, Any]:
        """A pass as tensors; an empty one is the row `idle` without labels, which moves nothing."""
        chosen = [self.rows[i] for i in one] or [self.rows[idle]]
        pairs = [(e.input_ids, e.labels if one else (IGNORED,) * len(e.input_ids)) for e in chosen]
        return packed_columns(pairs) if self.layout == "packed" else padded_columns(pairs, self.pad_id)

    def padding_share(self, steps: Iterable[Sequence[int]]) -> float:
        """Share of computed token slots that hold no token, over some steps."""
        computed = tokens = 0
        for chosen in steps:
            computed += sum(slots(one, self.tokens, self.layout) for one in self.passes(chosen))
            tokens += sum(self.tokens[i] for i in chosen)
        return 1 - tokens / computed if computed else 0.0

    def fill(self, steps: Iterable[Sequence[int]]) -> float:
        """How full the passes are by their budget of tokens, over some steps."""
        return efficiency([one for chosen in steps for one in self.passes(chosen)], self.tokens, self.budget)

    def counted(self, chosen: Sequence[int]) -> tuple[int, int]:
        """Tokens and labelled tokens of some rows."""
        return sum(self.tokens[i] for i in chosen), sum(self.label_tokens[i] for i in chosen)


def step_loader(batcher: Batcher, schedule: Schedule, *, rank: int = 0, ranks: int = 1) -> Any:
    """A torch DataLoader with one item per optimiser step: its passes, and the labels they divide by.

    Args:
        batcher: of the training rows.
        schedule: which rows each step sees.
        rank: of this process among `ranks`.
        ranks: processes that share each step.
    """
    from torch.utils.data import DataLoader, Dataset

    class Steps(Dataset[dict[str, Any]]):  # type: ignore[misc]
        def __len__(self) -> int:
            return schedule.steps

        def __getitem__(self, step: int) -> dict[str, Any]:
            chosen = schedule.step_rows(step)
            share = batcher.shares(chosen, ranks)[rank]
            passes = [batcher.columns(one, idle=chosen[0]) for one in share]
            return {"passes": passes, "label_tokens": batcher.counted(chosen)[1]}

    return DataLoader(Steps(), batch_size=1, shuffle=False, collate_fn=_only)


def _only(items: list[dict[str, Any]]) -> dict[str, Any]:
    [item] = items
    return item
