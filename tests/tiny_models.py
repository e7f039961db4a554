"""Models small enough for a test and real enough to be trained, merged and asked: made on the spot."""

from pathlib import Path
from typing import Any

_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXT = ["Good morning, how are you?", "Buenos días, ¿cómo está?", "Bos días, como está?", "one two three"]


def save_tiny_llama(
    folder: Path, tokenizer: Any, *, context_tokens: int, spread: float = 0.02, hidden_size: int = 32
) -> Path:
    """Write a random two-layer Llama in fp32 with a tokenizer; the same bytes each time.

    Args:
        folder: receives the model.
        tokenizer: its size and special tokens are the model's.
        context_tokens: longest input.
        spread: standard deviation of the weights; 0.2 makes answers differ visibly.
        hidden_size: in four heads; 128 is the smallest that vLLM computes on a CPU.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context_tokens,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=spread,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tiny_base(folder: Path, **more: Any) -> Path:
    """Write a tiny Llama with a byte-level tokenizer and a ChatML template; see `save_tiny_llama`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    marks = ["<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<s>", *marks], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(_TEXT, trainer)
    end = marks[1]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token=end, pad_token=end)
    tokenizer.chat_template = _TEMPLATE
    return save_tiny_llama(folder, tokenizer, context_tokens=1024, **more)
