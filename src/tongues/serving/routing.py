"""The routing table as it stands, and when a model may move in it.

One door moves a model by one change of the table. Several doors read it within 50 ms of each other, and a
client that spreads its requests could get the new revision, then the old one, then the new one. So there a
model is held first: its requests wait. Once every door says that it goes by that table, none sends a request
to the old revision any more, and the model moves.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from tongues.core.progress import Say
from tongues.serving.door_metrics import DoorState
from tongues.serving.routes import HOLD_S, ROUTES_NAME, Route, read_routes, write_routes

_AGREE_S = HOLD_S - 1
"""How long doors may take to hold a model before it moves all the same: well before the first hold ends."""


class Routing:
    """The table of one endpoint.

    Args:
        home: folder of the table.
        several: whether several doors go by it.
        say: takes lines for the user.
    """

    def __init__(self, home: Path, say: Say, *, several: bool) -> None:
        self._path, self._say, self._several = home / ROUTES_NAME, say, several
        self._table = read_routes(self._path)
        self._held_since: float | None = None

    def in_force(self, door: DoorState | None) -> bool:
        """Whether the doors say that they go by the newest table."""
        return door is not None and door.generation == self._table.generation

    def publish(self, routes: Sequence[Route], door: DoorState | None) -> None:
        """Write what may be written now; call it again with what the doors say then."""
        table = self._table.followed_by(self._allowed(list(routes), door))
        if table is not self._table:
            write_routes(self._path, table)
            self._table = table

    def _allowed(self, routes: list[Route], door: DoorState | None) -> list[Route]:
        held = self._table.holding(routes)
        if not self._several or held == routes:
            self._held_since = None
            return routes
        now = time.monotonic()
        since = self._held_since = self._held_since or now
        if tuple(held) != self._table.routes:
            return held
        if self.in_force(door):
            return routes
        if now - since < _AGREE_S:
            return held
        self._say(f"the doors do not agree within {_AGREE_S:g} s; moving all the same")
        return routes
