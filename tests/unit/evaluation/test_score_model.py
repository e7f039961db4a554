import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tongues.core.errors import DataError
from tongues.core.ports import Identified
from tongues.core.recipe import EvaluationSection, SuiteSection
from tongues.core.scores import Scores
from tongues.evaluation import score
from tongues.evaluation.model import LocalModel
from tongues.evaluation.samples import Sample, read_samples, write_samples
from tongues.evaluation.score import score_model
from tongues.evaluation.suite import Suite
from tongues.evaluation.tasks import choice_prompt

pytest.importorskip("torch")


class Counter:
    """Takes the place of a progress line: remembers what it was told."""

    def __init__(self) -> None:
        self.done = 0

    def advance(self, done: int = 1, **facts: float | str) -> None:
        self.done += done


def by_length(text: str, candidates: Sequence[str]) -> Identified:
    """A language for every text: texts of even length are in the first candidate's."""
    return Identified(candidates[len(text) % 2], 0.9) if text else Identified("und", 0.0)


def _section(batch_rows: int = 2, max_new_tokens: int = 5) -> EvaluationSection:
    suite = SuiteSection(choices_uri="choices.jsonl")
    return EvaluationSection(suite=suite, batch_rows=batch_rows, max_new_tokens=max_new_tokens)


def _score(
    folder: Path,
    suite: Suite,
    out: Path,
    *,
    progress: Counter | None = None,
    sha: str = "a",
    rows: int = 2,
    tokens: int = 5,
) -> Scores:
    return score_model(
        folder,
        role="base",
        name="tiny",
        model_sha256=sha * 64,
        suite=suite,
        section=_section(rows, tokens),
        identify=by_length,
        out=out,
        progress=progress or Counter(),
    )


def test_score_model_small_suite_measures_everything_named(
    tiny_model: Path, suite: Suite, tmp_path: Path
) -> None:
    progress = Counter()
    scores = _score(tiny_model, suite, tmp_path / "out", progress=progress)
    expected = {f"choices/{lang}/{m}" for lang in ("en", "es", "gl") for m in ("accuracy", "accuracy_norm")}
    expected |= {f"choices/all/{m}" for m in ("accuracy", "consistency_2", "consistency_3", "ac3_2", "ac3_3")}
    expected |= {
        f"translation/{g}/{m}" for g in ("es", "gl") for m in ("chrf", "bleu", "ter", "target_language_rate")
    }
    expected |= {
        f"open/{lang}/{m}"
        for lang in ("en", "es", "gl")
        for m in ("target_language_rate", "line_language_rate", "line_pass_rate")
    }
    assert {name for name in scores.measurements if "/lines_found_" not in name} == expected
    assert progress.done == suite.work_items
    assert scores.get("choices", "es", "accuracy").n == 3  # type: ignore[union-attr]
    assert "nw:2" in scores.signatures["translation/es/chrf"]
    assert "tok:tercom" in scores.signatures["translation/gl/ter"]
    written = Scores.model_validate_json((tmp_path / "out" / "scores.json").read_bytes())
    assert written == scores


def test_score_model_samples_agree_with_the_scores(tiny_model: Path, suite: Suite, tmp_path: Path) -> None:
    scores = _score(tiny_model, suite, tmp_path / "out")
    samples = read_samples(tmp_path / "out" / "samples")
    assert len(samples) == suite.work_items
    for lang in ("en", "es", "gl"):
        choices = [s for s in samples if (s.task, s.lang) == ("choices", lang)]
        right = [max(zip(s.loglikelihoods, "ABCD", strict=True))[1] == s.expected for s in choices]
        assert [s.correct for s in choices] == right
        assert scores.measurements[f"choices/{lang}/accuracy"].value == sum(right) / 3
        opened = [s for s in samples if (s.task, s.lang) == ("open", lang)]
        rate = sum(s.guessed_lang == lang for s in opened) / len(opened)
        assert scores.measurements[f"open/{lang}/target_language_rate"].value == rate
    assert (
        pq.ParquetFile(tmp_path / "out/samples/open/es.parquet").metadata.row_group(0).column(0).compression
        == "ZSTD"
    )


