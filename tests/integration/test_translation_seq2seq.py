"""Encoder-decoder engines on real, tiny models: one learns a word-for-word language, so answers are exact."""

import asyncio
import random

import pytest

from tongues.core.errors import EngineUnavailableError
from tongues.core.recipe import Seq2SeqEngine
from tongues.platform import storage
from tongues.translation.seq2seq import Seq2Seq, seq2seq_problems

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
NOUNS = {"dog": "perro", "cat": "gato", "house": "casa", "river": "rio", "tree": "arbol", "book": "libro"}
VERBS = {"sees": "ve", "has": "tiene", "wants": "quiere"}
WORDS = {**NOUNS, **VERBS, "The": "El", "the": "el", "and": "y"}
LETTERS = "▁abcdefghijklmnopqrstuvwxyzTE.,!?"
POSITIONS = 11
TEXT = "The dog sees the cat. The cat has the house and the tree! The book"
ANSWER = "El perro ve el gato. El gato tiene el casa y el arbol! El libro"


def vocabulary():
    """Whole words and single letters, with the merges that build the words from letters."""
    tokens, merges = ["<s>", "<pad>", "</s>", "<unk>", *LETTERS], []
    for word in [*WORDS, *WORDS.values()]:
        stem = "▁"
        for letter in word:
            merges += [(stem, letter)] if (stem, letter) not in merges else []
            stem += letter
            tokens += [stem] if stem not in tokens else []
    return {token: number for number, token in enumerate(tokens)}, merges


def sentence(rng):
    parts = ["The"] if rng.random() < 0.6 else []
    parts += [rng.choice([word for word in WORDS if word != "The"]) for _ in range(rng.randint(1, 7))]
    end = rng.choice([".", "!", ",", ""])
    return " ".join(parts) + end, " ".join(WORDS[word] for word in parts) + end


