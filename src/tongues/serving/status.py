"""What a follower says of itself and its endpoint, in a file that anybody may read."""

import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tongues.core.errors import ServingError
from tongues.core.manifest import write_atomically

STATUS_NAME = "status.json"
_STALE_POLLS = 10

State = Literal["serving", "watched", "coming", "refused", "taken-back", "absent"]


class ModelStatus(BaseModel):
    """One model that is followed.

    Args:
        model: as clients call it.
        reference: what is followed.
        state: serving: the alias's revision answers. watched: it answers and is under live checks.
            coming: it is fetched, loaded or checked, or the door is about to take it. refused: it is not,
            or cannot be, what was registered. taken-back: it failed under live checks. absent: there is
            no such alias.
        wanted: name of the revision that the alias stands for; empty if absent.
        serves: name of the revision that clients get; empty for none.
        fallback: the one before, while that one is watched.
        since: UNIX time since when they get it.
        switch_s: from seeing the alias move to the switch, in seconds.
        servers: addresses that hold it.
        reason: why it is not what is wanted, or what goes wrong; empty if all is well.
        checks: what the last checks found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    reference: str
    state: State
    wanted: str = ""
    serves: str = ""
    fallback: str = ""
    since: float = 0.0
    switch_s: float | None = None
    servers: tuple[str, ...] = ()
    reason: str = ""
    checks: tuple[str, ...] = ()


class Status(BaseModel):
    """The endpoint as the follower sees it.

    Args:
        url: address for clients, up to and with /v1.
        mode: "adapter" or "merged".
        mode_by: what decided that, in words.
        pid: the follower's.
        at: UNIX time of this status.
        poll_s: seconds between two looks at the registry.
        registry: empty while it answers; else what is wrong, and the endpoint serves on.
        places: place to the names it holds; None for one that does not answer.
        models: in the order followed.
        trouble: what else goes wrong, one line each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str
    mode: str
    mode_by: str = ""
    pid: int
    at: float
    poll_s: float
    registry: str = ""
    places: dict[str, tuple[str, ...] | None] = {}
    models: tuple[ModelStatus, ...] = ()
    trouble: tuple[str, ...] = ()

    @property
    def stale_s(self) -> float:
        """How long ago it was written, where that is too long for a follower that runs; else 0."""
        age = time.time() - self.at
        return age if age > max(10.0, _STALE_POLLS * self.poll_s) else 0.0

    def news(self, before: "Status") -> bool:
        """Whether it says anything but the time that another one did not."""
        return self != before.model_copy(update={"at": self.at})

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {**self.model_dump(mode="json"), "stale_s": round(self.stale_s, 1)}


def write_status(home: Path, status: Status) -> None:
    """Write it, all or nothing."""
    write_atomically(home / STATUS_NAME, status.model_dump_json(indent=1).encode())


def read_status(home: Path) -> Status:
    """Read it.

    Raises:
        ServingError: no follower has written one here.
    """
    path = home / STATUS_NAME
    try:
        return Status.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        fix = "start one: tongues serving follow MODEL@champion"
        raise ServingError("no follower has been here", where=str(home), fix=fix) from error
    except ValidationError as error:
        raise ServingError(f"not a status ({error.errors()[0]['msg']})", where=str(path)) from error
