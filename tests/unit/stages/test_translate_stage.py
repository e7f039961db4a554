"""The translate stage and `tongues plan` over real HTTP: selection, shards, budget, replay."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tongues.core.errors import BudgetError, EngineError, PreflightError
from tongues.core.shards import read_shards
from tongues.stages.fan_out import Job, Shard
from tongues.stages.given import read_recipe
from tongues.stages.ledger import ledger_path
from tongues.stages.lineage import chain_of
from tongues.stages.plan import plan
from tongues.stages.preflight import preflight_translation
from tongues.stages.translations import Translations
from tongues.stages.workspace import Workspace

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "servers"))

from openai_faults import MODEL, FaultyEndpoint

RECIPE = """
schema_version: 1
name: tiny
languages: [es]
source:
  {{uri: rows.jsonl, dataset: tiny, licence: CC0-1.0,
    also: [{{uri: more.jsonl, dataset: more, licence: MIT}}]}}
base_model: {{uri: base, name: Tiny, licence: MIT}}
translation:
  engine: {{kind: openai, model: {model}, retries: 0, endpoints: [{{base_url: "{url}"}}],
           price: {{per_million_prompt_tokens: 1000, per_million_completion_tokens: 1000, per_hour: 3.6}}}}
  min_lid_letters: 100000
  max_length_ratio: 9
  {more}
