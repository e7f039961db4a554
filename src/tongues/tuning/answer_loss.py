"""The loss over the vocabulary, a few rows at a time, with its gradient made on the way.

Logits of a whole batch are the largest tensors of a step: 4,096 tokens against 150,000 entries are
2.5 GB in fp32, three times over with their gradient. Here no more than some 64 MB of them exist at
once, and each is computed once: the gradient of a sum does not have to wait for the backward pass, it
is only scaled there. The same idea as in Liger's fused loss (arXiv 2410.10989), in plain torch.
"""

from typing import Any

_CHUNK_BYTES = 64 << 20
_made: list[Any] = []


def summed_nll(hidden: Any, weight: Any, labels: Any) -> Any:
    """Sum of the negative log-likelihoods (nats) of labels under ``softmax(hidden weight')``.

    Args:
        hidden: ``[tokens, size]``, in the type the products are taken in.
        weight: ``[vocabulary, size]``, of the same type.
        labels: ``[tokens]``; none of them is masked.
    """
    if not _made:
        _made.append(_make_operation())
    return _made[0].apply(hidden, weight, labels)


def _make_operation() -> Any:
    import torch

    class SummedNll(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, hidden: Any, weight: Any, labels: Any) -> Any:
            learns = any(ctx.needs_input_grad[:2])
            grad_hidden = torch.empty_like(hidden) if learns else None
            grad_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
            total = hidden.new_zeros((), dtype=torch.float32)
            rows = max(_CHUNK_BYTES // (4 * weight.shape[0]), 1)
            for at in range(0, len(labels), rows):
                part, wanted = hidden[at : at + rows], labels[at : at + rows, None]
                scores = torch.mm(part, weight.t()).float()
                norm = torch.logsumexp(scores, dim=1, keepdim=True)
                total += (norm - scores.gather(1, wanted)).sum()
                if grad_hidden is None:
                    continue
                grad = scores.sub_(norm).exp_().scatter_add_(1, wanted, -torch.ones_like(norm))
                grad = grad.to(hidden.dtype)
                torch.mm(grad, weight, out=grad_hidden[at : at + rows])
                if grad_weight is not None:
                    grad_weight += torch.mm(grad.t(), part)
            ctx.save_for_backward(grad_hidden, grad_weight)
            return total

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            grad_hidden, grad_weight = ctx.saved_tensors
            scaled = None if grad_weight is None else (grad_weight * grad).to(grad_hidden.dtype)
            return grad_hidden * grad.to(grad_hidden.dtype), scaled, None

    return SummedNll
