"""A real model with random weights, two layers deep, and a small parallel suite."""

import json
from pathlib import Path

import pytest

from tongues.evaluation.suite import Suite, load_suite

TEXTS = [
    "the sun is a star and the moon is not a star",
    "el sol es una estrella y la luna no es una estrella",
    "o sol é unha estrela e a lúa non é unha estrela, cómpre miralas",
    "Question: what do we see at night? Answer: the stars in the sky",
]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `save_pretrained` leaves it: Llama, 2 layers, byte-level BPE of 300 tokens."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.post_processor = processors.ByteLevel(trim_offsets=True)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        TEXTS * 3, trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=special[0], eos_token=special[1], pad_token=special[1]
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
        initializer_range=0.6, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny-model")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


CHOICES = {
    "en": [("At night we see ...", ["the plates", "the stars", "the sun", "a shoe"], "B"),
           ("What is the moon?", ["not a star", "a star", "a plate", "the sky"], "A"),
           ("Water is ...", ["dry", "hot always", "a stone", "wet"], "D")],
    "es": [("De noche vemos ...", ["los platos", "las estrellas", "el sol", "un zapato"], "B"),
           ("¿Qué es la luna?", ["no es una estrella", "una estrella", "un plato", "el cielo"], "A"),
           ("El agua está ...", ["seca", "siempre caliente", "de piedra", "mojada"], "D")],
    "gl": [("De noite vemos ...", ["os pratos", "as estrelas", "o sol", "un zapato"], "B"),
           ("Que é a lúa?", ["non é unha estrela", "unha estrela", "un prato", "o ceo"], "A"),
           ("A auga está ...", ["seca", "sempre quente", "de pedra", "mollada"], "D")],
}  # fmt: skip
SENTENCES = {
    "en": ["The sun is a star.", "I see the moon."],
    "es": ["El sol es una estrella.", "Veo la luna."],
    "gl": ["O sol é unha estrela.", "Vexo a lúa."],
}
PROMPTS = {"en": ["What is the sun?"], "es": ["¿Qué es el sol?"], "gl": ["Que é o sol?"]}


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def suite_files(tmp_path: Path) -> dict[str, Path]:
    """The three files of the small suite."""
    choices = [
        {"id": f"mc-{i}", "lang": lang, "question": q, "choices": c, "answer": a}
        for lang, items in CHOICES.items()
        for i, (q, c, a) in enumerate(items)
    ]
    translation = [
        {"id": f"tr-{i}", "lang": lang, "text": text}
        for lang, items in SENTENCES.items()
        for i, text in enumerate(items)
    ]
    questions = [{"id": "o-0", "lang": lang, "prompt": prompts[0]} for lang, prompts in PROMPTS.items()]
    rows = {"choices": choices, "translation": translation, "open": questions}
    return {name: write_rows(tmp_path / f"{name}.jsonl", found) for name, found in rows.items()}


@pytest.fixture
def suite(suite_files: dict[str, Path]) -> Suite:
    """The small suite, loaded."""
    return load_suite("tiny", languages=("es", "gl"), source_lang="en", **suite_files)
