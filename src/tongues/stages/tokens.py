"""Token counts of records, as the base model's tokenizer gives them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tongues.data.record_batches import turns
from tongues.data.statistics import CountTokens
from tongues.tuning.models import load_tokenizer


def token_counter(base: Path) -> CountTokens:
    """A counter of the tokens of a record's texts; what the chat template adds is not counted.

    Args:
        base: folder of the base model.

    Raises:
        TuningError: there is no usable tokenizer.
    """
    tokenizer = load_tokenizer(base)

    def count(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        _, contents, counts = turns(batch)
        if not contents:
            return np.zeros(len(counts), np.int64)
        encoded = tokenizer(contents, add_special_tokens=False)["input_ids"]
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(list(map(len, encoded)))])
        ends = np.cumsum(counts)
        found: npt.NDArray[np.int64] = sums[ends] - sums[ends - counts]
        return found

    return count
