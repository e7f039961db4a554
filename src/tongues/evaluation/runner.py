"""What every runner is: it says how likely options are, and answers; see `model` and `served`."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from tongues.evaluation.likelihood import OptionScore

Done = Callable[[int], None]
"""Takes the number of items finished since the last call."""


_TAIL = re.compile(r"[\s\ufffd]+\Z")


def trimmed(text: str) -> str:
    """A text without outer white space and without the half letter that a length limit may leave."""
    return _TAIL.sub("", text).lstrip()


class Runner(Protocol):
    """A model that can be asked; the same questions mean the same to every runner."""

    def choice_loglikelihoods(
        self, prompts: Sequence[str], options: Sequence[Sequence[str]], *, done: Done = ...
    ) -> list[list[OptionScore]]:
        """Score every option of every prompt, in the order given.

        Args:
            prompts: plain text, without any chat template.
            options: continuations, each with the space that joins it to its prompt.
            done: told of the prompts finished.
        """

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        systems: Sequence[str] = (),
        done: Done = ...,
    ) -> list[str]:
        """Answer each prompt greedily, as one user turn of the model's own chat template.

        Args:
            prompts: user messages.
            max_new_tokens: length limit of an answer; a longer one is cut there.
            systems: a system message for each prompt, "" for none; none at all when empty.
            done: told of the prompts finished.
        """

    def describe(self) -> str:
        """What computes, for the report."""
