"""A loaded encoder-decoder model: sentences in, sentences out, on this machine's best device."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tongues.core.errors import EngineError, EngineUnavailableError
from tongues.core.languages import languages
from tongues.inference.engine import Outcome, failed
from tongues.translation.seq2seq_codes import Naming, language_token

INSTALL = "pip install 'tongues[train]'"
_DEFAULT_POSITIONS = 512
"""Tokens of one sentence where a model states no limit (T5 and MADLAD)."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How answers are searched: always beams or greedy, never at random."""

    beams: int
    max_output_tokens: int
    batch_sentences: int


class Seq2SeqTokenizer:
    """Sentences to numbers and back; language tokens are put in by number, never read out of a text.

    Args:
        folder: with the tokenizer's files.
        naming: how the model names languages.

    Raises:
        EngineUnavailableError: there is no tokenizer that works without code from the folder.
    """

    def __init__(self, folder: Path, naming: Naming) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError as error:
            raise EngineUnavailableError(
                f"{error.name} is not installed", where="seq2seq", fix=INSTALL
            ) from None
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
            raise EngineUnavailableError(
                f"no usable tokenizer ({first_line(error)})", where=str(folder)
            ) from error
        self._naming: Naming = naming
        self.eos, self.pad, self.unknown = (
            self._tokenizer.eos_token_id,
            self._tokenizer.pad_token_id,
            self._tokenizer.unk_token_id,
        )

    def knows(self, lang: str) -> bool:
        """Whether the model has a token for a language (BCP-47)."""
        return language_token(lang, self._naming, self._has) is not None

    def encode(self, sentence: str, source: str, target: str) -> list[int]:
        """Numbers of a sentence with what the model wants before and behind it."""
        asked = target if self._naming == "madlad" else source
        # What looks like a special token in a text is text: no row ends itself or picks its language.
        text = self._tokenizer(sentence, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return [self._number(asked), *text, self.eos]

    def commands(self, tokens: list[int]) -> list[str]:
        """Tokens of the model's own inside an encoded sentence: some tokenizers read them out of a text."""
        return [self._spelled(number) for number in tokens[1:-1] if number in self._control]

    def first_token(self, target: str) -> int | None:
        """The token that an answer must begin with; None where the model needs none."""
        return None if self._naming == "madlad" else self._number(target)

    def decode(self, tokens: list[int]) -> str:
        """The text of an answer."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text.strip()

    @cached_property
    def _control(self) -> frozenset[int]:
        tokens = (language_token(lang, self._naming, self._has) for lang in languages())
        return frozenset({self.eos, self.pad, *(self._id(token) for token in tokens if token)})

    def _number(self, lang: str) -> int:
        token = language_token(lang, self._naming, self._has)
        if token is None:
            raise EngineUnavailableError(f"the model does not know {lang}", where="seq2seq")
        return self._id(token)

    def _has(self, token: str) -> bool:
        return self._id(token) not in (None, self.unknown)

    def _id(self, token: str) -> int:
        number: int = self._tokenizer.convert_tokens_to_ids(token)
        return number

    def _spelled(self, number: int) -> str:
        return str(self._tokenizer.convert_ids_to_tokens(number))


class Seq2SeqModel:
    """The weights with their tokenizer.

    Args:
        folder: safetensors weights, config and tokenizer.
        tokenizer: of the same folder.
        precision: "auto" takes bf16 where the device computes in it natively.

    Raises:
        EngineUnavailableError: unknown architecture, or broken files.
    """

    def __init__(
        self, folder: Path, tokenizer: Seq2SeqTokenizer, precision: Literal["auto", "bf16", "fp32"]
    ) -> None:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForSeq2SeqLM
        from transformers.utils import logging

        logging.disable_progress_bar()  # it would draw into the log of every pod
        self._tokenizer = tokenizer
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = (
            torch.bfloat16 if precision == "bf16" or (precision == "auto" and _has_bf16()) else torch.float32
        )
        try:
            self._model: Any = AutoModelForSeq2SeqLM.from_pretrained(
                folder, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise EngineUnavailableError(
                f"cannot load the model ({first_line(error)})", where=str(folder)
            ) from error
        self._model.to(self._device).eval()
        config = self._model.config
        self.max_input_tokens = int(getattr(config, "max_position_embeddings", None) or _DEFAULT_POSITIONS)
        self._start = self._model.generation_config.decoder_start_token_id or config.decoder_start_token_id

    def translate(self, batch: Sequence[list[int]], target: str, decoding: Decoding) -> list[Outcome]:
        """Translate one batch.

        Args:
            batch: encoded sentences, best of about the same length.
            target: BCP-47 code.
            decoding: how to search.

        Returns:
            One outcome per sentence; one that does not come to its end is a failure, never cut off.

        Raises:
            EngineError: the device has no memory for the batch.
        """
        import torch

        longest = max(map(len, batch))
        ids = torch.tensor([tokens + [self._tokenizer.pad] * (longest - len(tokens)) for tokens in batch])
        mask = torch.tensor([[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in batch])
        try:
            with torch.inference_mode():
                answers = self._model.generate(
                    input_ids=ids.to(self._device),
                    attention_mask=mask.to(self._device),
                    generation_config=self._settings(target, decoding),
                ).tolist()
        except torch.OutOfMemoryError as error:
            raise EngineError(
                f"no memory for {len(batch)} sentences of {longest} tokens",
                where="seq2seq",
                fix="lower translation.engine.batch_rows or beams",
            ) from error
        return [self._outcome(len(tokens), answer) for tokens, answer in zip(batch, answers, strict=True)]

    def _settings(self, target: str, decoding: Decoding) -> Any:
        """All that decides about the answer; what the model's folder recommends is left aside."""
        from transformers import GenerationConfig

        settings = GenerationConfig(
            do_sample=False,
            num_beams=decoding.beams,
            max_new_tokens=decoding.max_output_tokens,
            decoder_start_token_id=self._start,
            forced_bos_token_id=self._tokenizer.first_token(target),
            eos_token_id=self._tokenizer.eos,
            pad_token_id=self._tokenizer.pad,
        )
        self._model.generation_config = settings
        return settings

    def _outcome(self, prompt_tokens: int, answer: list[int]) -> Outcome:
        body = answer[1:]  # the first token only starts the decoder, in NLLB it is the end sign itself
        if self._tokenizer.eos not in body:
            return failed("truncated", f"no end after {len(body)} tokens", permanent=True)
        body = body[: body.index(self._tokenizer.eos)]
        if self._tokenizer.unknown in body:
            return failed("unknown-letters", "the model cannot write some letters of it", permanent=True)
        text = self._tokenizer.decode(body)
        if not text:
            return failed("empty-answer", "the model gave no text", permanent=True)
        return Outcome(text, prompt_tokens=prompt_tokens, completion_tokens=len(body) + 1)


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _has_bf16() -> bool:
    """Whether the GPU, or else the CPU, multiplies in bf16 natively."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16") or able.get("bf16"))
