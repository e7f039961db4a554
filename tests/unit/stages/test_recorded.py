import pytest

from tongues.core.errors import DataError
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


def test_chain_is_not_recorded_since_its_prompt_alone_would_not_bring_it_back(tmp_path):
    write_recorded(tmp_path, [sample("open", "gl", 1, whole="<a>Sí, é.", formatted=True)])
    assert read_recorded(tmp_path / RECORDED_NAME) == ()


def test_file_that_holds_something_else_is_told(tmp_path):
    (tmp_path / RECORDED_NAME).write_text('{"a": 1}')
    with pytest.raises(DataError, match="no recorded answers"):
        read_recorded(tmp_path / RECORDED_NAME)
