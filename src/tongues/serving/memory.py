"""What a follower must not forget: who serves, who served before, what was taken back, and why.

It stands in one file, written before anything is done about it, so that a follower that was killed at any
moment goes on where it was, also while the registry is away.
"""

import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tongues.core.errors import ServingError
from tongues.core.manifest import write_atomically
from tongues.serving.revision import Prepared, Revision, model_of

MEMORY_NAME = "follower.json"


class Serving(BaseModel):
    """What clients of one model get.

    Args:
        revision: that answers.
        fallback: the one before, while this one is watched.
        since: UNIX time of the switch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    revision: Revision
    fallback: Revision | None = None
    since: float = 0.0


class Memory(BaseModel):
    """The follower's memory.

    Args:
        serving: model to what its clients get.
        prepared: revision's name on the servers to its verified files, of all that serve or may again.
        taken_back: revision's name to why it failed under live checks; kept while the alias stands there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    serving: dict[str, Serving] = {}
    prepared: dict[str, Prepared] = {}
    taken_back: dict[str, str] = {}

    def switched(self, revision: Revision, prepared: Prepared, *, watched: bool) -> "Memory":
        """Clients get a revision; the one before stays at hand while it is watched."""
        before = self.serving.get(revision.model)
        # One that has not proved itself is no way back: behind it stands the last one that has.
        proven = (before.fallback or before.revision) if before else None
        fallback = proven if watched and proven != revision else None
        now = Serving(revision=revision, fallback=fallback, since=time.time())
        return self._with({**self.serving, revision.model: now}, {revision.served_as: prepared})

    def settled(self, revision: Revision) -> "Memory":
        """The revision proved itself."""
        now = self.serving[revision.model].model_copy(update={"fallback": None})
        return self._with({**self.serving, revision.model: now})

    def reverted(self, revision: Revision, fallback: Revision, reason: str) -> "Memory":
        """Clients get the one before again, and the revision is not tried while its alias stands."""
        now = Serving(revision=fallback, since=time.time())
        return self._with({**self.serving, revision.model: now}).taken(revision, reason)

    def taken(self, revision: Revision, reason: str) -> "Memory":
        """The revision failed its clients, and is not tried while its alias stands."""
        return self.model_copy(update={"taken_back": {**self.taken_back, revision.served_as: reason}})

    def withdrawn(self, model: str) -> "Memory":
        """The model is no longer served."""
        return self._with({name: one for name, one in self.serving.items() if name != model})

    def forgiven(self, heard: Mapping[str, str]) -> "Memory":
        """What was taken back may be tried again once its alias has stood elsewhere.

        Args:
            heard: model to the name its alias stands for, of models of which the registry just said so.
        """
        taken = self.taken_back.items()
        kept = {name: why for name, why in taken if heard.get(model_of(name), name) == name}
        return self if kept == self.taken_back else self.model_copy(update={"taken_back": kept})

    def _with(self, serving: dict[str, Serving], more: dict[str, Prepared] | None = None) -> "Memory":
        used = [one for each in serving.values() for one in (each.revision, each.fallback) if one is not None]
        every = {**self.prepared, **(more or {})}
        prepared = {one.served_as: every[one.served_as] for one in used if one.served_as in every}
        return self.model_copy(update={"serving": serving, "prepared": prepared})


def read_memory(home: Path) -> Memory:
    """Read it; an empty one where a follower starts for the first time.

    Raises:
        ServingError: the file is not a follower's memory.
    """
    path = home / MEMORY_NAME
    try:
        return Memory.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Memory()
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        fix = "move it away; the endpoint is then built anew from the registry"
        raise ServingError(f"not a follower's memory ({said})", where=str(path), fix=fix) from error


def write_memory(home: Path, memory: Memory) -> None:
    """Write it, all or nothing."""
    write_atomically(home / MEMORY_NAME, memory.model_dump_json(indent=1).encode())
