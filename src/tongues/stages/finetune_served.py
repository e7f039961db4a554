"""Does vLLM answer like transformers does? The parity gate's other half: the engine that will serve.

Adapter and merged weights are each started in vLLM, and asked for the answers that the same weights gave in
transformers. Prompts travel as token ids, so that both compute on the very same tokens; that vLLM renders the
user's turn to these ids, with the chat template it would serve with, is asked for apart. Where vLLM takes
another token than transformers did, the difference is noted and it is asked again from behind that token.
"""

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tongues.core.errors import ServingError, TuningError
from tongues.core.recipe import Recipe
from tongues.serving.local import serving
from tongues.serving.vllm_command import ServerPlan, computes_on_cpu, dtype_of
from tongues.stages.weights import ADAPTER, MERGED
from tongues.stages.workspace import Workspace
from tongues.tuning.parity import Answer, Bounds, Likeness, Parity, Score, judge

T = TypeVar("T")

SERVED = {
    "float32": Bounds(agreement=0.98, mean=0.002, largest=0.05),
    "bfloat16": Bounds(agreement=0.9, mean=0.05, largest=0.75),
}
"""vLLM against transformers on the same weights, by what vLLM computes in; transformers computes in fp32."""

_ALTERNATIVES = 20
"""Tokens whose log-probabilities come back at each place: the most that vLLM gives unless told otherwise."""
_TIMEOUT_S = 600.0
_FIX = (
    "look at the server's log; where this vLLM cannot serve the model, write tuning.safety.parity: "
    "transformers, and nothing is held against vLLM"
)


def served_sides(recipe: Recipe) -> tuple[str, ...]:
    """Which of "merged" and "adapter" vLLM has to answer alike for this recipe, on this machine.

    Raises:
        ServingError: the recipe asks for vLLM, and it is not installed.
    """
    wanted = recipe.tuning.safety.parity
    if wanted == "transformers" or (wanted == "auto" and not _installed()):
        return ()
    on_cpu = computes_on_cpu()
    if not recipe.has_servable_adapter:
        return (MERGED,)
    if wanted == "vllm":
        return (MERGED, ADAPTER)
    by_mode = {"merged": MERGED, "adapter": ADAPTER, "auto": MERGED if on_cpu else ADAPTER}
    return (by_mode[recipe.serving.mode],)


def served_parity(
    recipe: Recipe, workspace: Workspace, base: Path, folder: Path, alike: Parity
) -> dict[str, Likeness]:
    """Hold what vLLM answers against what transformers did with the same weights.

    Args:
        recipe: says which sides, and how they are served.
        workspace: for the servers' logs.
        base: folder of the base model, which an adapter is served beside.
        folder: with the weights written.
        alike: what transformers answered.

    Returns:
        "merged" and "adapter", those that were asked, to how alike they answer.

    Raises:
        ServingError: a server does not start, or does not answer.
        TuningError: it answers otherwise.
    """
    if not (sides := served_sides(recipe)):
        return {}
    gc.collect()  # of two models that were compared, nothing is to stay beside the servers
    dtype = dtype_of(recipe.serving.precision)
    recorded = {MERGED: alike.written, ADAPTER: alike.trained}
    longest = max(len(answer.prompt_ids) + len(answer.ids) for answer in alike.trained)
    plans = [_plan(side, base, folder, dtype, max_model_len=longest + 1) for side in sides]
    limit_s = recipe.serving.ready_timeout_s
    with serving(plans, workspace=workspace.local, ready_timeout_s=limit_s, say=workspace.say) as servers:
        return {
            side: likeness(server.url, side, recorded[side], SERVED[dtype], where=str(folder / side))
            for side, server in zip(sides, servers, strict=True)
        }


def likeness(url: str, model: str, recorded: Sequence[Answer], bounds: Bounds, *, where: str) -> Likeness:
    """Hold what a served model answers against recorded answers.

    Args:
        url: address, up to and with /v1.
        model: its name there.
        recorded: what the same weights answered, and how they score it.
        bounds: what is allowed.
        where: the weights, for messages.

    Raises:
        ServingError: it does not answer, or not with tokens and log-probabilities.
        TuningError: it renders a prompt otherwise, or answers otherwise.
    """
    with httpx.Client(base_url=url.removesuffix("/v1"), timeout=_TIMEOUT_S, trust_env=False) as client:
        server = _Server(client, model)
        for answer in recorded:
            server.check_rendering(answer, where)
        found = [replace(answer, scores=tuple(server.scores(answer))) for answer in recorded]
    return judge(recorded, found, bounds, who=f"vLLM ({model}) does", where=where, fix=_FIX)


