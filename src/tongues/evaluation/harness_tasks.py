"""One task of lm-evaluation-harness: its own description, our rows or the hub's, examples where asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_value
from tongues.core.errors import EvaluationError
from tongues.core.standard_suites import HarnessTask, StandardSet

Rows = Sequence[Mapping[str, Any]]
SHOTS_SEED = 1_234
"""Of the examples that are drawn, which are the same in every process."""
_EXAMPLES = "examples"


def splits_of(
    task: HarnessTask,
    part: str,
    lang: str,
    rows: Mapping[str, Rows] | None,
    examples: Mapping[str, Rows] | None,
) -> tuple[Rows, Rows] | None:
    """The rows of one language and part, and the examples; None where the hub has them.

    Args:
        task: says which column tells the part.
        part: one of the set's parts.
        lang: BCP-47 code.
        rows: language to all its rows.
        examples: the same for the shots.
    """
    if rows is None:
        return None
    both = rows[lang], (examples or {}).get(lang, ())
    own, shots = ([row for row in found if not part or row.get(task.part_key) == part] for found in both)
    return own, shots


def open_task(
    about: StandardSet,
    lang: str,
    part: str,
    splits: tuple[Rows, Rows] | None,
    hub: tuple[str, str] | None,
) -> tuple[str, Any]:
    """One task of the harness by its name, with every request built once.

    Args:
        about: the set, with its number of shots.
        lang: BCP-47 code.
        part: one of the set's parts.
        splits: rows to be asked, and examples; None with `hub`.
        hub: name of the data set on the hub, and its revision.

    Raises:
        EvaluationError: it is another version, its rows lack the question, or its examples do not serve.
    """
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    task = about.task
    name = task.task.format(code=about.code(lang), part=part)
    config = load_yaml(description(about, lang, part))
    if (config["task"], float(config["metadata"]["version"])) != (name, task.version):
        raise EvaluationError(f"{name} is not version {task.version:g} in this release of the harness")
    config = {key: value for key, value in config.items() if key not in {"tag", "group"}}
    config |= {"num_fewshot": task.shots}
    if hub is not None:
        config |= {"dataset_path": hub[0], "dataset_kwargs": {"revision": hub[1]}}
    elif splits is not None:
        config |= _from_rows(config, *splits, task.shots)
    loaded = ConfigurableTask(config=config)
    loaded.set_fewshot_seed(seed=SHOTS_SEED)
    loaded.build_all_requests(limit=None, rank=0, world_size=1)
    _check_questions(loaded, name, task.asks)
    return name, loaded


def _check_questions(task: Any, name: str, columns: Sequence[str]) -> None:
    """What cannot be searched for in training data is not asked."""
    if missing := [column for column in columns if column not in task.eval_docs[0]]:
        raise EvaluationError(f"{name}: rows have no column {', '.join(missing)}, which holds the question")


def description(about: StandardSet, lang: str, part: str) -> Path:
    """The harness's own file about a task."""
    import lm_eval

    file = about.task.file.format(code=about.code(lang), part=part)
    return Path(lm_eval.__file__).parent / "tasks" / file


def template(about: StandardSet, lang: str) -> str:
    """The words around a question: a template, or the name of the harness's function that makes them."""
    from lm_eval.tasks._yaml_loader import load_yaml

    path = description(about, lang, about.task.parts[0])
    return str(load_yaml(path, resolve_func=False)["doc_to_text"])


def _from_rows(config: Mapping[str, Any], rows: Rows, examples: Rows, shots: int) -> dict[str, Any]:
    """What replaces the hub's data set: rows as the split that is evaluated, and examples for the shots.

    Raises:
        EvaluationError: there are fewer examples than shots, or one of them is asked, too.
    """
    from datasets import Dataset, DatasetDict

    if shots:
        _check_examples(str(config["task"]), rows, examples, shots)
    split = config.get("test_split") or config["validation_split"]
    found = DatasetDict({split: Dataset.from_list([dict(row) for row in rows])})
    if shots:
        found[_EXAMPLES] = Dataset.from_list([dict(row) for row in examples])
    others = {"training_split": None, "fewshot_split": _EXAMPLES if shots else None}
    kept = {
        "test_split": config.get("test_split"),
        "validation_split": None if config.get("test_split") else split,
    }
    return {"custom_dataset": lambda **_: found, **others, **kept}


def _check_examples(task: str, rows: Rows, examples: Rows, shots: int) -> None:
    if len(examples) < shots:
        fix = "give enough rows under shots_uri, in every language"
        raise EvaluationError(f"{task}: {shots} shots, {len(examples)} examples", fix=fix)
    asked = {digest_value(dict(row)) for row in rows}
    if known := sum(digest_value(dict(row)) in asked for row in examples):
        fix = "give other rows under shots_uri: they show the answers"
        raise EvaluationError(f"{task}: {known} of the examples are asked, too", fix=fix)