def test_score_model_batch_size_changes_nothing(tiny_model: Path, suite: Suite, tmp_path: Path) -> None:
    one = _score(tiny_model, suite, tmp_path / "one", rows=1)
    many = _score(tiny_model, suite, tmp_path / "many", rows=16)
    assert one == many


def test_score_model_finished_run_is_reused_without_loading(
    tiny_model: Path, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _score(tiny_model, suite, tmp_path / "out")
    progress = Counter()
    again = _score(tmp_path / "no-model-here", suite, tmp_path / "out", progress=progress)
    assert again == first
    assert progress.done == suite.work_items


def test_score_model_killed_between_tasks_goes_on_behind_the_finished_one(
    tiny_model: Path, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _score(tiny_model, suite, tmp_path / "whole")
    out = tmp_path / "out"
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> list[str]:
            raise KeyboardInterrupt

        patch.setattr(LocalModel, "generate", killed)
        with pytest.raises(KeyboardInterrupt):
            _score(tiny_model, suite, out)
    finished = out / "samples" / "choices" / "es.parquet"
    before = finished.stat().st_mtime_ns
    (out / "samples" / "choices" / ".gl.parquet.x1y2").write_bytes(b"half a file")
    assert not (out / "scores.json").exists()
    assert _score(tiny_model, suite, out) == whole
    assert finished.stat().st_mtime_ns == before
    assert not list(out.rglob(".*"))


def test_score_model_other_model_or_settings_are_asked_again(
    tiny_model: Path, suite: Suite, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = _score(tiny_model, suite, out)
    (out / "samples/choices/es.parquet").write_bytes(b"spoilt")
    assert _score(tiny_model, suite, out).measurements == first.measurements
    longer = _score(tiny_model, suite, out, tokens=9)
    assert longer.suite_sha256 != first.suite_sha256
    answers = {s.id + s.lang: s.got for s in read_samples(out / "samples") if s.task == "open"}
    assert answers == {
        s.id + s.lang: s.got for s in read_samples(_fresh(tiny_model, suite, tmp_path)) if s.task == "open"
    }
    loaded_again = out / "samples/choices/es.parquet"
    before = loaded_again.stat().st_mtime_ns
    _score(tiny_model, suite, out, tokens=9, sha="b")
    assert loaded_again.stat().st_mtime_ns > before


def _fresh(folder: Path, suite: Suite, tmp_path: Path) -> Path:
    _score(folder, suite, tmp_path / "fresh", tokens=9)
    return tmp_path / "fresh" / "samples"


def test_score_model_suite_of_one_task_measures_that_task_only(
    tiny_model: Path, suite: Suite, tmp_path: Path
) -> None:
    alone = Suite("tiny", "en", ("es",), open={lang: suite.open[lang] for lang in ("en", "es")})
    measured = _score(tiny_model, alone, tmp_path / "out").measurements
    assert {name.split("/")[0] for name in measured} == {"open"}
    assert {name.split("/")[1] for name in measured} == {"en", "es"}


@pytest.mark.parametrize(
    ("question", "prompt"),
    [
        ("At night we see ...", "At night we see"),
        ("De noche vemos…", "De noche vemos"),
        ("What is it?", "Question: What is it?\nAnswer:"),
        ("Wait... what?", "Question: Wait... what?\nAnswer:"),
    ],
)
def test_choice_prompt_open_sentences_are_continued_and_questions_answered(
    question: str, prompt: str
) -> None:
    assert choice_prompt(question) == prompt


def test_samples_hostile_text_survives_the_file(tmp_path: Path) -> None:
    texts = ["<script>\u0000", "مرحبا\u202e", "太陽\n\r", "🌞" * 300, ""]
    samples = [
        Sample("open", "es", str(i), t, "", t, guessed_lang="und", confidence=0.0)
        for i, t in enumerate(texts)
    ]
    write_samples(tmp_path / "open" / "es.parquet", samples, key="k")
    assert read_samples(tmp_path) == samples


def test_read_samples_empty_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no samples here"):
        read_samples(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a table of samples"):
        read_samples(tmp_path)


def test_settings_hold_what_changes_a_score_and_not_the_batch() -> None:
    assert score.settings(_section(2)) == score.settings(_section(64))
    assert score.settings(_section(2, 5)) != score.settings(_section(2, 6))
    json.dumps(score.settings(_section()))
