"""Validation loss per language."""

from collections.abc import Sequence
from typing import Any

from tongues.tuning.batches import Batcher
from tongues.tuning.masks import Example
from tongues.tuning.trainer import answer_nll


def validation_losses(trainer: Any, examples: Sequence[Example], batcher: Batcher) -> dict[str, float]:
    """Mean negative log-likelihood per labelled token, by language and over "all".

    Args:
        trainer: with the model as it is now.
        examples: any order; none give an empty result.
        batcher: of these examples.
    """
    import torch

    totals: dict[str, list[float]] = {}
    trainer.model.eval()
    device = trainer.args.device
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=trainer.args.bf16):
        for lang in sorted({e.lang for e in examples}):
            for one in batcher.passes([i for i, e in enumerate(examples) if e.lang == lang]):
                batch = trainer._prepare_inputs(batcher.columns(one))
                nll = float(answer_nll(trainer.model, batch))
                for key in (lang, "all"):
                    total = totals.setdefault(key, [0.0, 0.0])
                    total[0] += nll
                    total[1] += sum(examples[i].label_tokens for i in one)
    return {lang: nll / tokens for lang, (nll, tokens) in totals.items()}
