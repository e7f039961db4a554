"""Whatever a page names is there: commands, options, targets, values, keys, files, metrics, alerts."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
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
from written import ROOT, SHELLS, Page, all_but_pages, pages

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


_NO_KEYS = (".py", ".md", ".yaml", ".json", ".jsonl", ".io", ".org", ".dev")


def test_there_is_enough_to_check():
    counted = {
        "pages": len(PAGES),
        "command lines": sum(len(list(page.commands("tongues"))) for page in TODAY),
        "spans": sum(len(page.spans) for page in TODAY),
        "make targets": sum(len(list(_targets(page))) for page in TODAY),
        "dotted keys": sum(len(list(_keys(page))) for page in TODAY),
        "yaml": sum(len(_yaml(page)) for page in TODAY),
    }
    least = {"pages": 50, "command lines": 55, "spans": 2500, "make targets": 30, "dotted keys": 120}
    assert [name for name, n in counted.items() if n < least.get(name, 20)] == [], counted


def wrong_links(page: Page) -> Iterator[str]:
    for file, anchor in page.links:
        if not _leads((page.path.parent / file).resolve() if file else page.path, anchor):
            yield f"{file}#{anchor}"


def wrong_command_lines(page: Page) -> Iterator[str]:
    """Lines that somebody types, parsed as the command does; one with "..." in it is but a part."""
    for words in page.commands("tongues"):
        if problem := (_unknown if "..." in words else _refusal)(words):
            yield f"{' '.join(words)}: {problem}"


def wrong_commands(page: Page) -> Iterator[str]:
    """In running text: the command has to exist, and its options."""
    for span in page.spans:
        if span.startswith("tongues ") and (problem := _unknown(span.split()[1:])):
            yield f"{span}: {problem}"


def wrong_targets(page: Page) -> Iterator[str]:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    yield from (target for target in _targets(page) if target not in known)


def wrong_keys(page: Page) -> Iterator[str]:
    yield from (key for key in _keys(page) if not (_is_value(key) or _is_recipe_key(key)))


def wrong_settings(page: Page) -> Iterator[str]:
    """Values set on a command line of Helm."""
    given = [word for words in page.commands("helm") if "helm/tongues" in words for word in words]
    settings = [word.partition("=")[0] for word in given if re.match(r"[a-z]\w*\.[\w.]+=", word)]
    yield from (name for name in settings if not _is_value(name))


def wrong_yaml(page: Page) -> Iterator[str]:
    """Blocks that are no object of Kubernetes are part of a recipe, or of the chart's values."""
    for one in _yaml(page):
        if isinstance(one, dict) and "apiVersion" not in one and (problem := _yaml_problem(one)):
            yield f"{next(iter(one))}: {problem}"


def wrong_objects(page: Page) -> Iterator[str]:
    for one in _yaml(page):
        if not isinstance(one, dict) or "apiVersion" not in one:
            continue
        if "." in one["apiVersion"].partition("/")[0]:
            yield from crd_schemas.problems(one) if CRDS.is_dir() else []
            continue
        try:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield error.message


def wrong_paths(page: Page) -> Iterator[str]:
    yield from (path for path in _paths(page) if not list(ROOT.glob(path.rstrip("/"))))


def wrong_metrics(page: Page) -> Iterator[str]:
    words = {word for span in page.spans for word in re.findall(r"\btongues_\w+", span)}
    yield from (word for word in sorted(words) if not _is_metric(word))


def wrong_alerts(page: Page) -> Iterator[str]:
    alerts = set(re.findall(r"\bTongues[A-Z]\w+", page.prose)) - {"TonguesError"}
    yield from (alert for alert in sorted(alerts) if f"alert: {alert}\n" not in _alerts())


def wrong_variables(page: Page) -> Iterator[str]:
    variables = set(re.findall(r"\bTONGUES_[A-Z_]*[A-Z]", page.text))
    yield from (name for name in sorted(variables) if name not in all_but_pages())


