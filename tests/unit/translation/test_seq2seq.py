"""What can be known of a sequence-to-sequence model without loading it; the rest is in tests/integration."""

import json

import pytest

from tongues.core.recipe import Seq2SeqEngine
from tongues.inference.engine import Outcome
from tongues.translation.seq2seq import Seq2Seq, _halves, _joined, _Sentence, seq2seq_problems
from tongues.translation.seq2seq_codes import language_token
from tongues.translation.seq2seq_files import file_names, model_problems


def problems(uri, **settings):
    return seq2seq_problems(Seq2SeqEngine(kind="seq2seq", uri=str(uri), **settings), "en", ["es"])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "m2m_100"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("lang", "naming", "known", "token"),
    [
        ("es", "flores", {"spa_Latn"}, "spa_Latn"),
        ("zh-Hant", "flores", {"zho_Hans", "zho_Hant"}, "zho_Hant"),
        ("la", "flores", {"lat_Latn"}, None),
        ("he", "madlad", {"<2iw>"}, "<2iw>"),
        ("he", "madlad", {"<2iw>", "<2he>"}, "<2he>"),
        ("zh-Hant", "madlad", {"<2zh>", "<2zh_Hant>"}, "<2zh_Hant>"),
        ("zh-Hant", "madlad", {"<2zh>"}, None),
        ("zh-Hans", "bcp47", {"__zh__"}, "__zh__"),
        ("fil", "bcp47", {"__tl__"}, "__tl__"),
        ("fr", "bcp47", {"__es__"}, None),
    ],
)
def test_language_token_is_the_model_s_own_name_or_none(lang, naming, known, token):
    assert language_token(lang, naming, known.__contains__) == token


def test_problems_name_a_missing_folder_and_missing_files(tmp_path):
    assert "no such folder" in problems(tmp_path / "absent")[0]
    assert [p.split(". Fix")[0].split(": ")[1] for p in problems(tmp_path)] == [
        "config.json is missing",
        "no *.safetensors weights",
    ]


def test_problems_refuse_pickled_weights_and_say_what_to_do(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (problem,) = problems(folder)
    assert "pickled (pytorch_model.bin)" in problem
    assert "safetensors" in problem.split("Fix:")[1]
    assert not Seq2Seq(Seq2SeqEngine(kind="seq2seq", uri=str(folder))).requests_sent


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_problems_refuse_a_model_with_code_of_its_own(folder, name):
    (folder / name).write_text(json.dumps({"auto_map": {"AutoModel": "theirs.Model"}}))
    assert "names code of its own" in problems(folder)[0]


def test_problems_tell_a_broken_config_from_a_model(folder):
    (folder / "config.json").write_text("{")
    assert "config.json is no JSON" in problems(folder)[0]


def test_problems_tell_that_a_hub_address_needs_its_revision():
    assert "hf://ORG/NAME@REVISION" in problems("hf://org/name")[0]


def test_problems_tell_that_a_scheme_is_unknown():
    assert "ftp" in problems("ftp://host/model")[0]


def test_file_names_leave_folders_below_out(folder):
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.bin").write_bytes(b"")
    assert file_names(str(folder)) == ["config.json", "model.safetensors"]
    assert model_problems(str(folder), file_names(str(folder))) == []


def answers(**texts):
    return {name: Outcome(text, prompt_tokens=3, completion_tokens=2) for name, text in texts.items()}


def sentences(*pairs):
    return [_Sentence(text, space, [7] if text.isalpha() else []) for text, space in pairs]


@pytest.mark.parametrize(
    ("target", "joined"),
    [("es", "Uno Dos\tTres!  "), ("zh-Hans", "UnoDosTres!  "), ("th", "Uno Dos\tTres!  ")],
)
def test_sentences_are_joined_as_the_script_wants(target, joined):
    parts = sentences(("one", ""), ("two", "\t"), ("three", "  "))
    outcome = _joined(parts, answers(one="Uno", two="Dos", three="Tres!"), target)
    assert (outcome.text, outcome.prompt_tokens, outcome.completion_tokens) == (joined, 9, 6)


def test_a_failed_sentence_fails_its_segment():
    parts = sentences(("one", " "), ("two", ""))
    bad = answers(one="Uno") | {"two": Outcome(None, "truncated", permanent=True)}
    assert _joined(parts, bad, "es").reason == "truncated"
    assert _joined(parts, answers(one="Uno"), "es").reason == "interrupted"
    assert _joined(sentences(("12", " "), ("one", "")), answers(one="Uno"), "es").text == "12 Uno"


@pytest.mark.parametrize(
    ("text", "halves"),
    [
        ("one two, three four", ["one two, ", "three four"]),
        ("one two three four", ["one two ", "three four"]),
        ("a, bbbb cccc dddd eeee", ["a, bbbb ", "cccc ", "dddd eeee"]),
        ("一二三四，五六七八", ["一二三四，", "五六七八"]),
        ("onetwothree", ["onetwothree"]),
    ],
)
def test_long_sentences_are_cut_at_commas_else_at_spaces(text, halves):
    assert "".join(_halves(text)) == text
    assert len(_halves(text)) > 1 or halves == [text]
    if "," in text[2:] or "，" in text:
        assert _halves(text) == halves
