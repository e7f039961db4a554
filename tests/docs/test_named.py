"""Whatever a page names is there: commands, options, targets, values, keys, files, metrics, alerts."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import crd_schemas
import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml
from chart_objects import CHART, CRDS, merged
from prometheus_client import CollectorRegistry
from test_chart_objects_valid import KUBERNETES
from typer.main import get_command
from written import ROOT, SHELLS, Page, pages

from tongues.cli.main import app
from tongues.core.meters import METERS
from tongues.core.recipe import Recipe
from tongues.core.recipe_file import load_recipe
from tongues.serving.door_metrics import DoorMetrics
from tongues.serving.follower_metrics import FollowerMetrics

PAGES = pages()
# What was measured once, and what changed since, may name what is no more.
HISTORY = ("docs/experiments.md", "CHANGELOG.md")
TODAY = [page for page in PAGES if page.name not in HISTORY]
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
FOLDERS = ("docs/", "src/", "helm/", "manifests/", "components/", "pipelines/", "recipes/", "scripts/")
FOLDERS += ("tests/", "benchmarks/", ".ci/")
_DOTTED = re.compile(r"[a-zA-Z_]\w*(?:\.[a-zA-Z_][\w-]*)+(?:\.\*)?")


_NO_KEYS = (".py", ".md", ".yaml", ".json", ".kserve.io")


def each_page(*, of: list[Page] = TODAY) -> Any:
    return pytest.mark.parametrize("page", of, ids=lambda page: page.name)


def test_there_is_enough_to_check():
    counted = {
        "pages": len(PAGES),
        "command lines": sum(len(list(page.commands("tongues"))) for page in TODAY),
        "spans": sum(len(page.spans) for page in TODAY),
        "make targets": sum(len(list(_targets(page))) for page in TODAY),
        "dotted keys": sum(len(list(_keys(page))) for page in TODAY),
        "yaml": sum(len(_mappings(page)) for page in TODAY),
    }
    least = {
        "pages": 40,
        "command lines": 55,
        "spans": 1500,
        "make targets": 20,
        "dotted keys": 100,
        "yaml": 12,
    }
    assert {name: n for name, n in counted.items() if n < least[name]} == {}, counted


@each_page(of=PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    wrong = []
    for file, anchor in page.links:
        target = Page((page.path.parent / file).resolve() if file else page.path)
        if not target.path.exists():
            wrong.append(file)
        elif anchor and target.path.suffix == ".md" and anchor not in target.anchors:
            wrong.append(f"{file}#{anchor}")
    assert wrong == []


@each_page()
def test_every_command_line_is_one_that_the_command_takes(page, monkeypatch):
    for name in ("TONGUES_SIGNING_KEY", "TONGUES_VERIFICATION_KEY"):  # set once by whoever signs
        monkeypatch.setenv(name, "key.pem")
    checks = ((words, _unknown if "..." in words else _refusal) for words in page.commands("tongues"))
    wrong = {" ".join(words): problem for words, check in checks if (problem := check(words))}
    assert wrong == {}


@each_page()
def test_every_command_named_in_a_line_exists_with_its_options(page):
    named = [span.split()[1:] for span in page.spans if span.startswith("tongues ")]
    wrong = {" ".join(words): problem for words in named if (problem := _unknown(words))}
    assert wrong == {}


@each_page()
def test_every_make_target_exists(page):
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert [target for target in _targets(page) if target not in known] == []


@each_page()
def test_every_key_is_one_of_the_recipe_or_of_the_chart(page):
    assert [key for key in _keys(page) if not (_is_value(key) or _is_recipe_key(key))] == []


@each_page()
def test_every_value_set_on_a_helm_command_exists(page):
    given = [word for words in page.commands("helm") if "helm/tongues" in words for word in words]
    settings = [word.partition("=")[0] for word in given if re.match(r"[a-z]\w*\.[\w.]+=", word)]
    assert [name for name in settings if not _is_value(name)] == []


@each_page()
def test_every_yaml_of_a_recipe_or_of_values_is_valid(page):
    wrong = {next(iter(given)): problem for given in _mappings(page) if (problem := _yaml_problem(given))}
    assert wrong == {}


@each_page()
def test_every_kubernetes_object_is_one_that_a_strict_server_takes(page):
    objects = [one for one in _yaml(page) if isinstance(one, dict) and "apiVersion" in one]
    core = [one for one in objects if "." not in one["apiVersion"].partition("/")[0]]
    for one in core:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    custom = [one for one in objects if one not in core] if CRDS.is_dir() else []
    assert [problem for one in custom for problem in crd_schemas.problems(one)] == []


@each_page()
def test_every_path_into_the_repository_is_there(page):
    assert [path for path in _paths(page) if not list(ROOT.glob(path.rstrip("/")))] == []


@each_page()
def test_every_metric_alert_and_variable_is_in_the_code(page):
    words = {word for span in page.spans for word in re.findall(r"\w+", span)}
    metrics = {word for word in words if word.startswith("tongues_")}
    assert {metric for metric in metrics if not _is_metric(metric)} == set()
    alerts = set(re.findall(r"\bTongues[A-Z]\w+", page.prose)) - {"TonguesError"}
    assert {alert for alert in alerts if f"alert: {alert}\n" not in _alerts()} == set()
    variables = set(re.findall(r"\bTONGUES_[A-Z_]*[A-Z]", page.text))
    assert {name for name in variables if name not in _code()} == set()


def test_every_page_can_be_reached_from_the_index():
    seen, todo = set(), [ROOT / "docs" / "README.md"]
    while todo:
        page = Page(todo.pop())
        if page.path not in seen:
            seen.add(page.path)
            linked = [(page.path.parent / file).resolve() for file, _ in page.links if file]
            todo += [path for path in linked if path.suffix == ".md"]
            todo += [path for folder in linked if folder.is_dir() for path in folder.glob("*.md")]
    assert {page.name for page in PAGES if page.name.startswith("docs/") and page.path not in seen} == set()


def _refusal(words: list[str]) -> str:
    """Why the command line would be refused before it does anything; empty where it would not."""
    try:
        _parse(get_command(app), "tongues", words, None)
    except typer.Exit:  # --help, --version
        return ""
    except Exception as error:
        tell = getattr(error, "format_message", None)
        if tell is None:
            raise
        return str(tell())
    return ""


def _parse(command: Any, name: str, words: list[str], parent: Any) -> None:
    with command.make_context(name, list(words), parent=parent) as context:
        rest = [*context._protected_args, *context.args]
        if _children(command) and rest:
            called, child, rest = command.resolve_command(context, rest)
            _parse(child, called, rest, context)


def _children(command: Any) -> dict[str, Any]:
    return getattr(command, "commands", {})


def _unknown(words: list[str]) -> str:
    """What of a command in running text does not exist; `show|verify` stands for two."""
    command: Any = get_command(app)
    while _children(command) and words and not words[0].startswith("-"):
        names = words[0].split("|")
        if missing := [name for name in names if name not in _children(command)]:
            return f"no command {missing[0]}"
        command, words = _children(command)[names[0]], words[1:]
    words = words[: words.index("|")] if "|" in words else words
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    known = options | {"--help", "--json", "--debug", "--version"}
    given = [
        word.strip("[]").partition("=")[0].rstrip(",.") for word in words if word.strip("[").startswith("-")
    ]
    wrong = [name for name in given if name not in known]
    return f"no option {wrong[0]}" if wrong else ""


def _targets(page: Page) -> Iterator[str]:
    lines = [span.split()[1:] for span in page.spans if span.startswith("make ")]
    for words in [*lines, *page.commands("make")]:
        yield from (word for word in words if "=" not in word and word != "...")


def _keys(page: Page) -> Iterator[str]:
    """Spans that begin with a key of the recipe or the chart and go on with a dot."""
    tops = {*VALUES, *Recipe.model_fields}
    for span in page.spans:
        match = _DOTTED.match(span)
        told = match[0].removesuffix(".*") if match else ""
        if told.partition(".")[0] in tops and not told.endswith(_NO_KEYS):
            yield told


def _is_value(key: str) -> bool:
    node: Any = VALUES
    for name in key.split("."):
        if not isinstance(node, dict) or (node and name not in node):
            return False
        node = node.get(name)
    return True


def _is_recipe_key(key: str) -> bool:
    return _has(Recipe.model_json_schema(), Recipe.model_json_schema().get("$defs", {}), key.split("."))


def _has(schema: Any, defs: Any, names: list[str]) -> bool:
    """Whether a path of keys leads somewhere in a JSON Schema; any of several shapes will do."""
    if not names:
        return True
    if "$ref" in schema:
        return _has(defs[schema["$ref"].rpartition("/")[2]], defs, names)
    if any(_has(one, defs, names) for key in ("anyOf", "oneOf", "allOf") for one in schema.get(key, [])):
        return True
    if schema.get("type") == "array":
        return _has(schema.get("items", {}), defs, names)
    free = schema.get("additionalProperties")
    if names[0] in schema.get("properties", {}):
        return _has(schema["properties"][names[0]], defs, names[1:])
    return isinstance(free, dict) and _has(free, defs, names[1:])


def _mappings(page: Page) -> list[dict[str, Any]]:
    """YAML blocks that are part of a recipe or of the chart's values, and no Kubernetes object."""
    known = {*VALUES, *Recipe.model_fields}
    return [one for one in _yaml(page) if isinstance(one, dict) and one.keys() <= known]


