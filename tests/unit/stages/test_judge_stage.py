"""The judge at the level of stages: samples of two models in, measurements out, nothing asked twice."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from scoring import ScoringEndpoint

from tongues.core.recipe_file import parse_recipe
from tongues.core.scores import Scores
from tongues.evaluation.chains import PLAIN
from tongues.evaluation.items import OpenItem
from tongues.evaluation.samples import Sample, write_samples
from tongues.evaluation.score import SAMPLES_FOLDER
from tongues.evaluation.suite import Suite
from tongues.stages.answer_format import answer_format
from tongues.stages.given import Given
from tongues.stages.judge import judge, with_judgements
from tongues.stages.suite_files import open_suite
from tongues.stages.workspace import Output, Report, Workspace

JUDGED = """
schema_version: 1
name: tiny
languages: [es]
source: {uri: rows.jsonl, dataset: tiny, licence: CC0-1.0}
base_model: {uri: base, name: Tiny, licence: MIT}
translation: {engine: {kind: apertium}}
dataset: {methods: [METHOD]}
evaluation:
  suite: {open_uri: open.jsonl}
  judge:
    pairwise: true
    engine: {kind: openai, model: judge-1, retries: 1, endpoints: [{base_url: "URL"}]}
registry: {model: tiny}
"""


def given_for(url: str, method: str = "{method: direct}") -> Given:
    recipe = parse_recipe(JUDGED.replace("URL", url).replace("METHOD", method).encode(), where="test")
    return Given(recipe, recipe, "test")


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "work"), say=lambda _: None)


SUITE = Suite(
    "s", "en", ("es",), open={lang: tuple(OpenItem(str(n), lang, f"{lang} {n}?", "writing") for n in range(3))
                              for lang in ("en", "es")}
)  # fmt: skip


def scored(place: Workspace, given: Given, name: str, answers: list[str]) -> Output:
    def work(folder: Path) -> Report:
        for lang in ("en", "es"):
            samples = [
                Sample("open", lang, str(n), "chain please", "", text, category="writing")
                for n, text in enumerate(answers)
            ]
            write_samples(folder / SAMPLES_FOLDER / "open" / f"{lang}.parquet", samples, key="k")
        return Report()

    return place.finish("score", recipe=given.recipe, inputs={}, params={"name": name}, work=work)


def say(messages: list[dict[str, str]], limit: int) -> str:
    told = messages[1]["content"]
    if "<answer>" in told:
        return f"Rating: [[{len(told.split('<answer>')[1].split('</answer>')[0].strip())}]]"
    return "[[A]]" if len(told.split("<answer_A>")[1].split("</answer_A>")[0]) > 20 else "[[B]]"


def test_judge_measures_every_model_and_the_candidate_against_the_base(place: Workspace) -> None:
    with ScoringEndpoint(say) as end:
        given = given_for(end.base_url)
        models = {
            "base": scored(place, given, "base", ["abc", "ab", ""]),
            "candidate": scored(place, given, "candidate", ["abc", "abcdefghi", "abcd"]),
        }
        judged = judge(given, place, SUITE, models)
        asked = len(end.requests)
        again = judge(given, place, SUITE, models)
    assert len(end.requests) == asked
    assert [o.uri for found in again.values() for o in found] == [o.uri for f in judged.values() for o in f]
    empty = Scores(role="base", model="m", model_sha256="0" * 64, suite="s", suite_sha256="0" * 64,
                   source_lang="en", languages=("es",), measurements={})  # fmt: skip
    base = with_judgements(empty, judged["base"])
    candidate = with_judgements(empty, judged["candidate"])
    assert base.measurements["open/es/judge"].value == pytest.approx((3 + 2 + 1) / 3)
    assert candidate.measurements["open/es/judge"].value == pytest.approx((3 + 9 + 4) / 3)
    assert candidate.measurements["open/es/win_rate_base"].n == 3
    assert "judge-1" in candidate.signatures["judge"]
    rows = pq.read_table(judged["candidate"][0].folder / "verdicts" / "es.parquet").to_pylist()
    assert len(rows) == 3 and all(len(row["prompt_sha256"]) == 64 for row in rows)
    assert not any("chain please" in json.dumps(request) for request in end.requests)
    # "abc" of both models under one question is one request, by the ledger
    assert max(end.acknowledged.values()) == 1


def test_judge_absent_from_the_recipe_asks_nobody(place: Workspace, given: Given) -> None:
    assert judge(given, place, SUITE, {}) == {}


def test_answer_format_follows_the_methods_and_an_explicit_one_wins() -> None:
    plain, taco = given_for("http://x/v1").recipe, given_for("http://x/v1", "{method: taco}").recipe
    assert answer_format(plain) is PLAIN
    chain = answer_format(taco)
    assert chain.chained("es") and not chain.chained("en")
    assert chain.worded("¿Qué?", "en") == ("", "¿Qué?")
    system, turn = chain.worded("¿Qué?", "es")
    assert system == "" and turn.startswith("Translate the following instructions from Spanish to English")
    assert turn.endswith("### Instruction:\n¿Qué?\n\n### Response:\n ")
    forced = {name: {"answer_format": name} for name in ("plain", "taco")}
    as_plain = taco.model_copy(update={"evaluation": taco.evaluation.model_copy(update=forced["plain"])})
    as_taco = plain.model_copy(update={"evaluation": plain.evaluation.model_copy(update=forced["taco"])})
    assert answer_format(as_plain) is PLAIN and answer_format(as_taco).chained("es")


def test_answer_format_system_line_as_message_is_asked_as_one() -> None:
    recipe = given_for("http://x/v1", "{method: taco, system_line: message, template: chat}").recipe
    system, turn = answer_format(recipe).worded("¿Qué?", "es")
    assert system.startswith("Translate the following instructions") and turn == "¿Qué?"


def test_open_suite_reads_published_files_of_the_languages_there_are(
    tmp_path: Path, place: Workspace
) -> None:
    (tmp_path / "mgsm_es.tsv").write_text("¿Cuántos?\t3\n¿Y ahora?\t4\n", encoding="utf-8")
    text = JUDGED.replace(
        "open_uri: open.jsonl", f'math_uri: "{tmp_path}/mgsm_{{lang}}.tsv", math_format: mgsm'
    )
    text = text.replace("METHOD", "{method: direct}").replace("suite: {", "max_items: 1\n  suite: {")
    recipe = parse_recipe(text.encode(), where="test")
    suite = open_suite(Given(recipe, recipe, "test"), place)
    assert {lang: len(items) for lang, items in suite.math.items()} == {"es": 1}


def test_judge_compares_answers_with_those_of_a_reference_model(place: Workspace) -> None:
    open_items = {
        "es": tuple(OpenItem(str(n), "es", f"es {n}?", "writing", "r" * n) for n in range(3)),
        "en": tuple(OpenItem(str(n), "en", f"en {n}?", "writing") for n in range(3)),
    }
    with ScoringEndpoint(say_longer) as end:
        given = given_for(end.base_url)
        model = scored(place, given, "base", ["aaaa", "bbbbb", ""])
        judged = judge(given, place, Suite("s", "en", ("es",), open=open_items), {"base": model})
    found = json.loads((judged["base"][1].folder / "judged.json").read_bytes())["measurements"]
    # Question 0 has no reference; of the others one answer is the longer one and one is missing.
    assert found["open/es/win_rate_reference"]["n"] == 2
    assert found["open/es/win_rate_reference"]["value"] == 0.5
    assert not any(name.startswith("open/en/") for name in found)


def say_longer(messages: list[dict[str, str]], limit: int) -> str:
    told = messages[1]["content"]
    if "<answer>" in told:
        return "Rating: [[5]]"
    first, second = (told.split(f"<answer_{x}>")[1].split(f"</answer_{x}>")[0] for x in "AB")
    return "[[A]]" if len(first) > len(second) else "[[B]]"