CHECKS = (wrong_links, wrong_command_lines, wrong_commands, wrong_targets, wrong_keys, wrong_settings)
CHECKS += (wrong_yaml, wrong_objects, wrong_paths, wrong_metrics, wrong_alerts, wrong_variables)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whatever_a_page_names_is_there(page, keys_of_whoever_signs):
    checks = [wrong_links] if page.name in HISTORY else CHECKS
    assert {check.__name__: found for check in checks if (found := list(check(page)))} == {}


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (wrong_links, "[x](absent.md)"),
        (wrong_links, "[x](../README.md#absent)"),
        (wrong_links, "[x](#absent)"),
        (wrong_links, '<img src="absent.svg">'),
        (wrong_command_lines, "```sh\ntongues finetun quickstart\n```"),
        (wrong_command_lines, "```console\n$ A=b .venv/bin/tongues run quickstart --runer direct\n```"),
        (wrong_command_lines, "```sh\ntongues run\n```"),
        (wrong_command_lines, "```sh\nkubectl get pods && tongues plan a b\n```"),
        (wrong_command_lines, "```text\n$ tongues serve x@y --target nomad   # why\n```"),
        (wrong_commands, "`tongues lineage show|verfy`"),
        (wrong_commands, "`tongues submit RECIPE --wach`"),
        (wrong_targets, "`make demoo`"),
        (wrong_targets, "```sh\nmake compile manifest\n```"),
        (wrong_keys, "`networkPolicy.metrics.form`"),
        (wrong_keys, "`node_pools.finetune.gpu`"),
        (wrong_keys, "`networkPolicies.metrics.from`"),
        (wrong_keys, "`pipeline.enable: true`"),
        (wrong_settings, "```sh\nhelm install t helm/tongues --set mlflow.replica=2\n```"),
        (wrong_yaml, "```yaml\ntranslation: {engine: {kind: apertum}}\n```"),
        (wrong_yaml, "```yaml\nserving: {gpus: 1}\n```"),
        (wrong_yaml, "```yaml\nnode_pool: {}\n```"),
        (wrong_objects, "```yaml\n{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dat: {}}\n```"),
        (wrong_paths, "`src/tongues/absent.py`"),
        (wrong_paths, "```sh\nkubectl apply -k manifests/overlays/lokal\n```"),
        (wrong_metrics, "`tongues_tuning_mfu`"),
        (wrong_metrics, "`tongues_door_request_total{code=~'5..'}`"),
        (wrong_alerts, "see TonguesRequestFails"),
        (wrong_variables, "set TONGUES_KFP_HOSTS"),
    ],
)
def test_what_is_not_there_is_told(check, text, keys_of_whoever_signs):
    assert list(check(Written(ROOT / "docs" / "where-links-start.md", text)))


@dataclass(frozen=True)
class Written(Page):
    """A page that is on no disk."""

    said: str

    @property
    def text(self) -> str:
        return self.said

    @property
    def name(self) -> str:
        return "said"


@pytest.fixture
def keys_of_whoever_signs(monkeypatch):
    for name in ("TONGUES_SIGNING_KEY", "TONGUES_VERIFICATION_KEY"):
        monkeypatch.setenv(name, "key.pem")


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


def test_commands_and_pages_that_the_code_names_are_there():
    """In messages, recipes, the chart's notes: what a reader is sent to."""
    said = all_but_pages()
    commands = set(re.findall(r"`(tongues [^`\n]+)`", said))
    unknown = {command: problem for command in commands if (problem := _unknown(command.split()[1:]))}
    named = {path.partition("#") for path in re.findall(r"\bdocs/[a-z][\w./-]*\.md(?:#[\w-]+)?", said)}
    absent = [file for file, _, anchor in named if not _leads(ROOT / file, anchor)]
    assert len(commands) > 40 and len(named) > 3
    assert unknown == {} and absent == []


def _leads(file: Path, anchor: str) -> bool:
    return file.exists() and (not anchor or file.suffix != ".md" or anchor in Page(file).anchors)


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
    """Spans that begin with a key of the recipe or the chart, or with nearly one, and go on with a dot."""
    tops = {*VALUES, *Recipe.model_fields}
    for span in page.spans:
        match = _DOTTED.match(span)
        told = match[0].removesuffix(".*") if match else ""
        first = told.partition(".")[0]
        if first and not told.endswith(_NO_KEYS) and get_close_matches(first, tops, cutoff=0.85):
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


def _yaml(page: Page) -> list[Any]:
    """What the YAML blocks hold; one with "..." at its end is but a part."""
    texts = [block.text for block in page.blocks if block.language == "yaml"]
    whole = [text for text in texts if not text.rstrip().endswith("\n...")]
    return [one for text in whole for one in yaml.safe_load_all(text)]


def _yaml_problem(given: dict[str, Any]) -> str:
    """Empty where the block is part of a recipe, of the chart's values, or of some section of a recipe."""
    problems = [_section_problem(given)]
    if given.keys() <= Recipe.model_fields.keys():
        problems.append(_recipe_problem(given))
    if given.keys() <= VALUES.keys():
        problems.append(_values_problem(given))
    return "" if "" in problems else " / ".join(problems)


def _section_problem(given: dict[str, Any]) -> str:
    parts = Recipe.model_json_schema()["$defs"]
    sections = [part.get("properties", {}) for part in parts.values()]
    fitting = [fields for fields in sections if given.keys() <= fields.keys()]
    for fields in fitting:
        checks = [jsonschema.Draft202012Validator({**fields[key], "$defs": parts}) for key in given]
        if all(check.is_valid(value) for check, value in zip(checks, given.values(), strict=True)):
            return ""
    return "no section of a recipe takes these values" if fitting else "neither a recipe nor values"


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
def _quickstart() -> dict[str, Any]:
    """A whole recipe, with a model that writes, to put the part of one into."""
    whole = load_recipe(ROOT / "recipes" / "quickstart.yaml").model_dump(mode="json", exclude_none=True)
    engine = {"kind": "openai", "model": "m", "endpoints": [{"base_url": "http://example.org/v1"}]}
    return whole | {"generation": {"engine": engine}}