def _yaml(page: Page) -> list[Any]:
    """What the YAML blocks hold; one with "..." at its end is but a part."""
    texts = [block.text for block in page.blocks if block.language == "yaml"]
    whole = [text for text in texts if not text.rstrip().endswith("\n...")]
    return [one for text in whole for one in yaml.safe_load_all(text)]


def _yaml_problem(given: dict[str, Any]) -> str:
    """Empty where the block fits one of the two, with the rest as the quickstart or the chart has it."""
    problems = []
    if given.keys() <= Recipe.model_fields.keys():
        problems.append(_recipe_problem(given))
    if given.keys() <= VALUES.keys():
        problems.append(_values_problem(given))
    return "" if "" in problems else " / ".join(problems)


def _recipe_problem(given: dict[str, Any]) -> str:
    whole = dict(_quickstart())
    for key, value in given.items():
        both = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = {**whole[key], **value} if both else value
    try:
        Recipe.model_validate(whole)
    except ValueError as error:
        return str(error)
    return ""


def _values_problem(given: dict[str, Any]) -> str:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return next(
        (error.message for error in jsonschema.Draft7Validator(schema).iter_errors(merged(VALUES, given))), ""
    )


def _paths(page: Page) -> Iterator[str]:
    words = {word.strip("\"'(),;:") for span in page.spans for word in span.split()}
    for block in page.blocks:
        if block.language in SHELLS:
            words |= {word.strip("\"'(),;:") for word in block.text.split()}
    for word in words:
        path = word.partition("::")[0].partition("#")[0].removeprefix("./")
        if path.startswith(FOLDERS) and not re.search(r"[A-Z]{3,}(?!\.md)|[{}$<>]|\.\.\.", path):
            yield path


def _is_metric(name: str) -> bool:
    return name in METERS or re.sub(r"_(total|bucket|count|sum)$", "", name) in _serving_metrics()


@cache
def _serving_metrics() -> set[str]:
    """Names that follower and door give theirs."""
    made = [FollowerMetrics(), DoorMetrics(0)]
    registries = [
        value for one in made for value in vars(one).values() if isinstance(value, CollectorRegistry)
    ]
    return {metric.name for registry in registries for metric in registry.collect()}


@cache
def _alerts() -> str:
    return (CHART / "files" / "alerts.yaml").read_text(encoding="utf-8")


@cache
def _code() -> str:
    """All that is no page."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    kept = [ROOT / name for name in listed if not name.endswith((".md", ".png", ".parquet"))]
    texts = [
        path
        for path in kept
        if path.is_file() and path.stat().st_size < 1 << 20 and "tests/docs" not in str(path)
    ]
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in texts)


@cache
def _quickstart() -> dict[str, Any]:
    return load_recipe(ROOT / "recipes" / "quickstart.yaml").model_dump(mode="json", exclude_none=True)
