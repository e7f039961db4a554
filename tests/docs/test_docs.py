"""The documents say what is there: links lead somewhere, generated pages are current, commands exist."""

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from docs import generate
from tongues.core.comparison import Comparison
from tongues.core.scores import Measurement, Scores

ROOT = Path(__file__).resolve().parents[2]
TRACKED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout.split()
PAGES = [ROOT / name for name in TRACKED if (ROOT / name).is_file()]
_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


def test_there_are_pages_to_check():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"} <= set(TRACKED)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file(page):
    missing = [
        link for link in _LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()
    ]
    assert not missing


def test_every_test_named_in_the_fault_table_exists():
    pages = "".join(path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md")))
    named = re.findall(r"`(tests/[^`:]+\.py)(?:::(test_\w+))?`", pages)
    assert len(named) >= 40
    assert [file for file, _ in named if not (ROOT / file).is_file()] == []
    missing = [
        f"{file}::{test}"
        for file, test in named
        if test and f"def {test}(" not in (ROOT / file).read_text("utf-8")
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("cli.md", generate.cli_page),
        ("recipe.md", generate.recipe_page),
        ("languages.md", generate.languages_page),
        ("comparison.md", generate.comparison_page),
    ],
)
def test_generated_reference_is_current(name, page):
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == generate.MADE + page()


def test_comparison_schema_is_current_and_accepts_what_is_written():
    schema = (ROOT / "docs" / "reference" / "comparison.schema.json").read_text(encoding="utf-8")
    assert schema == generate.comparison_schema()
    one = Scores(role="base", model="m", model_sha256="0", suite="s", suite_sha256="1", source_lang="en",
                 languages=("es",), measurements={"qa/es/f1": Measurement(value=0.5, n=2)})  # fmt: skip
    written = Comparison(recipe="r", models=(one,), against={}).model_dump(mode="json")
    jsonschema.validate(written, json.loads(schema))
    with pytest.raises(jsonschema.ValidationError, match="unknown"):
        jsonschema.validate(written | {"unknown": 1}, json.loads(schema))


def test_the_table_of_metrics_and_the_list_of_images_are_current():
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    assert generate.with_metrics(page) == page and "`tongues_tuning_mfu_ratio`" in page
    listed = (ROOT / "components" / "images" / "images.txt").read_text(encoding="utf-8")
    assert listed == generate.images_list() and "vllm/vllm-openai:" in listed and "mlflow" in listed


def test_ci_runs_the_commands_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ (make \w+)", readme, flags=re.MULTILINE)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert commands == ["make demo", "make test"]
    assert all(re.search(rf"^{command}$", script, flags=re.MULTILINE) for command in commands)


def test_every_tongues_command_in_the_readme_exists():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    reference = generate.cli_page()
    used = set(re.findall(r"tongues (\w+(?: (?:cp|validate|verify|show|ls))?)\b", readme))
    commands = {u for u in used if f"## `tongues {u.split()[0]}" in reference}
    assert {"recipe cp", "plan", "run", "chat", "lineage verify"} <= commands


def test_every_recipe_opens_with_what_command_hardware_and_time():
    recipes = sorted((ROOT / "recipes").glob("*.yaml"))
    assert recipes
    for recipe in recipes:
        head = recipe.read_text(encoding="utf-8").split("schema_version")[0]
        assert all(word in head for word in ("# Command:", "# Hardware:", "# Time:")), recipe