dataset: {{methods: [{{method: direct}}]}}
evaluation: {{suite: {{choices_uri: choices.jsonl}}}}
registry: {{model: tiny}}
"""


@pytest.fixture
def endpoint():
    with FaultyEndpoint() as server:
        yield server


@pytest.fixture
def recipe(folder, endpoint):
    """A maker of recipes on the endpoint; the argument is more of the translation section."""
    more = [{"instruction": "Name item number 3 of the list", "output": "It is item 3."}]
    more += [{"instruction": f"Say {n} again", "output": f"Again {n} it is."} for n in range(5)]
    (folder / "more.jsonl").write_text("\n".join(map(json.dumps, more)))

    def make(more=""):
        text = RECIPE.format(model=MODEL, url=endpoint.base_url, more=more)
        (folder / "recipe.yaml").write_text(text)
        return read_recipe(str(folder / "recipe.yaml"))

    return make


def rows_of(output):
    return list(read_shards(output.folder / "rows"))


def test_rows_of_several_files_keep_their_own_licence(recipe, workspace):
    store = Translations(recipe(), workspace).store
    rows = [row for row in rows_of(store) if row["lang"] == "es"]
    assert [row["source"]["licence"] for row in rows] == ["CC0-1.0"] * 20 + ["MIT"] * 5
    dropped = list(read_shards(Translations(recipe(), workspace).source.folder / "dropped"))
    assert [drop["reason"] for drop in dropped] == ["not-json", "duplicate"]


@pytest.mark.parametrize("shards", [2, 5])
def test_store_is_the_same_whatever_the_number_of_shards(recipe, folder, shards):
    whole = Translations(recipe(), Workspace(str(folder / "a"), say=lambda _: None)).store
    cut = Translations(recipe(f"shards: {shards}"), Workspace(str(folder / "b"), say=lambda _: None))
    assert len(cut.outputs) == shards
    assert cut.store.manifest.content_sha256 == whole.manifest.content_sha256


def test_second_run_of_another_cut_sends_nothing(recipe, workspace, endpoint):
    first = Translations(recipe(), workspace).store
    sent = len(endpoint.requests)
    again = Translations(recipe("shards: 3"), workspace)
    assert again.store.manifest.content_sha256 == first.manifest.content_sha256
    assert len(endpoint.requests) == sent
    replayed = Translations(recipe("shards: 2").replaying(), workspace)
    assert replayed.store.manifest.content_sha256 == first.manifest.content_sha256


def test_replay_without_a_ledger_fails_before_anything_is_sent(recipe, workspace, endpoint):
    with pytest.raises(EngineError, match="replay only"):
        _ = Translations(recipe().replaying(), workspace).store
    assert endpoint.requests == []


def test_selection_changes_the_store_and_its_key(recipe, workspace):
    rule = '{name: keep-say, pattern: "^Say", output: keep}'
    rules = f"selection: {{decider: rules, shipped_rules: false, rules: [{rule}]}}"
    direct, chosen = (Translations(recipe(more), workspace) for more in ("", rules))
    one, other = (rows_of(t.output(Job("es", Shard()))) for t in (direct, chosen))
    assert [row["output"] for row in other[-5:]] == [f"Again {n} it is." for n in range(5)]
    assert one[:20] == other[:20] and one[-1]["output"] != other[-1]["output"]


def test_budget_of_a_run_is_shared_by_its_jobs_and_survives_a_rerun(recipe, workspace, endpoint):
    short = Translations(recipe("budget: {requests: 20}\n  shards: 2"), workspace)
    for _ in range(2):
        with pytest.raises(BudgetError, match=r"10 of 10 requests"):
            short.output(Job("es", Shard(1, 2)))
        assert len(endpoint.requests) == 10
    more = Translations(recipe("budget: {requests: 200}\n  shards: 2"), workspace)
    assert more.store.manifest.tallies["es"].rows_out == 25
    assert set(endpoint.acknowledged.values()) == {1}


def test_rows_lost_in_passing_get_a_second_chance_and_the_spending_adds_up(recipe, workspace, endpoint):
    seen = set()

    def fail_once(number, text):
        first = text not in seen
        seen.add(text)
        return "500" if first and text.startswith("Say 3") else "ok"

    endpoint.choose = fail_once
    output = Translations(recipe(), workspace).output(Job("es", Shard()))
    assert output.manifest.tallies["es"].rows_out == 25
    assert output.manifest.observed["requests"] == len(endpoint.requests)
    assert output.manifest.observed["engines"][0]["cost"] > 0


def test_plan_counts_what_is_sent_and_what_it_costs(recipe, workspace, endpoint, monkeypatch):
    monkeypatch.setattr(
        "tongues.stages.plan.preflight", lambda given, workspace: preflight_translation(given)
    )
    made = plan(recipe("budget: {requests: 10}"), workspace)
    (line,) = made.languages
    sampled = len(endpoint.requests)
    assert (line.rows, line.requests, made.sample_segments) == (25, 50, 39)
    assert sampled == 40 and line.tokens_in > line.tokens_out > 0
    assert line.cost == pytest.approx(
        (line.tokens_in + line.tokens_out) / 1000 + line.seconds / 1000, abs=0.01
    )
    assert any("es needs about 50 requests" in warning for warning in made.warnings)
    endpoint.requests.clear()
    _ = Translations(recipe(), workspace).store
    assert len(endpoint.requests) == 50 - sampled


def test_preflight_of_translation_says_everything_at_once(recipe, folder, endpoint):
    given = recipe("quality: {reference_uri: nowhere.jsonl}")
    (folder / "more.jsonl").unlink()
    endpoint.stop()
    with pytest.raises(PreflightError) as caught:
        preflight_translation(given)
    said = " ".join(caught.value.problems)
    assert all(word in said for word in ("more.jsonl", "nowhere.jsonl", endpoint.base_url))


def test_report_tells_what_escalation_bought_and_cost(recipe, workspace, endpoint):
    endpoint.choose = lambda number, text: "400" if text.startswith("Say") else "ok"
    with FaultyEndpoint() as dear:
        price = "price: {per_million_completion_tokens: 1000000}"
        second = f'{{kind: openai, model: large, endpoints: [{{base_url: "{dear.base_url}"}}], {price}}}'
        store = Translations(recipe(f"escalate_to: [{second}]\n  shards: 2"), workspace).store
    (line,) = json.loads((store.folder / "report.json").read_text())["languages"]
    assert line["escalated"] == line["rescued"] == {"refused-by-endpoint": 5}
    cheap, large = line["engines"]
    assert (cheap["rows_tried"], cheap["rows_kept"]) == (25, 20)
    assert (large["rows_tried"], large["rows_kept"], large["requests"]) == (5, 5, 10)
    assert large["cost"] == pytest.approx(large["completion_tokens"]) and large["cost"] > 0
    assert "rescued: refused-by-endpoint 5" in (store.folder / "report.md").read_text()


def test_translation_names_its_ledger_entries_and_the_chain_names_the_one_that_changed(recipe, workspace):
    store = Translations(recipe(), workspace).store
    chain = chain_of(workspace, store.uri)
    (link,) = (link for link in chain.last.walk() if link.name == "ledger")
    translated = Translations(recipe(), workspace).output(Job("es", Shard())).manifest.facts
    assert link.digest == translated["ledger_sha256"] and translated["ledger_entries"] >= 50
    assert chain.verify() == []
    path = ledger_path(workspace)
    whole = path.read_bytes()
    answer = rows_of(store)[-1]["output"].encode()
    at = whole.index(answer)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    (fault,) = chain_of(workspace, store.uri).verify()
    assert fault.startswith(f"{path}: entry ") and "changed" in fault
    path.unlink()
    (fault,) = chain_of(workspace, store.uri).verify()
    assert fault.startswith(f"{path}: missing")


def test_ledger_link_is_the_same_for_a_second_run_that_only_replays(recipe, folder, workspace):
    first = Translations(recipe(), workspace).output(Job("es", Shard()))
    again = Workspace(str(folder / "again"), say=lambda _: None)
    ledger_path(again).parent.mkdir(parents=True)
    shutil.copyfile(ledger_path(workspace), ledger_path(again))
    second = Translations(recipe().replaying(), again).output(Job("es", Shard()))
    assert second.manifest.facts["ledger_sha256"] == first.manifest.facts["ledger_sha256"]