def told(sides: Mapping[str, Likeness]) -> list[str]:
    """A line for each side that was asked."""
    return [
        f"finetune: vLLM answers like transformers ({side}): {one.same_answers} of {one.prompts} answers and "
        f"{one.agreement:.1%} of {one.tokens} tokens, log-probabilities apart by {one.mean_difference:.1e} "
        f"nats on average and {one.max_difference:.1e} at most"
        for side, one in sides.items()
    ]


def _installed() -> bool:
    try:
        computes_on_cpu()
    except ServingError:
        return False
    return True


def _plan(side: str, base: Path, folder: Path, dtype: str, *, max_model_len: int) -> ServerPlan:
    if side == MERGED:
        return ServerPlan(folder / MERGED, MERGED, max_model_len=max_model_len, dtype=dtype)
    return ServerPlan(base, ADAPTER, adapter=folder / ADAPTER, max_model_len=max_model_len, dtype=dtype)


class _Server:
    """One model of a vLLM server, asked for tokens and their log-probabilities."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self._client, self._model = client, model

    def check_rendering(self, answer: Answer, where: str) -> None:
        """See that the server's chat template makes the same tokens of a user's turn."""
        turns = [{"role": "user", "content": answer.prompt}]
        asked = {"messages": turns, "add_generation_prompt": True, "add_special_tokens": False}
        if self._post("/tokenize", asked, _tokens) != answer.prompt_ids:
            raise TuningError(
                f"vLLM ({self._model}) renders a prompt to other tokens than it was trained on",
                where=where,
                fix="serve it with the chat template and the tokenizer that stand beside the weights",
            )

    def scores(self, answer: Answer) -> Iterator[Score]:
        """What it prefers at each place of the answer, and how likely it finds the token there."""
        at = 0
        while at < len(answer.ids):
            for taken, score in self._continued(answer, at):
                yield score
                at += 1
                if taken != answer.ids[at - 1]:
                    break  # what it would say from here on follows another token

    def _continued(self, answer: Answer, at: int) -> list[tuple[int, Score]]:
        """The token it takes and the score, at each place from one on; they may leave the answer."""
        left = answer.ids[at:]
        asked = {
            "prompt": [*answer.prompt_ids, *answer.ids[:at]],
            "temperature": 0,
            "max_tokens": len(left),
            "min_tokens": len(left),
            "logprobs": _ALTERNATIVES,
            "return_tokens_as_token_ids": True,
        }
        return self._post("/v1/completions", asked, partial(_steps, left))

    def _post(self, path: str, asked: dict[str, Any], read: Callable[[Any], T]) -> T:
        try:
            reply = self._client.post(path, json={"model": self._model} | asked)
            reply.raise_for_status()
            return read(reply.json())
        except (httpx.HTTPError, LookupError, TypeError, ValueError, AttributeError) as error:
            words = f"{type(error).__name__}: {error}"
            raise ServingError(
                f"no usable answer to {path} ({words})", where=self._model, fix=_FIX
            ) from error


def _tokens(document: Any) -> tuple[int, ...]:
    return tuple(document["tokens"])


def _steps(expected: Sequence[int], document: Any) -> list[tuple[int, Score]]:
    said = document["choices"][0]["logprobs"]
    steps = zip(said["tokens"], said["top_logprobs"], expected, strict=True)
    return [(_id(taken), _score(tops, token)) for taken, tops, token in steps]


def _id(token: str) -> int:
    return int(token.removeprefix("token_id:"))


def _score(tops: Mapping[str, float], expected: int) -> Score:
    """Preferred token, and log-probability of the expected one; minus infinity where others are likelier."""
    by_id = {_id(token): value for token, value in tops.items()}
    return max(by_id, key=by_id.__getitem__), by_id.get(expected, -math.inf)
