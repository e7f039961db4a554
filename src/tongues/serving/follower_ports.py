"""What a follower is given: abilities of other rooms, and how it is to work."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tongues.core.ports import Identify
from tongues.serving.aliases import Resolve
from tongues.serving.checks import Limits
from tongues.serving.revision import Prepared, Revision


@dataclass(frozen=True, slots=True)
class Ports:
    """What the follower needs of other rooms.

    Args:
        resolve: the revision a reference stands for; None where there is no such alias.
        prepare: fetch and verify a revision's files.
        discard: remove what `prepare` made, once nobody holds it.
        roll_back: move the alias back in the registry, with a reason.
        identify: guesses the language of an answer.
    """

    resolve: Resolve
    prepare: Callable[[Revision], Prepared]
    discard: Callable[[Prepared], None]
    roll_back: Callable[[Revision, str], None]
    identify: Identify


@dataclass(frozen=True, slots=True)
class Settings:
    """How a follower works.

    Args:
        mode: "adapter" or "merged".
        mode_by: what decided that, in words.
        poll_s: seconds between two looks at the registry.
        retry_s: pause before what failed is tried again; it doubles with each failure.
        limits: what a revision must keep to.
        key: API key for checks through the door; empty where it asks for none.
    """

    mode: str
    mode_by: str = ""
    poll_s: float = 2.0
    retry_s: float = 2.0
    limits: Limits = field(default_factory=Limits)
    key: str = ""
