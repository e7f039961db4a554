"""Fused adapter layer and chunked loss against PEFT and torch."""

from typing import Any

import pytest

from tongues.core.recipe import LoraSection
from tongues.tuning import answer_loss
from tongues.tuning.answer_loss import summed_nll
from tongues.tuning.fused_lora import draw_dropped, fuse_lora
from tongues.tuning.modes import lora_config


def adapted(bias: bool = True, **lora: Any) -> Any:
    import torch
    from peft import get_peft_model
    from torch import nn

    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(12, 20, bias=bias), nn.Tanh(), nn.Linear(20, 6))
    config = lora_config(LoraSection(r=4, alpha=8, target_modules=("0", "2"), **lora))
    config.task_type = None
    model = get_peft_model(model, config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    return model


def outcome(model: Any) -> list[Any]:
    import torch

    x = torch.linspace(-1, 1, 5 * 12).reshape(1, 5, 12).requires_grad_()
    out = model(x)
    out.square().sum().backward()
    return [out.detach(), x.grad, *[p.grad for p in model.parameters() if p.requires_grad]]


@pytest.mark.parametrize("variant", ["standard", "rslora"])
def test_fused_layer_gives_pefts_outputs_and_gradients(variant: str) -> None:
    theirs, ours = (adapted(dropout=0.0, variant=variant) for _ in range(2))
    assert fuse_lora(ours) == 2
    for one, other in zip(outcome(theirs), outcome(ours), strict=True):
        assert (one - other).abs().max() < 1e-5


def test_fused_layer_leaves_dora_and_disabled_adapters_to_peft() -> None:
    import torch

    assert fuse_lora(adapted(variant="dora")) == 0
    model, x = adapted(dropout=0.0), torch.ones(2, 12)
    with torch.no_grad(), model.disable_adapter():
        bare = model(x)
    fuse_lora(model)
    with torch.no_grad():
        assert (model(x) - bare).abs().max() > 0.1
        with model.disable_adapter():
            assert torch.equal(model(x), bare)


def test_fused_layer_gradient_with_dropout_is_that_of_the_mask_it_drew() -> None:
    import torch

    model = adapted(dropout=0.4)
    fuse_lora(model)
    layer, x = model.base_model.model[0], torch.randn(3, 12, dtype=torch.float64).float().requires_grad_()

    def out() -> Any:
        torch.manual_seed(9)
        return layer(x)

    weights = torch.randn(3, 20)
    (out() * weights).sum().backward()
    for row, column in ((0, 0), (1, 5), (2, 11)):
        with torch.no_grad():
            x[row, column] += 0.5
            high = (out() * weights).sum()
            x[row, column] -= 1.0
            low = (out() * weights).sum()
            x[row, column] += 0.5
        assert float(high - low) == pytest.approx(float(x.grad[row, column]), abs=1e-4)


def test_fused_layer_drops_only_in_training_and_keeps_the_mean() -> None:
    import torch

    model, x = adapted(bias=False, dropout=0.3), torch.ones(4000, 12)
    fuse_lora(model)
    layer = model.base_model.model[0]
    with torch.no_grad():
        whole = layer.eval()(x)
        assert torch.equal(whole, layer(x))
        dropped = layer.train()(x)
    assert not torch.equal(dropped, whole)
    assert (dropped.mean(0) - whole.mean(0)).abs().max() < 0.1


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5, 0.99])
def test_draw_dropped_is_a_bernoulli_process(share: float) -> None:
    import torch

    torch.manual_seed(4)
    n = 200_000
    at = draw_dropped(n, share)
    assert (at.diff() > 0).all()
    assert 0 <= at[0] <= at[-1] < n
    spread = (n * share * (1 - share)) ** 0.5
    assert abs(len(at) - n * share) < 5 * spread
    hit = torch.zeros(n, dtype=torch.bool)
    hit[at] = True
    both = int((hit[1:] & hit[:-1]).sum())  # neighbours do not know of each other
    assert abs(both - n * share**2) < 6 * (n * share**2) ** 0.5 + 1
    assert abs(int(hit[: n // 2].sum()) - n * share / 2) < 5 * spread


@pytest.mark.parametrize("elements", [1, 2, 7])
def test_draw_dropped_few_elements_each_position_gets_its_share(elements: int) -> None:
    import torch

    torch.manual_seed(5)
    counts = torch.zeros(elements)
    for _ in range(2000):
        counts[draw_dropped(elements, 0.3)] += 1
    assert ((counts / 2000 - 0.3).abs() < 0.06).all()


@pytest.mark.parametrize("chunk_bytes", [1, 300, 1 << 20])
def test_summed_nll_equals_cross_entropy_with_both_gradients(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(answer_loss, "_CHUNK_BYTES", chunk_bytes)
    torch.manual_seed(6)
    labels = torch.randint(0, 11, (9,))
    start = [torch.randn(9, 5), torch.randn(11, 5)]
    found = []
    for function in (
        summed_nll,
        lambda h, w, y: torch.nn.functional.cross_entropy(h @ w.T, y, reduction="sum"),
    ):
        hidden, weight = (x.clone().requires_grad_() for x in start)
        loss = function(hidden, weight, labels)
        (3 * loss).backward()
        found.append([loss.detach(), hidden.grad, weight.grad])
    for one, other in zip(*found, strict=True):
        assert (one - other).abs().max() < 1e-4