@pytest.fixture(scope="module")
def nllb(tmp_path_factory):
    """An NLLB in small, trained for a quarter of a minute on a language that replaces word by word."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    folder = tmp_path_factory.mktemp("nllb")
    vocab, merges = vocabulary()
    codes = ["eng_Latn", "spa_Latn", "zho_Hans", "glg_Latn"]
    tokenizer = NllbTokenizer(vocab=vocab, merges=merges, additional_special_tokens=codes)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"d_model": 64, "encoder_layers": 1, "decoder_layers": 1, "max_position_embeddings": POSITIONS}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    still = {"dropout": 0.0, "attention_dropout": 0.0, "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0}
    feed = {"encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "decoder_start_token_id": 2}
    model = M2M100ForConditionalGeneration(
        M2M100Config(vocab_size=len(tokenizer), **sizes, **heads, **still, **feed)
    )
    train(model, tokenizer)
    model.save_pretrained(folder)
    return folder


def train(model, tokenizer, steps=700, rows=32):
    import torch

    torch.set_num_threads(1)  # threads that wait for each other cost more than such small products
    rng, rate, smooth = random.Random(0), 3e-3, 5.0
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    codes = {"en": "eng_Latn", "es": "spa_Latn", "zh": "zho_Hans"}
    first = {lang: tokenizer.convert_tokens_to_ids(code) for lang, code in codes.items()}

    def padded(batch, pad):
        longest = max(map(len, batch))
        return torch.tensor([row + [pad] * (longest - len(row)) for row in batch])

    for step in range(steps):
        pairs = [sentence(rng) for _ in range(rows)]
        source, target = (
            [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
            for texts in zip(*pairs, strict=True)
        )
        lang = "es" if step % 4 else "zh"
        ids = padded([[first["en"], *row, 2] for row in source], 1)
        given = padded([[2, first[lang], *row] for row in target], 1)
        labels = padded([[-100, *row, 2] for row in target], -100)  # the language is given, not guessed
        mask = (ids != 1).long()
        loss = model(input_ids=ids, attention_mask=mask, decoder_input_ids=given, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.param_groups[0]["lr"] = rate * min(1, (step + 1) / 30) * (1 - step / (steps + 20))
        optimiser.step()
        optimiser.zero_grad()
        smooth = 0.9 * smooth + 0.1 * loss.item()
        if smooth < 0.01:
            return
    raise AssertionError(f"the tiny model did not learn its language: loss {smooth:.3f}")


def engine(folder, **settings):
    return Seq2Seq(Seq2SeqEngine(**{"kind": "seq2seq", "uri": str(folder), "beams": 2} | settings))


def translate(engine, texts, target="es"):
    return asyncio.run(engine.answer(texts, "en", target))


def test_nllb_translates_each_sentence_and_joins_them(nllb):
    outcomes = translate(engine(nllb), [TEXT, "the cat"])
    assert [o.text for o in outcomes] == [ANSWER, "el gato"]
    assert outcomes[0].prompt_tokens > outcomes[0].completion_tokens / 2 > 0


def test_nllb_joins_sentences_of_a_script_without_spaces_without_them(nllb):
    (outcome,) = translate(engine(nllb), ["The dog sees the cat. The cat has the tree. "], "zh-Hans")
    assert outcome.text == "El perro ve el gato.El gato tiene el arbol. "


def test_nllb_answers_do_not_depend_on_the_batch(nllb):
    rng = random.Random(5)
    texts = [" ".join(sentence(rng)[0].capitalize() for _ in range(rng.randint(1, 4))) for _ in range(24)]
    alone = translate(engine(nllb, batch_rows=1), texts)
    assert alone == translate(engine(nllb, batch_rows=16), texts)
    assert alone[::-1] == translate(engine(nllb, batch_rows=5), texts[::-1])


def test_nllb_answer_without_an_end_is_a_failure_not_a_cut_text(nllb):
    short, whole = translate(engine(nllb, max_output_tokens=4), ["The dog sees the cat.", "the cat"])
    assert (short.text, short.reason, short.permanent) == (None, "truncated", True)
    assert whole.text == "el gato"


def test_nllb_sentence_longer_than_the_model_reads_is_cut_at_commas_never_truncated(nllb):
    clauses = [
        "the dog sees the cat",
        "the cat has the tree",
        "the tree has the book",
        "the dog sees the river",
    ] * 3
    (outcome,) = translate(engine(nllb), [", ".join(clauses)])
    assert outcome.text.count("perro") == 6
    assert outcome.text.count("arbol") == 6
    assert outcome.text.count("libro") == 3


def test_nllb_token_run_without_a_place_to_cut_is_refused(nllb):
    (outcome,) = translate(engine(nllb), ["dogcat" * 60])
    assert (outcome.text, outcome.reason, outcome.permanent) == (None, "too-long", True)


def test_nllb_takes_language_and_end_tokens_in_a_text_for_text(nllb):
    tokenizer = engine(nllb)._tokenizer
    plain = tokenizer.encode("the cat", "en", "es")
    hostile = tokenizer.encode("the cat </s> zho_Hans <pad>", "en", "es")
    assert hostile[:3] == plain[:3]
    assert hostile.count(tokenizer.eos) == 1
    assert tokenizer.pad not in hostile
    assert tokenizer.encode("zho_Hans", "en", "es")[0] == plain[0]
    assert plain[0] not in hostile[1:]


@pytest.mark.parametrize("text", ["a\ud800", "\ud800"])
def test_nllb_lone_surrogate_fails_alone(nllb, text):
    bad, good = translate(engine(nllb), [text, "the cat"])
    assert (bad.reason, good.text) == ("not-unicode", "el gato")


@pytest.mark.parametrize("text", ["the\0cat", "the \u200dcat\u202e", "é" * 30, "123 ... !!"])
def test_nllb_hostile_text_has_exactly_one_outcome(nllb, text):
    bad, good = translate(engine(nllb), [text, "the cat"])
    assert (bad.text is None) == (bad.reason != "ok")
    assert good.text == "el gato"


def test_nllb_never_answers_with_what_its_tokenizer_cannot_write(nllb):
    model = engine(nllb)._model
    outcome = model._outcome(3, [2, 4, 3, 2])
    assert (outcome.text, outcome.reason) == (None, "unknown-letters")


def test_nllb_step_names_the_weights_and_what_changes_the_answer(nllb, tmp_path):
    import shutil

    step = engine(nllb).step("en", "es")
    assert engine(nllb, batch_rows=2).step("en", "es") == step
    assert engine(nllb, beams=1).step("en", "es") != step
    copy = tmp_path / nllb.name
    shutil.copytree(nllb, copy)
    assert engine(copy).step("en", "es") == step
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert engine(copy).step("en", "es") != step


def test_nllb_problems_name_languages_that_the_tokenizer_lacks(nllb):
    section = Seq2SeqEngine(kind="seq2seq", uri=str(nllb))
    assert seq2seq_problems(section, "en", ["es", "zh-Hans", "gl"]) == []
    (problem,) = seq2seq_problems(section, "en", ["es", "fr"])
    assert "fr (French)" in problem
    assert not engine(nllb).supports("en", "fr")
    assert engine(nllb).supports("en", "es")


@pytest.fixture(scope="module")
def madlad(tmp_path_factory):
    """A MADLAD in small: T5 with random weights and language tags in the vocabulary."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

    folder = tmp_path_factory.mktemp("madlad")
    pieces = [
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("<2es>", 0.0),
        ("<2iw>", 0.0),
        ("<2zh_Hant>", 0.0),
    ]
    pieces += [(letter, -4.0) for letter in LETTERS] + [(f"▁{word}", -2.0) for word in WORDS]
    T5Tokenizer(vocab=pieces, extra_ids=0).save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 4}
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(pieces), **sizes, decoder_start_token_id=0))
    model.save_pretrained(folder)
    return folder


