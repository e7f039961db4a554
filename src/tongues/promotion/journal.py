"""The journal of promotions: who moved the champion, when, why; one mover at a time.

MLflow moves an alias without asking what it pointed to before, so two promotions at the same
moment would both believe they won. Each move therefore first claims the next number in the
journal: a parameter of one run per model, and MLflow lets the first writer of a parameter win.
"""

import getpass
import uuid
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tongues.core.errors import RegistryError
from tongues.platform.tracking import Tracking

_PREFIX = "move."
_ABANDONED_AFTER = timedelta(seconds=60)
"""Moving two aliases takes about a second; who has not finished by then never will."""


class Move(BaseModel):
    """One line of the journal: the champion of a model changes.

    Args:
        number: 1, 2, ... in the order of the claims.
        action: "promote" or "rollback".
        before: version that was champion; None if there was none.
        after: version that becomes champion.
        who: user name on the machine that moved it.
        at: UTC time, ISO 8601.
        reason: in the mover's words, or the gate's.
        decision_sha256: digest of the gate's decision; empty for a rollback.
        claim: random text that tells one claim from another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    number: int
    action: Literal["promote", "rollback"]
    before: int | None
    after: int
    who: str
    at: datetime
    reason: str
    decision_sha256: str = ""
    claim: str


class Journal:
    """The moves of one registered model: one run, in whatever experiment the model was first promoted from.

    Args:
        tracking: the MLflow that holds the model.
        model: registered name.
    """

    def __init__(self, tracking: Tracking, model: str) -> None:
        self.tracking, self.model = tracking, model
        self._key = f"promotions/{model}"

    def open(self) -> None:
        """Make the journal before a version can be promoted; two of one model would tell two stories."""
        self._run()

    def moves(self) -> list[Move]:
        """All moves, oldest first."""
        run_id = self.tracking.find_run(self._key)
        params = {} if run_id is None else self.tracking.read_params(run_id)
        lines = (text for name, text in params.items() if name.startswith(_PREFIX))
        return sorted(map(Move.model_validate_json, lines), key=lambda move: move.number)

    def claim(
        self,
        action: Literal["promote", "rollback"],
        *,
        before: int | None,
        after: int,
        reason: str,
        decision_sha256: str = "",
    ) -> Move:
        """Claim the next move; only who gets it may touch the aliases.

        Raises:
            RegistryError: somebody else is moving the champion at this moment.
        """
        moves = self.moves()
        if moves and self._under_way(moves[-1], before, after):
            raise self._beaten_by(moves[-1])
        mine = Move(
            number=len(moves) + 1,
            action=action,
            before=before,
            after=after,
            who=_user(),
            at=datetime.now(UTC),
            reason=reason,
            decision_sha256=decision_sha256,
            claim=uuid.uuid4().hex,
        )
        written = self.tracking.write_once(self._run(), f"{_PREFIX}{mine.number:05d}", mine.model_dump_json())
        winner = Move.model_validate_json(written)
        if winner.claim != mine.claim:
            raise self._beaten_by(winner)
        return mine

    def _run(self) -> str:
        """The run, made where there is none; of two made at the same moment the older one is everybody's."""
        if self.tracking.find_run(self._key) is None:
            self.tracking.start_run(self._key, name=f"promotions of {self.model}")
        found = self.tracking.find_run(self._key)
        if found is None:
            raise RegistryError("the history of promotions is gone as soon as it was made", where=self.model)
        return found

    def _under_way(self, last: Move, champion: int | None, wanted: int) -> bool:
        """Whether the last claim has not reached the alias yet, and may still do so."""
        pending = champion == last.before and last.after not in (champion, wanted)
        return pending and datetime.now(UTC) - last.at < _ABANDONED_AFTER

    def _beaten_by(self, winner: Move) -> RegistryError:
        return RegistryError(
            f"{winner.who} is moving the champion to version {winner.after} at this moment "
            f"({winner.action}, {winner.at:%Y-%m-%d %H:%M:%S} UTC)",
            where=self.model,
            fix="evaluate against the new champion, then promote again",
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a pod's user often has no name
        return "unknown"
