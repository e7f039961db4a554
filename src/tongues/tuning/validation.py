"""Validation loss per language."""

from collections.abc import Sequence
from typing import Any

from tongues.tuning.batches import Batcher
from tongues.tuning.masks import Example
from tongues.tuning.ranks import Ranks
from tongues.tuning.sharding import let_go
from tongues.tuning.trainer import answer_nll


def validation_losses(trainer: Any, examples: Sequence[Example], batcher: Batcher) -> dict[str, float]:
    """Mean negative log-likelihood per labelled token, by language and over "all".

    Several processes share the rows, and all get the result.

    Args:
        trainer: with the model as it is now.
        examples: any order; none give an empty result.
        batcher: of these examples.
    """
    import torch

    ranks, device = Ranks.here(), trainer.args.device
    rows: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        rows.setdefault(example.lang, []).append(i)
    own: dict[str, float] = {}
    trainer.model.eval()
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=trainer.args.bf16):
        for lang in sorted(rows):
            passes = batcher.shares(rows[lang], ranks.count)[ranks.rank]
            batches = (trainer._prepare_inputs(batcher.columns(one, idle=rows[lang][0])) for one in passes)
            own[lang] = sum(float(answer_nll(trainer.model, batch)) for batch in batches)
    let_go(trainer.model)
    summed = dict(zip(own, ranks.summed(list(own.values())), strict=True))
    tokens = {lang: sum(examples[i].label_tokens for i in rows[lang]) for lang in summed}
    losses = {lang: nll / tokens[lang] for lang, nll in summed.items()}
    return losses | ({"all": sum(summed.values()) / sum(tokens.values())} if losses else {})
