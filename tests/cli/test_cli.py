"""The command line as a user and a program meet it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tongues.cli.main import app
from tongues.cli.plan import tell
from tongues.stages.plan import Plan

COMMAND = [str(Path(sys.executable).parent / "tongues")]
BAD = """
schema_version: 1
name: quickstart
languages: [es, cat, no, es]
seeds: 3
source: {uri: a.jsonl, dataset: q, licens: x}
base_model: {uri: "wheel://x", name: S, licence: a}
translation: {engine: {kind: apertum}}
dataset: {methods: [{method: direct, english_row: 4}]}
evaluation: {suite: {}}
registry: {model: Quick}
"""


def tongues(*arguments, cwd=None):
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def verbs(command, path=()):
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from verbs(child, (*path, name))


VERBS = dict(verbs(get_command(app)))


def test_the_promised_verbs_are_there():
    stages = {"run", "plan", "translate", "generate", "assemble", "finetune", "evaluate"}
    others = {
        "register",
        "promote",
        "serve",
        "serving",
        "sign",
        "chat",
        "compile",
        "recipe",
        "suite",
        "lineage",
        "ledger",
        "doctor",
        "rollback",
        "history",
    }
    kubeflow = {"submit", "watch", "cancel", "logs", "runs"}
    assert {path[0] for path in VERBS} == stages | others | kubeflow


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_json_and_every_option_has_help(path):
    parameters = {p.name: p for p in VERBS[path].params}
    assert "--json" in parameters["as_json"].opts
    assert VERBS[path].help
    assert all(getattr(p, "help", None) for p in parameters.values() if p.name != "help")


def test_help_imports_nothing_heavy():
    code = (
        "import sys, tongues.cli.main; print([m for m in sys.modules if m.split('.')[0] in HEAVY])".replace(
            "HEAVY",
            "{'torch', 'transformers', 'mlflow', 'kfp', 'boto3', 'pyarrow', 'pydantic', 'rich', 'httpx'}",
        )
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_bad_recipe_lists_every_problem_and_exits_1(tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    code, out, err = tongues("recipe", "validate", "bad.yaml", cwd=tmp_path)
    assert (code, out) == (1, "")
    for said in (
        "'cat'; did you mean 'ca'",
        "'es' is named twice",
        "did you mean 'licence'",
        "'apertum' is not one of",
        "did you mean 'english_rows'",
        "did you mean 'seed'",
        "source.licence: missing",
    ):
        assert said in err
    assert "Traceback" not in err


def test_json_error_is_one_object_on_standard_output(tmp_path):
    (tmp_path / "bad.yaml").write_text(BAD)
    code, out, _ = tongues("plan", "bad.yaml", "--json", cwd=tmp_path)
    answer = json.loads(out)
    assert code == answer["exit_code"] == 1
    assert answer["error"]["type"] == "RecipeError" and len(answer["error"]["problems"]) >= 7


def test_debug_shows_the_traceback_anywhere_on_the_line(tmp_path):
    code, _, err = tongues("recipe", "validate", "none.yaml", "--debug", cwd=tmp_path)
    assert code == 1 and "Traceback" in err


@pytest.mark.parametrize(
    "arguments", [("run",), ("run", "a", "--runner", "magic"), ("serve",), ("evaluate",), ("nonsense",)]
)
def test_wrong_usage_exits_2(arguments):
    assert tongues(*arguments)[0] == 2


def test_version_and_languages():
    assert tongues("--version")[1].strip()
    code, out, _ = tongues("recipe", "languages", "--json")
    assert code == 0 and json.loads(out)["gl"]["flores"] == "glg_Latn"


@pytest.mark.parametrize("name", ["quickstart", "taco-quick"])
def test_recipe_cp_gives_a_recipe_that_stands_on_its_own(tmp_path, name):
    code, out, _ = tongues("recipe", "cp", name, "mine.yaml", "--json", cwd=tmp_path)
    assert code == 0 and len(json.loads(out)["copied"]) == 2
    code, out, _ = tongues("recipe", "show", "mine.yaml", "--json", cwd=tmp_path)
    assert code == 0 and "es" in json.loads(out)["recipe"]["languages"]
    assert (tmp_path / "quickstart" / "instructions.jsonl").is_file()
    assert (tmp_path / "quickstart" / "evaluation" / "choices.jsonl").is_file()
    assert tongues("recipe", "cp", name, "mine.yaml", cwd=tmp_path)[0] == 1


def test_chat_without_an_endpoint_says_how_to_start_one(tmp_path):
    code, _, err = tongues("chat", "-q", "hola", "-w", str(tmp_path))
    assert code == 1 and "tongues serve" in err


def test_evaluate_judgements_reads_the_prose(tmp_path):
    rows = [
        {"id": n, "judgement": f"Good. Rating: [[{r}]]", "rating_in_number": 1, "category": c}
        for n, (r, c) in enumerate([(9, "writing"), (7, "writing"), (2, "math")])
    ]  # fmt: skip
    (tmp_path / "j.json").write_text(json.dumps(rows))
    code, out, _ = tongues("evaluate", "--judgements", "j.json", "--json", cwd=tmp_path)
    answer = json.loads(out)
    assert code == 0
    assert answer["overall"] == {"mean": 6.0, "n": 3}
    assert answer["categories"]["writing"] == {"mean": 8.0, "n": 2}


def test_evaluate_item_logs_measures_consistency_and_takes_the_median(tmp_path):
    for number, letters in enumerate(["AAB", "AAA", "BBC"]):
        rows = [
            {"id": "1", "lang": lang, "answer": "A", "prediction": letter}
            for lang, letter in zip(("en", "es", "vi"), letters, strict=True)
        ]
        (tmp_path / f"p{number}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    logs = [word for number in range(3) for word in ("--item-logs", f"p{number}.jsonl")]
    code, out, _ = tongues("evaluate", *logs, "--json", cwd=tmp_path)
    answer = json.loads(out)
    assert code == 0 and list(answer["logs"]) == ["p0.jsonl", "p1.jsonl", "p2.jsonl"]
    assert answer["logs"]["p0.jsonl"]["all/consistency_2"]["value"] == pytest.approx(1 / 3)
    assert answer["median"]["all/accuracy"]["value"] == pytest.approx(2 / 3)
    code, _, err = tongues("evaluate", "--item-logs", "none.json", cwd=tmp_path)
    assert code == 1 and "cannot be read" in err and "SeaEval" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "base"),
        ("recipe.yaml", "--model", "base", "--endpoint", "http://x/v1", "--served", "m"),
        ("recipe.yaml", "--item-logs", "x.json"),
    ],
)
def test_evaluate_takes_one_thing_to_measure(arguments):
    assert tongues("evaluate", *arguments)[0] == 2


def test_plan_tells_of_source_rows_that_are_not_in_it(capsys):
    made = Plan(
        recipe_sha256="0" * 64,
        source_dropped={"no-output": 3, "not-json": 1},
        languages=(),
        sample_segments=0,
        cost=0.0,
        warnings=("no price is set",),
    )
    tell(made)
    said = capsys.readouterr().out
    assert "4 rows dropped, not planned for: 3 no-output, 1 not-json." in said
    assert "Warning: no price is set" in said
    tell(made.model_copy(update={"source_dropped": {}}))
    assert "dropped" not in capsys.readouterr().out
