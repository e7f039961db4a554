"""The three things a check can say of a text, and the limits that several checks share."""

from tongues.core.ports import Verdict

TELLING_LETTERS = 20
"""Letters of English, or as much in another language, below which a text is too short to compare."""


def judged(check: str, failure: str, detail: str = "") -> Verdict:
    """All is well if `failure` is empty; else the text must not become training data."""
    return Verdict(check, False, failure, detail) if failure else Verdict(check, True, "ok")


def hint(check: str, reason: str, detail: str = "") -> Verdict:
    """The text passes, and what was seen is stored with it."""
    return Verdict(check, True, reason, detail)
