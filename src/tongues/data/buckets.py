"""Rows of numbers on disk, parted by the beginning of their keys: sorted part by part, they are sorted."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.void]
"""Numbers with names; "key" (64 bits) is one of them."""
_BITS = 6
_SHIFT = np.uint64(64 - _BITS)


class Buckets:
    """Takes rows and gives them back a 64th at a time, in the order of the beginnings of their keys.

    Use it as a context manager while rows are added; read it when it is left.

    Args:
        folder: for its files, as large as the rows; created if absent.
        dtype: of the rows; keys are spread evenly, as digests are.
    """

    def __init__(self, folder: Path, dtype: npt.DTypeLike) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        self._paths = [folder / f"bucket-{number:02d}.bin" for number in range(1 << _BITS)]
        self._files = ExitStack()
        self._writers = [self._files.enter_context(path.open("wb")) for path in self._paths]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def add(self, **columns: npt.NDArray[Any]) -> None:
        """Take rows: one array for each name of the type, all of one length."""
        rows = np.empty(len(columns["key"]), self._dtype)
        for name, column in columns.items():
            rows[name] = column
        numbers = (rows["key"] >> _SHIFT).astype(np.uint8)
        order = np.argsort(numbers, kind="stable")
        ends = np.searchsorted(numbers[order], np.arange(len(self._writers)), side="right").tolist()
        together = rows[order]
        for writer, begin, end in zip(self._writers, [0, *ends], ends, strict=False):
            if end > begin:
                writer.write(together[begin:end].data)

    def parts(self) -> Iterator[Rows]:
        """Each bucket that has rows, in the order of keys; its rows in the order in which they came."""
        for path in self._paths:
            rows: Rows = np.fromfile(path, self._dtype)
            if len(rows):
                yield rows
