"""Which items are asked where not all are: the same ones in every language and every run."""

import hashlib
from collections.abc import Sequence


def drawn(total: int, size: int | None) -> list[int]:
    """Numbers of the items that are asked, of so many; the same for the same total, spread over all."""
    numbers = [str(number) for number in range(total)]
    return list(range(total)) if size is None else sorted(map(int, by_digest(numbers)[:size]))


def by_digest(ids: Sequence[str]) -> list[str]:
    """Ids in an order that has nothing to do with theirs."""
    return sorted(ids, key=lambda id: hashlib.sha256(id.encode()).digest())
