"""Tiny tokenizers in four chat styles and a tiny random Llama, made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import save_tiny_llama
from tongues.core.records import Message, Record, Source

CHATML = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}"
    "<|im_start|>system\nYou help.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
STYLES: dict[str, tuple[str, list[str], str]] = {
    "chatml": (CHATML, ["<|im_start|>", "<|im_end|>"], "<|im_end|>"),
    "llama3": (LLAMA3, ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|eot_id|>"),
    "gemma": (GEMMA, ["<start_of_turn>", "<end_of_turn>"], "<end_of_turn>"),
    "mistral": (MISTRAL, [], "</s>"),
}
_TEXT = ["Good morning, how are you?", "Buenos días, ¿cómo está?", "Bon dia, com va tot?", "one two three"]


def tiny_tokenizer(style: str) -> Any:
    """A BPE tokenizer of some 320 tokens: byte-level, or SentencePiece-like for Mistral."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    template, marks, end = STYLES[style]
    specials = ["<s>", "</s>", *marks]
    bpe = Tokenizer(models.BPE(unk_token="<s>" if style == "mistral" else None))
    if style == "mistral":
        bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        bpe.decoder = decoders.Metaspace(prepend_scheme="first")
        trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=specials, show_progress=False)
    else:
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    bpe.train_from_iterator([*_TEXT, "[INST] abcdefghijklmnopqrstuvwxyz [/INST] \n.,!0123456789"], trainer)
    eos = end if style != "gemma" else "</s>"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token=eos, pad_token=eos)
    tokenizer.add_special_tokens({"additional_special_tokens": marks} if marks else {})
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Matrices this small gain nothing from threads, and waiting threads cost the other tests time."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizers_by_style() -> dict[str, Any]:
    """All four, made once."""
    return {style: tiny_tokenizer(style) for style in STYLES}


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, tokenizers_by_style: dict[str, Any]) -> Path:
    """A random two-layer Llama in fp32 with the ChatML tokenizer, as a model folder."""
    tokenizer = tokenizers_by_style["chatml"]
    return save_tiny_llama(tmp_path_factory.mktemp("base"), tokenizer, context_tokens=512, spread=0.2)


def make_record(user: str, answer: str, lang: str = "es", system: str = "") -> Record:
    """A record of one exchange."""
    turns = [Message("system", system, "en")] if system else []
    turns += [Message("user", user, "en"), Message("assistant", answer, lang)]
    source = Source("tests", "1", "0", "CC0-1.0")
    return Record.create(messages=tuple(turns), group=user, method="direct", source=source)


@pytest.fixture
def record() -> Callable[..., Record]:
    """`make_record`."""
    return make_record


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """Twenty-four rows of mixed length in two languages."""
    rows = []
    for i in range(24):
        words = " ".join(["uno", "dos", "tres", "quatre", "cinc"][: 1 + i % 5] * (1 + i % 3))
        rows.append(make_record(f"Count to {i}, please", f"{words} {i}.", "es" if i % 2 else "ca"))
    return rows
