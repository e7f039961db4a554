"""Packed passes against rows that go alone through plain transformers, on tiny models of several kinds."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest

from tongues.core.recipe import TuningSection
from tongues.tuning.attention import ROWS_APART, choose_layout
from tongues.tuning.batches import Batcher, packed_columns, step_loader
from tongues.tuning.masks import IGNORED, Example
from tongues.tuning.packing import Budget
from tongues.tuning.schedule import plan_schedule
from tongues.tuning.trainer import answer_nll, use_answer_head

SHAPE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.3,
    "pad_token_id": 0,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {},
    "mistral": {"sliding_window": 5},
    "gemma2": {"sliding_window": 5, "attn_logit_softcapping": 2.0, "final_logit_softcapping": None},
}


def rows(lengths: Sequence[int]) -> list[Example]:
    """Rows of given lengths; the last third of each is the answer."""
    made = []
    for n, length in enumerate(lengths):
        ids = tuple((7 * n + 3 * i * i + i) % 60 + 3 for i in range(length))
        made.append(Example(f"r{n}", "ca", ids, max(length - length // 3 - 1, 1)))
    return made


MIXED = rows([4, 31, 9, 400, 17, 2, 12])


def tiny(kind: str, **more: Any) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **SHAPE | KINDS.get(kind, {}) | more)
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()


def alone(model: Any, examples: Sequence[Example]) -> float:
    """Summed loss by plain transformers, one row at a time."""
    import torch

    total = 0.0
    for example in examples:
        ids, labels = torch.tensor([example.input_ids]), torch.tensor([example.labels])
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=labels, use_cache=False).loss) * example.label_tokens
    return total


def batcher(layout: Any, budget: Budget, examples: Sequence[Example] = MIXED) -> Batcher:
    return Batcher(examples, layout, budget, pad_id=0)


def summed(model: Any, feed: Batcher) -> Any:
    return sum(answer_nll(model, feed.columns(one)) for one in feed.passes(range(len(feed.rows))))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_loss_equals_that_of_rows_alone(kind: str) -> None:
    model = tiny(kind)
    expected = alone(model, MIXED)
    assert choose_layout(model, "fp32") == "packed"
    use_answer_head(model)
    tokens = sum(e.label_tokens for e in MIXED)
    for budget in (Budget(4096, 99), Budget(64, 99), Budget(4096, 2)):
        loss = float(summed(model, batcher("packed", budget)).detach())
        assert loss / tokens == pytest.approx(expected / tokens, abs=1e-4)


def test_plain_transformers_leaks_between_packed_rows_and_ours_does_not() -> None:
    import torch

    model = tiny("llama").train()
    first, other, second = MIXED[2], MIXED[4], MIXED[1]
    lines = [
        packed_columns([(row.input_ids, row.labels) for row in pair])
        for pair in ((first, second), (other, second))
    ]
    tail = len(second.input_ids)

    def moved(**how: Any) -> float:
        ends = [
            model(input_ids=x["input_ids"], position_ids=x["position_ids"], **how).logits[0, -tail:]
            for x in lines
        ]
        return float((ends[0] - ends[1]).abs().max())

    with torch.no_grad():
        assert moved() > 0.1  # the cache is on by default, and with it the bounds are not seen
        assert choose_layout(model, "fp32") == "packed"
        ends = [model(**{k: v for k, v in x.items() if k != "labels"}).logits[0, -tail:] for x in lines]
    assert float((ends[0] - ends[1]).abs().max()) < 1e-4


def test_packed_attention_without_bounds_is_refused() -> None:
    model = tiny("llama")
    choose_layout(model, "fp32")
    with pytest.raises(ValueError, match="needs the rows' bounds"):
        model(input_ids=packed_columns([([5, 6], [5, 6])])["input_ids"])


def test_choose_layout_model_that_carries_a_state_is_padded_and_keeps_its_kernel() -> None:
    model = tiny("mamba", state_size=4, num_hidden_layers=2)
    own = model.config._attn_implementation
    assert choose_layout(model, "fp32") == "padded"
    assert model.config._attn_implementation == own != ROWS_APART
    expected = alone(model, MIXED)
    use_answer_head(model)
    assert float(summed(model, batcher("padded", Budget(256, 4)))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_choose_layout_in_bf16_does_not_hang_on_the_kernel_the_model_came_with(kernel: str) -> None:
    import torch

    model = tiny("llama").to(torch.bfloat16)
    model.set_attn_implementation(kernel)
    assert choose_layout(model, "bf16") == "packed"
    stateful = tiny("mamba", state_size=4, num_hidden_layers=2).to(torch.bfloat16)
    assert choose_layout(stateful, "bf16") == "padded"


def test_gradient_of_a_step_is_the_same_however_it_is_split() -> None:
    import torch

    model = tiny("llama").train()
    choose_layout(model, "fp32")
    use_answer_head(model)
    found = []
    for layout, budget in (
        ("packed", Budget(4096, 99)),
        ("packed", Budget(40, 2)),
        ("padded", Budget(64, 3)),
    ):
        model.zero_grad()
        if layout == "padded":
            model.set_attn_implementation("sdpa")
        feed = batcher(layout, budget)
        for one in feed.passes(range(len(MIXED))):
            answer_nll(model, feed.columns(one)).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    scale = found[0].abs().max()
    assert all((grad - found[0]).abs().max() < 1e-5 * scale for grad in found[1:])


def test_step_loader_processes_together_see_the_step_and_weigh_it_alike() -> None:
    schedule = plan_schedule(len(MIXED), TuningSection(batch_rows=3), 5)
    feed = batcher("packed", Budget(64, 3))
    whole = list(step_loader(feed, schedule))
    shares = [list(step_loader(feed, schedule, rank=r, ranks=2)) for r in range(2)]
    for step, item in enumerate(whole):
        chosen = schedule.step_rows(step)
        assert item["label_tokens"] == sum(MIXED[i].label_tokens for i in chosen)
        assert {share[step]["label_tokens"] for share in shares} == {item["label_tokens"]}
        assert len({len(share[step]["passes"]) for share in shares}) == 1
        passes = chain.from_iterable(share[step]["passes"] for share in shares)
        labels = sum(int((one["labels"] != IGNORED).sum()) for one in passes)
        assert labels == item["label_tokens"]


def test_idle_process_moves_nothing() -> None:
    model = tiny("llama").train()
    choose_layout(model, "fp32")
    use_answer_head(model)
    loss = answer_nll(model, batcher("packed", Budget(64, 3)).columns((), idle=2))
    loss.backward()
    assert float(loss) == 0.0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_padding_share_is_nothing_when_packed_and_counted_by_hand_when_padded() -> None:
    examples = rows([10, 6, 4])
    assert batcher("packed", Budget(64, 9), examples).padding_share([(0, 1, 2)]) == 0.0
    # One pass of 3 rows of 10 slots with 20 tokens.
    assert batcher("padded", Budget(64, 9), examples).padding_share([(0, 1, 2)]) == pytest.approx(1 / 3)


def test_packed_columns_labels_no_rows_first_token() -> None:
    columns = packed_columns([((5, 6), (5, 6)), ((7, 8, 9), (7, 8, 9))])
    assert columns["labels"].tolist() == [[IGNORED, 6, IGNORED, 8, 9]]
    assert columns["position_ids"].tolist() == [[0, 1, 0, 1, 2]]
    assert columns["cu_seq_lens_q"].tolist() == [0, 2, 5]
