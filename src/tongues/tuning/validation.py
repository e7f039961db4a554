"""Validation loss per language."""

from collections.abc import Sequence
from typing import Any

from tongues.tuning.masks import Example
from tongues.tuning.trainer import answer_nll


def validation_losses(trainer: Any, examples: Sequence[Example], batch_rows: int) -> dict[str, float]:
    """Mean negative log-likelihood per labelled token, by language and over "all".

    Args:
        trainer: with the model as it is now.
        examples: any order; none give an empty result.
        batch_rows: rows of one forward pass.
    """
    import torch

    totals: dict[str, list[float]] = {}
    trainer.model.eval()
    device = trainer.args.device
    cast = torch.autocast(device.type, torch.bfloat16, enabled=trainer.args.bf16)
    ordered = sorted(examples, key=lambda e: (e.lang, len(e.input_ids)))
    with torch.no_grad(), cast:
        for lang in sorted({e.lang for e in examples}):
            rows = [e for e in ordered if e.lang == lang]
            for at in range(0, len(rows), batch_rows):
                part = rows[at : at + batch_rows]
                batch = trainer.data_collator([e.columns() for e in part])
                nll = answer_nll(trainer.model, {k: v.to(device) for k, v in batch.items()})
                for key in (lang, "all"):
                    total = totals.setdefault(key, [0.0, 0.0])
                    total[0], total[1] = total[0] + float(nll), total[1] + sum(e.label_tokens for e in part)
    return {lang: nll / tokens for lang, (nll, tokens) in totals.items()}
