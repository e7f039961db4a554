"""Export: a finished data set in a form that other programs read, beside its card and overview."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from tongues.core.errors import DataError
from tongues.core.shards import read_shards, shard_paths
from tongues.data.dataset_overview import CARD_NAME, PAGE_NAME
from tongues.data.splits import SPLITS
from tongues.platform.hub import push
from tongues.stages.workspace import Output

Format = Literal["parquet", "jsonl", "datasets"]


def export(dataset: Output, folder: Path, form: Format) -> dict[str, int]:
    """Write the splits of a data set that have records.

    Args:
        dataset: output of assemble.
        folder: new or empty; nothing in it is overwritten.
        form: "parquet" keeps the shards, in types that the hub shows, "jsonl" writes one conversation a line,
            "datasets" is what `datasets.load_from_disk` opens.

    Returns:
        Split to records written.

    Raises:
        DataError: the folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DataError("the folder is not empty", where=str(folder), fix="name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    rows = {split: sum(dataset.manifest.facts["rows"][split].values()) for split in SPLITS}
    filled: dict[str, int] = {split: count for split, count in rows.items() if count}
    _WRITERS[form](dataset.folder, folder, list(filled))
    shutil.copyfile(dataset.folder / CARD_NAME, folder / "README.md")
    shutil.copyfile(dataset.folder / PAGE_NAME, folder / PAGE_NAME)
    return filled


def publish(folder: Path, uri: str) -> str:
    """Copy an exported data set to where others find it.

    Args:
        folder: what `export` wrote.
        uri: see `tongues.platform.hub.push`.

    Returns:
        Where it can be found.

    Raises:
        StorageError: the place holds something, or refuses.
    """
    return push(folder, uri)


def _parquet(dataset: Path, folder: Path, splits: list[str]) -> None:
    for split in splits:
        (folder / split).mkdir()
        for path in shard_paths(dataset / split):
            pq.write_table(_without_maps(pq.read_table(path)), folder / split / path.name, compression="zstd")


def _without_maps(table: pa.Table) -> pa.Table:
    """The table with its maps as lists of key and value, since `datasets` knows no maps."""
    for place, field in enumerate(table.schema):
        if pa.types.is_map(field.type):
            pairs = pa.list_(pa.struct([("key", field.type.key_type), ("value", field.type.item_type)]))
            rows = [[{"key": k, "value": v} for k, v in row] for row in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(rows, pairs))
    return table


def _jsonl(dataset: Path, folder: Path, splits: list[str]) -> None:
    for split in splits:
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for row in _plain_rows(dataset / split):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _datasets(dataset: Path, folder: Path, splits: list[str]) -> None:
    from datasets import DatasetDict, load_dataset

    with tempfile.TemporaryDirectory(dir=folder, prefix=".parquet-") as scratch:
        _parquet(dataset, Path(scratch), splits)
        files = {split: [str(path) for path in shard_paths(Path(scratch) / split)] for split in splits}
        loaded = load_dataset("parquet", data_files=files, cache_dir=str(Path(scratch) / "cache"))
        DatasetDict(loaded).save_to_disk(str(folder))


def _plain_rows(shards: Path) -> Iterator[dict[str, Any]]:
    for row in read_shards(shards):
        yield row | {"meta": dict(row["meta"])}


_WRITERS: dict[Format, Callable[[Path, Path, list[str]], None]] = {
    "parquet": _parquet,
    "jsonl": _jsonl,
    "datasets": _datasets,
}
