"""The routing table: which revision answers for which model, and where. The follower writes, the door reads.

It is a file and not a call, so that the endpoint serves on while there is no follower, and a door that
starts anew knows at once what its clients get.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tongues.core.errors import ServingError
from tongues.core.manifest import write_atomically

ROUTES_NAME = "routes.json"
HOLD_S = 5.0
"""How long a model is held for a move at most."""


class Route(BaseModel):
    """What clients of one model get.

    Args:
        model: name they ask for.
        served_as: name the servers know it by, which the answer shows.
        upstreams: addresses of servers that hold it, up to and without /v1; none while it is being loaded.
        hold_s: requests wait so long after a door took this table, unless it takes another one before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    served_as: str
    upstreams: tuple[str, ...] = ()
    hold_s: float = 0.0


class RouteTable(BaseModel):
    """All routes, in the order `/v1/models` lists them.

    Args:
        generation: counts the tables that were written; the door says which one it goes by.
        routes: one per model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    generation: int = 0
    routes: tuple[Route, ...] = ()

    def route(self, model: str) -> Route | None:
        """The route of a model; None where clients get none."""
        return next((route for route in self.routes if route.model == model), None)

    def followed_by(self, routes: Sequence[Route]) -> "RouteTable":
        """The table after this one; this one itself where nothing changes."""
        if tuple(routes) == self.routes:
            return self
        return RouteTable(generation=self.generation + 1, routes=tuple(routes))

    def holding(self, routes: Sequence[Route]) -> list[Route]:
        """The same routes, but a model that gets another revision is held first.

        A hold ends by itself, so that the one before is served on where nobody comes to move the model.

        Args:
            routes: what is wanted.
        """
        return [self._held(wanted) for wanted in routes]

    def _held(self, wanted: Route) -> Route:
        now = self.route(wanted.model)
        moves = now is not None and now.served_as != wanted.served_as
        return now.model_copy(update={"hold_s": HOLD_S}) if now is not None and moves else wanted


def write_routes(path: Path, table: RouteTable) -> None:
    """Write the table, all or nothing."""
    write_atomically(path, table.model_dump_json(indent=1).encode())


def read_routes(path: Path) -> RouteTable:
    """Read the table; an empty one where there is no file yet.

    Raises:
        ServingError: the file is not a table.
    """
    try:
        return RouteTable.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return RouteTable()
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        fix = "remove it; the follower writes it anew"
        raise ServingError(f"not a routing table ({said})", where=str(path), fix=fix) from error
