import dataclasses
import json

import pytest

from tongues.core.errors import DataError
from tongues.core.taco_format import request_line
from tongues.evaluation.chains import AnswerFormat
from tongues.evaluation.samples import Sample
from tongues.serving.revision import Recorded
from tongues.stages.recorded import RECORDED_NAME, read_recorded, write_recorded


def sample(task, lang, number, got="Sí, é.", **more):
    return Sample(task, lang, str(number), f"{task} {number}?", "", got, guessed_lang=lang, **more)


def test_recorded_answers_come_from_the_task_that_says_most_about_language(tmp_path):
    samples = [
        *(sample("choices", "gl", n, "A") for n in range(3)),
        *(sample("open", "gl", n) for n in range(9)),
        *(sample("translation", "ca", n, "Sí.") for n in range(2)),
    ]
    write_recorded(tmp_path, samples)
    kept = read_recorded(tmp_path / RECORDED_NAME)
    assert kept[0] == Recorded("gl", "open 0?", "Sí, é.", "gl")
    assert [one.prompt for one in kept] == [
        *(f"open {n}?" for n in range(4)),
        "translation 0?",
        "translation 1?",
    ]


CHAIN = "Instruction in English: Is it? ,\nResponse in English: Yes ,\nResponse in Galician: Sí, é."


@pytest.mark.parametrize(("system_line", "system"), [("message", True), ("preamble", False), ("none", False)])
def test_chain_is_recorded_whole_with_all_that_it_was_asked_for_with(tmp_path, system_line, system):
    line = request_line("gl")
    answers = AnswerFormat("taco", "en", lambda p, _: (line if system_line == "message" else "", f"ask {p}"))
    one = sample("open", "gl", 1, whole=f" {CHAIN}\n", formatted=True)
    write_recorded(tmp_path, [one], answers, chain_tokens=192)
    (kept,) = read_recorded(tmp_path / RECORDED_NAME)
    assert (kept.prompt, kept.answer, kept.answered_in) == ("open 1?", CHAIN, "gl")
    assert (kept.system, kept.chain_tokens) == (line if system else "", 192)


def test_chain_without_its_last_segment_is_recorded_as_no_answer_in_the_language(tmp_path):
    one = dataclasses.replace(
        sample("open", "gl", 1, "", whole="Sí, é.", formatted=False), guessed_lang="und"
    )
    write_recorded(tmp_path, [one], chain_tokens=192)
    (kept,) = read_recorded(tmp_path / RECORDED_NAME)
    assert (kept.answer, kept.answered_in) == ("Sí, é.", "und")


def test_answers_recorded_before_there_were_chains_are_read(tmp_path):
    old = [{"lang": "gl", "prompt": "É?", "answer": "Sí.", "answered_in": "gl"}]
    (tmp_path / RECORDED_NAME).write_text(json.dumps(old))
    assert read_recorded(tmp_path / RECORDED_NAME) == (Recorded("gl", "É?", "Sí.", "gl"),)


def test_file_that_holds_something_else_is_told(tmp_path):
    (tmp_path / RECORDED_NAME).write_text('{"a": 1}')
    with pytest.raises(DataError, match="no recorded answers"):
        read_recorded(tmp_path / RECORDED_NAME)
