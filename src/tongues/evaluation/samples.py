"""Samples: every single item with what was asked, expected and answered, as zstd Parquet.

A file ``<task>/<lang>.parquet`` is written in one atomic step, with the key of the work it came
from in its metadata; a run that was killed finds it and goes on behind it.
"""

import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.errors import DataError
from tongues.core.manifest import write_atomically

_KEY = b"tongues_work_key"


@dataclass(frozen=True, slots=True)
class Sample:
    """One item of one task in one language, and the model's answer.

    Args:
        task: "choices", "translation", "open", "qa", "math", "code", or the name of a standard set.
        lang: BCP-47 code of the language asked for.
        id: the item's id, the same across languages.
        prompt: exactly what the model was given, before any chat template.
        expected: right letter, reference translation, known answer, or "" for an open question.
        got: chosen letter, or the generated text; of a chain its last segment, "" where it has none.
        correct: whether the letter or the known answer was met; None where there is none.
        got_norm: letter chosen by log-likelihood per character; "" for generated text.
        correct_norm: whether that letter is right; None for generated text.
        options: the options of a choice, all accepted answers of "qa"; empty for other text.
        loglikelihoods: natural-log likelihood of each option, in nats; empty for generated text.
        guessed_lang: language identified in the generated text; "" for choices.
        confidence: of that guess, 0..1; None for choices.
        f1: token F1 against the known answers, 0..1; None but for "qa".
        category: kind of an open question, where the suite says it.
        whole: the whole chain, where one was asked for.
        formatted: whether that chain has its last segment; None where none was asked for.
        ended: how the model's program ended; "" but for "code".
        reference_ended: how the set's own program ended in the same place; "" where it has none.
        line_langs: language of each line of an open answer that has letters enough to tell.
    """

    task: str
    lang: str
    id: str
    prompt: str
    expected: str
    got: str
    correct: bool | None = None
    got_norm: str = ""
    correct_norm: bool | None = None
    options: tuple[str, ...] = ()
    loglikelihoods: tuple[float, ...] = ()
    guessed_lang: str = ""
    confidence: float | None = None
    f1: float | None = None
    category: str = ""
    whole: str = ""
    formatted: bool | None = None
    line_langs: tuple[str, ...] = ()
    ended: str = ""
    reference_ended: str = ""

    @property
    def in_asked_language(self) -> bool:
        """Whether the generated text is in the language asked for."""
        return self.guessed_lang == self.lang


SAMPLE_SCHEMA = pa.schema(
    [
        *(
            pa.field(n, pa.string(), nullable=False)
            for n in ("task", "lang", "id", "prompt", "expected", "got")
        ),
        pa.field("correct", pa.bool_()),
        pa.field("got_norm", pa.string(), nullable=False),
        pa.field("correct_norm", pa.bool_()),
        pa.field("options", pa.list_(pa.string()), nullable=False),
        pa.field("loglikelihoods", pa.list_(pa.float64()), nullable=False),
        pa.field("guessed_lang", pa.string(), nullable=False),
        pa.field("confidence", pa.float64()),
        pa.field("f1", pa.float64()),
        pa.field("category", pa.string(), nullable=False),
        pa.field("whole", pa.string(), nullable=False),
        pa.field("formatted", pa.bool_()),
        pa.field("line_langs", pa.list_(pa.string()), nullable=False),
        pa.field("ended", pa.string(), nullable=False),
        pa.field("reference_ended", pa.string(), nullable=False),
    ]
)


def write_samples(path: Path, samples: Sequence[Sample], *, key: str) -> None:
    """Write the samples of one task and language atomically.

    Args:
        path: the Parquet file.
        samples: in item order.
        key: digest of everything the answers depend on.
    """
    table = pa.Table.from_pylist(list(map(dataclasses.asdict, samples)), schema=SAMPLE_SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_KEY: key.encode()}), buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


def read_finished(path: Path, *, key: str) -> list[Sample] | None:
    """Samples that an earlier run finished under the same key; None where there are none."""
    try:
        table = pq.read_table(path)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    metadata = table.schema.metadata or {}
    return _from_table(table) if metadata.get(_KEY) == key.encode() else None


def read_samples(folder: Path) -> list[Sample]:
    """All samples below a folder that `score_model` filled, tasks and languages in path order.

    Raises:
        DataError: the folder holds none, or a file is not a table of samples.
    """
    paths = sorted(folder.rglob("*.parquet"))
    if not paths:
        raise DataError("no samples here", where=str(folder), fix="run `tongues evaluate` again")
    samples: list[Sample] = []
    for path in paths:
        try:
            samples += _from_table(pq.read_table(path))
        except (pa.ArrowInvalid, TypeError, KeyError) as error:
            raise DataError(f"not a table of samples ({error})", where=str(path)) from error
    return samples


def _from_table(table: pa.Table) -> list[Sample]:
    lists = ("options", "loglikelihoods", "line_langs")
    return [Sample(**row | {name: tuple(row[name]) for name in lists}) for row in table.to_pylist()]
