"""Evaluation items that training data is searched for, of files and of sets with tasks of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tongues.core.digests import digest_file
from tongues.core.errors import PreflightError
from tongues.data.decontaminate import Prompt, read_prompts
from tongues.evaluation.sets import MeasuredSet
from tongues.stages.given import Given
from tongues.stages.suite_files import fetch_all_sets
from tongues.stages.workspace import Output, Workspace


@dataclass(frozen=True, slots=True)
class KeptOut:
    """What must not be learnt.

    Args:
        files: task to a file of the suite.
        sets: of a standard suite, with tasks of their own.
    """

    files: dict[str, Path]
    sets: Sequence[MeasuredSet]

    def inputs(self) -> dict[str, Output | str]:
        """What it is by digest, for the identity of whatever was searched."""
        found: dict[str, Output | str] = {
            f"suite-{task}": digest_file(path) for task, path in self.files.items()
        }
        return found | {f"set-{one.name}": one.sha256 for one in self.sets}

    def prompts(self) -> dict[str, list[Prompt]]:
        """Task or set to its items, in all languages it has.

        Raises:
            DataError: a file cannot be compared.
        """
        found = {task: read_prompts(path) for task, path in self.files.items()}
        return found | {one.name: _prompts(one) for one in self.sets}


def fetch_kept_out(given: Given, workspace: Workspace) -> KeptOut:
    """Everything that the recipe evaluates on.

    A set that evaluation only names as not measured is an error here: once its place can be read again, the
    model would be asked what it may have learnt.

    Raises:
        PreflightError: a set whose place the recipe names cannot be read; lists all of them.
    """
    files, sets, unread = fetch_all_sets(given, workspace)
    if unread:
        problems = [
            f"{name}: {reason}; training data cannot be kept clear of it" for name, reason in unread.items()
        ]
        raise PreflightError(problems, where="evaluation.suite")
    return KeptOut(files, sets)


def _prompts(one: MeasuredSet) -> list[Prompt]:
    return [Prompt(one.name, question.lang, question.text, question.id) for question in one.questions()]
