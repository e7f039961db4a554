"""Runners that need more than the weights: a vLLM server of one's own, or an endpoint that is there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tongues.core.recipe import EndpointSection, OpenAIEngine
from tongues.evaluation.runner import Runner
from tongues.evaluation.served import ServedModel
from tongues.inference.ledger import Ledger
from tongues.serving.local import serving
from tongues.serving.vllm_command import ServerPlan, dtype_of
from tongues.stages.given import Given
from tongues.stages.weights import weights_folder, weights_sha256
from tongues.stages.workspace import Output, Workspace

ASKED = "asked"
"""Folder with the ledger of a model's own answers: what was answered there is not asked again."""
_TIMEOUT_S = 1_800.0
_LEDGER_NAME = "answers.sqlite"


@contextmanager
def vllm_runner(
    given: Given, workspace: Workspace, model: Output, folder: Path
) -> Iterator[Callable[[], Runner]]:
    """A function that starts a vLLM server for a model; the server lives as long as the block.

    Merged weights are served, never an adapter: under --enable-lora on a CPU vLLM dies of the very requests
    that multiple choice needs.

    Args:
        given: the recipe, whose serving section says how long prompts may be and in what precision.
        workspace: for the server's log.
        model: a base or tuned model.
        folder: for the ledger of answers, which is this model's alone.
    """
    with ExitStack() as stack:

        def started() -> Runner:
            settings, weights = given.recipe.serving, weights_folder(model)
            plan = ServerPlan(
                weights,
                weights_sha256(model)[:16],
                max_model_len=settings.max_model_len,
                dtype=dtype_of(settings.precision),
            )
            servers = serving(
                [plan],
                workspace=workspace.local,
                ready_timeout_s=settings.ready_timeout_s,
                say=workspace.say,
            )
            (endpoint,) = stack.enter_context(servers)
            section = endpoint_section(endpoint.url, endpoint.name)
            return stack.enter_context(served_model(section, weights, folder))

        yield started


@contextmanager
def served_model(section: OpenAIEngine, tokenizer: Path | None, folder: Path) -> Iterator[ServedModel]:
    """An endpoint with the ledger of its answers in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(folder / _LEDGER_NAME) as ledger:
        yield ServedModel(section, ledger, tokenizer)


def endpoint_section(base_url: str, model: str, api_key_env: str | None = None) -> OpenAIEngine:
    """Settings for one endpoint that serves a model to be measured."""
    endpoint = EndpointSection(base_url=base_url, api_key_env=api_key_env)
    return OpenAIEngine(kind="openai", endpoints=(endpoint,), model=model, timeout_s=_TIMEOUT_S)
