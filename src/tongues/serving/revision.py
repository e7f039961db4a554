"""A revision: what an alias stands for, by digest, and the name under which a server holds it."""

import re
from dataclasses import dataclass
from pathlib import Path

from tongues.core.errors import ServingError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHORT = 12


@dataclass(frozen=True, slots=True)
class Revision:
    """One registered version, pinned: an alias may move, a revision never changes.

    Args:
        model: registered name, which clients ask for.
        version: its number in the registry.
        digest: of the manifest of the tuned model's folder.
        uri: that folder.
        base_uri: folder of the base model it was tuned on.
        evaluation_uri: folder of its evaluation; empty where none is known.
        evaluation_digest: of that folder's manifest.
    """

    model: str
    version: int
    digest: str
    uri: str
    base_uri: str = ""
    evaluation_uri: str = ""
    evaluation_digest: str = ""

    @property
    def served_as(self) -> str:
        """Name on the server: another revision never has it, so none is ever swapped under a request."""
        return f"{self.model}.v{self.version}.{self.digest[:_SHORT]}"


def model_of(served_as: str) -> str:
    """The model behind a name on the server."""
    return served_as.rsplit(".", 2)[0]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A question with the answer that evaluation got.

    Args:
        lang: language asked for (BCP-47).
        prompt: the user's turn.
        answer: as evaluation kept it, without outer white space; of a chain all of it.
        answered_in: language identified in it, of a chain in its last segment.
        system: the system message; empty for none.
        chain_tokens: longest chain of TaCo, in tokens; 0 where a plain answer was asked for.
    """

    lang: str
    prompt: str
    answer: str
    answered_in: str
    system: str = ""
    chain_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A revision whose files are here and are what was registered.

    Args:
        folder: what the server loads: an adapter, or merged weights.
        recorded: questions to check it with, by language in the order of the suite; may be empty.
    """

    folder: Path
    recorded: tuple[Recorded, ...] = ()


def check_name(model: str) -> str:
    """The name, if it may become part of a path and of a request.

    Raises:
        ServingError: it holds a slash, a space, "..", or anything but letters, digits, ``.``, ``_``, ``-``.
    """
    if not _NAME.fullmatch(model) or ".." in model:
        raise ServingError(
            "not a name that a server may load: letters, digits, '.', '_' and '-' only, no '..'",
            where=repr(model),
            fix="register the model under another name",
        )
    return model
