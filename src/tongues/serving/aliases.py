"""What the followed aliases stand for, as far as the registry said."""

import time
from collections.abc import Callable, Mapping, Sequence

from tongues.core.errors import RegistryError, TonguesError
from tongues.serving.jobs import Jobs
from tongues.serving.revision import Revision

Resolve = Callable[[str], Revision | None]
Found = Mapping[str, Revision | TonguesError | None]
POLL = ("poll",)


class Aliases:
    """The aliases of an endpoint. A registry that is silent changes nothing.

    Args:
        references: MODEL@ALIAS, in the order to serve them.
        resolve: the revision one stands for; None where there is no such alias.
        known: what was served before, until the registry says more.
    """

    def __init__(self, references: Sequence[str], resolve: Resolve, known: Mapping[str, Revision]) -> None:
        self.references = {reference.split("@")[0]: reference for reference in references}
        self._resolve = resolve
        self.wanted = {model: known[model] for model in self.references if model in known}
        self.absent, self.unusable = set[str](), dict[str, str]()
        self.error, self.heard = "", dict[str, str]()
        self.seen_at = {one.served_as: time.monotonic() for one in known.values()}
        self._polled_at = float("-inf")

    def poll(self, jobs: Jobs, every_s: float) -> None:
        """Ask the registry, if it is time; it may take as long as it wants."""
        if time.monotonic() - self._polled_at >= every_s and POLL not in jobs.running():
            self._polled_at = time.monotonic()
            jobs.start(POLL, self._ask)

    def _ask(self) -> Found:
        return {model: self._resolved(reference) for model, reference in self.references.items()}

    def _resolved(self, reference: str) -> Revision | TonguesError | None:
        try:
            return self._resolve(reference)
        except TonguesError as error:
            return error

    def take(self, found: Found) -> None:
        """Go by an answer of the registry."""
        silent = [one for one in found.values() if isinstance(one, RegistryError)]
        self.error = str(silent[0]) if silent else ""
        self.absent = {model for model, one in found.items() if one is None}
        wrong = {model: one for model, one in found.items() if isinstance(one, TonguesError)}
        self.unusable = {m: str(one) for m, one in wrong.items() if not isinstance(one, RegistryError)}
        kept = {model: self.wanted[model] for model in wrong if model in self.wanted}
        new = {model: one for model, one in found.items() if isinstance(one, Revision)}
        moved = [one for model, one in new.items() if self.wanted.get(model) != one]
        self.wanted = {model: (new | kept)[model] for model in self.references if model in new | kept}
        self.heard = {model: one.served_as for model, one in new.items()} | dict.fromkeys(self.absent, "")
        self.seen_at |= {revision.served_as: time.monotonic() for revision in moved}

    def since_seen(self, revision: Revision) -> float:
        """Seconds since an alias was seen to move to a revision."""
        return time.monotonic() - self.seen_at.get(revision.served_as, time.monotonic())

    def forget(self, name: str) -> None:
        """Count the time anew when an alias comes back to a revision."""
        self.seen_at.pop(name, None)
