"""A causal language model on this machine, asked in batches through transformers.

Two questions: how likely is each option after a prompt, and what does the model answer. On a
CPU both are asked in fp32, because in bf16 what shares a batch moves a log-likelihood in its
third digit, enough to turn near ties, and PyTorch's bf16 kernels are slower at these sizes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tongues.core.errors import EvaluationError
from tongues.evaluation.greedy import GreedyBatch
from tongues.evaluation.likelihood import EncodedOptions, OptionScore, encode_options, score_options
from tongues.evaluation.runner import Done, trimmed


class LocalModel:
    """Weights and tokenizer of one folder, ready to be asked.

    Args:
        folder: safetensors weights with config and tokenizer; anything that would run code or
            unpickle is refused.
        batch_rows: prompts in one forward pass.

    Raises:
        EvaluationError: the folder holds no safetensors, is an adapter, or cannot be loaded.
    """

    def __init__(self, folder: Path, *, batch_rows: int) -> None:
        self.folder, self.batch_rows = folder, batch_rows
        _refuse_unsafe(folder)
        self.tokenizer, self.model = _load(folder)
        self.opening = _opening_tokens(self.tokenizer)
        self.stops = _stop_tokens(self.tokenizer, self.model.generation_config)

    def choice_loglikelihoods(
        self, prompts: Sequence[str], options: Sequence[Sequence[str]], *, done: Done = lambda _: None
    ) -> list[list[OptionScore]]:
        """Score every option of every prompt; the longest go first.

        Args:
            prompts: plain text.
            options: continuations, each with the space that joins it to its prompt.
            done: told of the prompts finished.

        Returns:
            Scores in the order given.

        Raises:
            EvaluationError: a prompt has no token before its options.
        """
        import torch

        encoded = encode_all(self.tokenizer, self.opening, prompts, options, where=str(self.folder))
        scores: dict[int, list[OptionScore]] = {}
        for batch in _batches([e.length for e in encoded], self.batch_rows):
            with torch.inference_mode():
                found = score_options(self.model, [encoded[i] for i in batch])
            scores.update(zip(batch, found, strict=True))
            done(len(batch))
        return [scores[i] for i in range(len(prompts))]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        systems: Sequence[str] = (),
        done: Done = lambda _: None,
    ) -> list[str]:
        """Answer each prompt greedily, as one user turn of the model's own chat template.

        Args:
            prompts: user messages.
            max_new_tokens: length limit of an answer; the end of turn stops earlier.
            systems: a system message for each prompt, "" for none; none at all when empty.
            done: told of the prompts finished.

        Returns:
            Answers in the order given, without special tokens and outer white space.

        Raises:
            EvaluationError: the tokenizer has no chat template.
        """
        import torch

        systems = systems or [""] * len(prompts)
        turns = [self._turn(prompt, system) for prompt, system in zip(prompts, systems, strict=True)]
        answers: dict[int, str] = {}
        for batch in _batches(list(map(len, turns)), self.batch_rows):
            with torch.inference_mode():
                greedy = GreedyBatch(self.model, [turns[i] for i in batch], self.stops)
                tokens = greedy.run(max_new_tokens, done)
            texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
            answers.update(zip(batch, map(trimmed, texts), strict=True))
        return [answers[i] for i in range(len(prompts))]

    def describe(self) -> str:
        """Libraries, device and number format."""
        return runner()

    def _turn(self, prompt: str, system: str) -> list[int]:
        """Token ids of a conversation that waits for the assistant."""
        if not self.tokenizer.chat_template:
            raise EvaluationError(
                "the tokenizer has no chat template, so there is no right way to ask",
                where=str(self.folder),
                fix="evaluate the instruction-tuned model, or store its template with the tokenizer",
            )
        told = [{"role": "system", "content": system}] if system else []
        told.append({"role": "user", "content": prompt})
        text = self.tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def encode_all(
    tokenizer: Any,
    opening: Sequence[int],
    prompts: Sequence[str],
    options: Sequence[Sequence[str]],
    *,
    where: str,
) -> list[EncodedOptions]:
    """Tokenise the options of every prompt; see `encode_options`.

    Raises:
        EvaluationError: a prompt has no token before its options.
    """
    try:
        return [
            encode_options(tokenizer, opening, prompt, choices)
            for prompt, choices in zip(prompts, options, strict=True)
        ]
    except ValueError as error:
        fix = "give the question at least one word that is not part of an option"
        raise EvaluationError(str(error), where=where, fix=fix) from error


def runner() -> str:
    """What the models run on here, for the report: libraries, device and number format."""
    import torch
    import transformers

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU, float32"
    return f"transformers {transformers.__version__}, PyTorch {torch.__version__}, {device}"


def _refuse_unsafe(folder: Path) -> None:
    if (folder / "adapter_config.json").exists():
        raise EvaluationError(
            "this is an adapter, not a whole model",
            where=str(folder),
            fix="merge it into its base model first; `tongues finetune` writes the merged model too",
        )
    if not any(folder.glob("*.safetensors")):
        raise EvaluationError(
            "no safetensors weights here",
            where=str(folder),
            fix="save the model with save_pretrained; pickled weights are never loaded",
        )


def _load(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # one line of ours tells more than a bar per file
    cuda = torch.cuda.is_available()
    closed: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **closed)
        model = AutoModelForCausalLM.from_pretrained(
            folder, use_safetensors=True, dtype="auto" if cuda else torch.float32, **closed
        )
    except Exception as error:  # a broken folder raises whatever its first broken file leads to
        raise EvaluationError(
            f"the model cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=str(folder),
            fix="check that config.json, tokenizer.json and model.safetensors belong together",
        ) from error
    return tokenizer, model.to("cuda" if cuda else "cpu").eval()


def load_tokenizer(folder: Path) -> tuple[Any, list[int]]:
    """A folder's tokenizer, and what it puts before every text.

    Raises:
        EvaluationError: there is none that can be loaded.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a broken folder raises whatever its first broken file leads to
        raise EvaluationError(
            f"the tokenizer cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=str(folder),
            fix="give the folder of the served model, or of its base",
        ) from error
    return tokenizer, _opening_tokens(tokenizer)


def _opening_tokens(tokenizer: Any) -> list[int]:
    """What the tokenizer puts before every text (such as BOS), without what it may put behind."""
    empty = tokenizer("", add_special_tokens=True)["input_ids"]
    return [token for token in empty if token != tokenizer.eos_token_id]


def _stop_tokens(tokenizer: Any, generation_config: Any) -> list[int]:
    """End of text and end of turn, as the tokenizer and the model's own settings name them."""
    named = generation_config.eos_token_id
    stops = {tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])}
    return sorted(stop for stop in stops if stop is not None)


def _batches(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, longest first; equal lengths keep their order."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    return (order[at : at + rows] for at in range(0, len(order), rows))
