"""One process of a training: ``python -m tongues.stages.rank RECIPE WORKSPACE SCRATCH DATASET BASE``.

torchrun starts it, as often as `tongues.tuning.launch` asks for. What goes wrong is left for who launched.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

from tongues.core.errors import TonguesError
from tongues.core.progress import say_on_stderr
from tongues.stages.finetune import finetune
from tongues.stages.given import read_recipe
from tongues.stages.step_run import measured
from tongues.stages.workspace import Workspace
from tongues.tuning.launch import report_failure
from tongues.tuning.ranks import Ranks


def main(recipe: str, workspace: str, scratch: str, dataset: str, base: str) -> None:
    """Train in this process, beside the others."""
    say = say_on_stderr if Ranks.here().leads else lambda _: None
    place = Workspace(workspace, scratch=Path(scratch), say=say)
    try:
        given = read_recipe(recipe)
        # Only the leading process counts tokens, and only it may show them.
        with measured("rank", given.recipe.registry.model, say) if Ranks.here().leads else nullcontext():
            finetune(given, place, place.open(dataset), place.open(base))
    except TonguesError as error:
        report_failure(error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
