"""`tongues evaluate`: base against tuned, per language; one model; an endpoint; two runners; files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tongues.cli import terminal

if TYPE_CHECKING:
    from tongues.core.scores import Scores


def evaluate(
    recipe: Annotated[str | None, terminal.Recipe] = None,
    judgements: Annotated[
        Path | None,
        typer.Option(help="Released judgements (JSON): read the ratings from the prose and average."),
    ] = None,
    item_logs: Annotated[
        list[Path] | None,
        typer.Option(
            help="Answers item by item in several languages (SeaEval's logs, or rows; JSON or JSONL): "
            "accuracy, consistency and AC3 for every s. Give it once per wording: the median is taken."
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Measure a served model on the recipe's suite instead: its address, up to /v1."),
    ] = None,
    served: Annotated[str, typer.Option(help="Name of the model at that endpoint.")] = "",
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Folder with that model's tokenizer; the recipe's base model's when absent."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Measure one model alone with the recipe's runner: base, models:/NAME@ALIAS, "
            "models:/NAME/VERSION, the URI of a finished finetune folder, or RECIPE.yaml#VARIANT."
        ),
    ] = None,
    agreement: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two folders with samples of one model by two runners: compare item by item."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for --agreement: every item as Parquet, shares and differences as JSON."),
    ] = None,
    workspace: Annotated[str, terminal.Workspace] = terminal.DEFAULT_WORKSPACE,
    as_json: Annotated[bool, terminal.Json] = False,
) -> None:
    """Score the tuned model against the base model and the champion, per language."""
    if [recipe, judgements, item_logs or None, agreement].count(None) != 3:
        raise typer.BadParameter(
            "give one of: a recipe, --judgements FILE, --item-logs FILE, --agreement FOLDER FOLDER"
        )
    if endpoint and not (recipe and served):
        raise typer.BadParameter("--endpoint needs a recipe, whose suite is asked, and --served NAME")
    if model and (endpoint or not recipe):
        raise typer.BadParameter("--model needs a recipe, whose suite is asked, and no --endpoint")
    if judgements is not None:
        _judgements(judgements, as_json)
    elif item_logs:
        _item_logs(item_logs, as_json)
    elif agreement is not None:
        _agreement(agreement, out, as_json)
    elif recipe is not None and endpoint:
        _endpoint(recipe, workspace, (endpoint, served), tokenizer, as_json)
    elif recipe is not None and model:
        _model(recipe, workspace, model, as_json)
    elif recipe is not None:
        _recipe(recipe, workspace, as_json)


def _recipe(recipe: str, workspace: str, as_json: bool) -> None:
    from tongues.cli.opening import open_flow
    from tongues.evaluation.summary import print_terminal

    evaluation = open_flow(recipe, workspace).evaluation
    result = {"uri": evaluation.output.uri, "report": str(evaluation.report),
              "scores": {s.role: s.model_dump(mode="json") for s in evaluation.scores}}  # fmt: skip
    terminal.show(result, as_json=as_json, human=lambda: print_terminal(evaluation.scores))


def _endpoint(
    recipe: str, workspace: str, served: tuple[str, str], tokenizer: Path | None, as_json: bool
) -> None:
    from tongues.cli.opening import open_recipe, open_workspace
    from tongues.stages.measure import measure_endpoint

    given, place = open_recipe(recipe), open_workspace(workspace)
    _measured(measure_endpoint(given, place, *served, tokenizer=tokenizer), as_json)


def _model(recipe: str, workspace: str, reference: str, as_json: bool) -> None:
    from tongues.cli.opening import open_recipe, open_workspace
    from tongues.stages.measure import measure_model

    _measured(measure_model(open_recipe(recipe), open_workspace(workspace), reference), as_json)


def _measured(found: "tuple[Scores, Path]", as_json: bool) -> None:
    """Scores of one model, and the folder with its samples."""
    from tongues.evaluation.summary import print_terminal

    scores, folder = found
    result = {"folder": str(folder), "scores": scores.model_dump(mode="json")}
    terminal.show(result, as_json=as_json, human=lambda: print_terminal([scores]))


def _agreement(folders: tuple[Path, Path], out: Path | None, as_json: bool) -> None:
    from tongues.evaluation.agreement import agreement, item_agreements, plain, write_agreement
    from tongues.evaluation.compare import by_task
    from tongues.evaluation.samples import read_samples

    items = item_agreements(*(by_task(read_samples(folder)) for folder in folders))
    if out is not None:
        write_agreement(out, items)
    found = agreement(items)
    rows = [
        (a["task"], a["lang"], a["same"].n, a["same"].value, a["same_score"].value, a["largest_difference"])
        for a in found
    ]
    columns = ("task", "language", "n", "same answer", "same score", "largest difference, nats")
    terminal.show(
        {"agreement": plain(found)},
        as_json=as_json,
        human=lambda: terminal.table("Two runners, item by item", columns, rows),
    )


def _judgements(path: Path, as_json: bool) -> None:
    from tongues.evaluation.judgements import read_judgements

    means = read_judgements(path)
    rows = [
        (name, m["mean"], m["n"]) for name, m in [*means["categories"].items(), ("overall", means["overall"])]
    ]
    terminal.show(
        means, as_json=as_json, human=lambda: terminal.table("Ratings", ("category", "mean", "n"), rows)
    )


def _item_logs(paths: list[Path], as_json: bool) -> None:
    from tongues.evaluation.item_logs import item_log_figures, median_figures, read_item_log

    logs = {str(path): item_log_figures(read_item_log(path), str(path)) for path in paths}
    found = median_figures(list(logs.values()))
    several = len(logs) > 1
    columns = ("measure", *(Path(name).name for name in logs), *(["median"] if several else []), "n")
    rows = [
        (name, *(log[name].value for log in logs.values()), *([one.value] if several else []), one.n)
        for name, one in found.items()
    ]
    plain = {name: {k: m.model_dump(mode="json") for k, m in log.items()} for name, log in logs.items()}
    terminal.show(
        {"logs": plain, "median": {k: m.model_dump(mode="json") for k, m in found.items()}},
        as_json=as_json,
        human=lambda: terminal.table("Answers item by item", columns, rows),
    )