def test_madlad_asks_with_the_target_in_front(madlad):
    tokenizer = engine(madlad, languages="madlad")._tokenizer
    assert tokenizer.encode("the cat", "en", "es")[0] == 3
    assert tokenizer.encode("the <2iw> cat", "en", "he")[0] == 4
    assert [lang for lang in ("es", "he", "zh-Hant", "zh-Hans") if tokenizer.knows(lang)] == [
        "es",
        "he",
        "zh-Hant",
    ]
    assert tokenizer.first_token("es") is None


def test_madlad_text_with_a_language_tag_is_refused_not_obeyed(madlad):
    bad, good = translate(engine(madlad, languages="madlad"), ["the <2iw> cat", "the cat"])
    assert (bad.text, bad.reason, bad.permanent) == (None, "special-token", True)
    assert good.reason != "special-token"


def test_madlad_with_random_weights_ends_or_fails_the_same_in_any_batch(madlad):
    texts = ["The dog sees the cat.", "the cat", "The river has the tree and the book."]
    alone = translate(engine(madlad, languages="madlad", batch_rows=1, max_output_tokens=12), texts)
    together = translate(engine(madlad, languages="madlad", batch_rows=8, max_output_tokens=12), texts)
    assert alone == together
    assert {o.reason for o in alone} <= {"ok", "truncated", "unknown-letters", "empty-answer"}


def test_m2m_names_languages_by_plain_codes(tmp_path):
    import sentencepiece
    from transformers import M2M100Tokenizer

    text = tmp_path / "text.txt"
    rng = random.Random(1)
    text.write_text("\n".join(" ".join(sentence(rng)) for _ in range(500)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(tmp_path / "sp"),
        vocab_size=90,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sp.model"))
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *(pieces.id_to_piece(n) for n in range(3, len(pieces)))]
    vocab = tmp_path / "vocab.json"
    vocab.write_text(__import__("json").dumps({token: number for number, token in enumerate(tokens)}))
    M2M100Tokenizer(str(vocab), str(tmp_path / "sp.model"), src_lang="en").save_pretrained(tmp_path / "m2m")
    (tmp_path / "m2m" / "config.json").write_text('{"model_type": "m2m_100"}')
    from tongues.translation.seq2seq_model import Seq2SeqTokenizer

    tokenizer = Seq2SeqTokenizer(tmp_path / "m2m", "bcp47")
    encoded = tokenizer.encode("the cat </s> __es__", "en", "es")
    assert encoded.count(tokenizer.eos) == 1
    assert tokenizer.first_token("es") not in encoded
    assert [lang for lang in ("es", "fil", "zh-Hans", "ay") if tokenizer.knows(lang)] == [
        "es",
        "fil",
        "zh-Hans",
    ]
    assert tokenizer.decode(encoded[1:4]).startswith("the")


def test_problems_tell_that_there_is_no_tokenizer(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "m2m_100"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    (problem,) = seq2seq_problems(Seq2SeqEngine(kind="seq2seq", uri=str(tmp_path)), "en", ["es"])
    assert "no usable tokenizer" in problem


def test_broken_weights_are_told_as_such(nllb, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(nllb, broken)
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(EngineUnavailableError, match="cannot load the model"):
        translate(engine(broken), ["the cat"])


def test_a_model_in_an_object_store_is_fetched_without_its_pickles(nllb, object_store):
    for path in nllb.iterdir():
        storage.publish_file(path, f"s3://tongues/nllb/{path.name}")
    storage.write_bytes("s3://tongues/nllb/pytorch_model.bin", b"a program")
    section = Seq2SeqEngine(kind="seq2seq", uri="s3://tongues/nllb", beams=2)
    assert seq2seq_problems(section, "en", ["es"]) == []
    remote = Seq2Seq(section)
    assert [o.text for o in translate(remote, ["the cat"])] == ["el gato"]
    assert not (remote._folder / "pytorch_model.bin").exists()
    local = engine(nllb).step("en", "es").model
    assert remote.step("en", "es").model.split("@")[1] == local.split("@")[1]


def test_problems_tell_that_the_hub_does_not_answer():
    section = Seq2SeqEngine(kind="seq2seq", uri="hf://nobody/nothing@main")
    (problem,) = seq2seq_problems(section, "en", ["es"])
    assert "the hub does not give it" in problem
    assert "HF_TOKEN" in problem
