"""What the passes need to know of each record: its language and method in memory, the rest on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.data.record_batches import Labels

Codes = npt.NDArray[np.uint16]
_ROW = np.dtype([("key", np.uint64), ("group", np.uint64), ("size", np.uint32)])
_ROWS_AT_ONCE = 1 << 16


class Facts:
    """Takes the facts of records in the order of their ids, and gives them back in that order.

    Use it as a context manager while facts are added; read it when it is left.

    Args:
        path: file for 20 bytes a record; created.
        records: how many there will be.
    """

    def __init__(self, path: Path, records: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._langs, self._methods = Labels[str](), Labels[str]()
        self.langs: Codes = np.empty(records, np.uint16)
        self.methods: Codes = np.empty(records, np.uint16)
        self.records = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def lang_names(self) -> list[str]:
        """The languages by code."""
        return self._langs.names

    @property
    def method_names(self) -> list[str]:
        """The methods by code, without their modes."""
        return self._methods.names

    def add(
        self,
        batch: pa.RecordBatch,
        *,
        keys: npt.NDArray[np.uint64],
        groups: npt.NDArray[np.uint64],
        sizes: npt.NDArray[np.int64] | None,
    ) -> None:
        """Take the facts of the next records.

        Args:
            batch: of RECORD_SCHEMA, in the order of ids; lang and method are read.
            keys: 64 bits of a digest of each text, in the order of the batch, like what follows.
            groups: rank keys of the groups (see `tongues.data.splits`).
            sizes: tokens; None where rows are counted.
        """
        here = slice(self.records, self.records + batch.num_rows)
        self.langs[here] = self._langs.codes_of(batch.column("lang"), str)
        self.methods[here] = self._methods.codes_of(batch.column("method"), _builder)
        rows = np.ones(batch.num_rows, _ROW)
        rows["key"], rows["group"] = keys, groups
        if sizes is not None:
            rows["size"] = sizes
        self._file.write(rows.data)
        self.records += batch.num_rows

    def parts(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Place of the first record, and "key", "group" and "size" of the next thousands from there."""
        for start in range(0, self.records, _ROWS_AT_ONCE):
            yield start, np.fromfile(self._path, _ROW, _ROWS_AT_ONCE, offset=start * _ROW.itemsize)


def _builder(method: str) -> str:
    return method.split("/", maxsplit=1)[0]
