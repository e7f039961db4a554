import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tongues.core.errors import EvaluationError
from tongues.evaluation.likelihood import encode_options
from tongues.evaluation.model import LocalModel

torch = pytest.importorskip("torch")

PROMPTS = ["At night we see", "Question: what is the moon?\nAnswer:", "El agua", "O sol é", "x"]
OPTIONS = [
    [" the stars", " plates"],
    [" not a star", " a star", " the sky"],
    [" está mojada", " é de pedra"],
    [" unha estrela", " 🌞", " 太陽"],
    [" y", "yy z"],
]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LocalModel:
    return LocalModel(tiny_model, batch_rows=3)


def one_by_one(model: LocalModel, prompt: str, option: str) -> float:
    """The definition: one text, no batch, no cache, full softmax; tokens past the prompt are summed."""
    encoding = model.tokenizer(prompt + option, add_special_tokens=False, return_offsets_mapping=True)
    ids = torch.tensor([encoding["input_ids"]])
    with torch.no_grad():
        logits = model.model(ids).logits[0].log_softmax(-1)
    total = 0.0
    for position, (_, end) in enumerate(encoding["offset_mapping"]):
        if end > len(prompt):
            total += float(logits[position - 1, ids[0, position]])
    return total


def test_choice_loglikelihoods_batched_with_cache_equal_one_by_one(model: LocalModel) -> None:
    found = model.choice_loglikelihoods(PROMPTS, OPTIONS)
    for prompt, options, scores in zip(PROMPTS, OPTIONS, found, strict=True):
        for option, score in zip(options, scores, strict=True):
            assert score.loglikelihood == pytest.approx(one_by_one(model, prompt, option), abs=1e-3)
            assert score.characters == len(option.strip())
            assert score.per_character == score.loglikelihood / len(option.strip())


@pytest.mark.parametrize("batch_rows", [1, 2, 5])
def test_choice_loglikelihoods_batch_size_does_not_matter(model: LocalModel, batch_rows: int) -> None:
    whole = model.choice_loglikelihoods(PROMPTS, OPTIONS)
    other = LocalModel(model.folder, batch_rows=batch_rows).choice_loglikelihoods(PROMPTS, OPTIONS)
    for a, b in zip(whole, other, strict=True):
        assert [s.loglikelihood for s in a] == pytest.approx([s.loglikelihood for s in b], abs=1e-3)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompt=st.text(min_size=1, max_size=12).filter(str.strip),
    option=st.text(min_size=1, max_size=8).filter(str.strip),
)
def test_encode_options_any_text_scores_every_character_of_the_option(
    model: LocalModel, prompt: str, option: str
) -> None:
    opening = [0]
    encoded = encode_options(model.tokenizer, opening, prompt, [f" {option}"])
    scored = model.tokenizer.decode(encoded.ids[0][encoded.starts[0] :])
    given_text = model.tokenizer.decode(encoded.ids[0][1 : encoded.starts[0]])
    assert given_text + scored == f"{prompt} {option}" or "\ufffd" in given_text + scored
    assert prompt.startswith(given_text) or "\ufffd" in given_text


def test_encode_options_token_across_the_boundary_is_scored(model: LocalModel) -> None:
    whole = model.tokenizer("stars", add_special_tokens=False)["input_ids"]
    encoded = encode_options(model.tokenizer, [0], "st", ["ars"])
    if len(whole) == 1:  # the boundary falls inside a token: all of it belongs to the option
        assert encoded.starts == (1,)
    assert encoded.ids[0] == [0, *whole]


def test_choice_loglikelihoods_prompt_without_a_token_is_refused(model: LocalModel) -> None:
    with pytest.raises(EvaluationError, match="no token of its own"):
        model.choice_loglikelihoods([""], [["a", "b"]])


def test_choice_loglikelihoods_done_counts_every_prompt(model: LocalModel) -> None:
    counts: list[int] = []
    model.choice_loglikelihoods(PROMPTS, OPTIONS, done=counts.append)
    assert sum(counts) == len(PROMPTS)


def greedy_ids(model: LocalModel, prompt: str, limit: int) -> list[int]:
    """One prompt alone, without any cache."""
    message = [{"role": "user", "content": prompt}]
    text = model.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    new: list[int] = []
    with torch.no_grad():
        while len(new) < limit:
            token = int(model.model(torch.tensor([ids + new])).logits[0, -1].argmax())
            if token in model.stops:
                break
            new.append(token)
    return new


def greedy_reference(model: LocalModel, prompt: str, limit: int) -> str:
    said = str(model.tokenizer.decode(greedy_ids(model, prompt, limit), skip_special_tokens=True))
    return said.rstrip("\ufffd \n\r\t\x0b\x0c\x1c\x1d\x1e\x1f\x85").lstrip()  # no half letters


def test_generate_batched_equals_one_by_one(model: LocalModel) -> None:
    questions = [
        "What is the sun?",
        "Que é?",
        "¿Qué es la luna y qué es una estrella? Dime todo.",
        "a",
        "b b",
    ]
    counts: list[int] = []
    answers = model.generate(questions, max_new_tokens=12, done=counts.append)
    assert answers == [greedy_reference(model, question, 12) for question in questions]
    assert sum(counts) == len(questions)


def test_generate_row_that_ends_early_leaves_the_others_unchanged(
    model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = ["What is the sun?", "Que é?", "¿Qué es la luna?"]
    free = model.generate(questions, max_new_tokens=10)
    third = greedy_ids(model, questions[0], 10)[2]
    monkeypatch.setattr(model, "stops", [*model.stops, third])
    stopped = model.generate(questions, max_new_tokens=10)
    assert stopped == [greedy_reference(model, question, 10) for question in questions]
    assert stopped != free


def test_generate_without_shared_opening_still_equals_one_by_one(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}", encoding="utf-8")
    bare = LocalModel(folder, batch_rows=8)
    questions = ["The sun", "¿Qué es la luna y qué es una estrella?", "x"]
    assert bare.generate(questions, max_new_tokens=6) == [greedy_reference(bare, q, 6) for q in questions]


def _without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")


def _remote_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')", encoding="utf-8")


def _truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without_template, "no chat template"),
        (_pickled, "no safetensors weights"),
        (_adapter, "adapter, not a whole model"),
        (_remote_code, "cannot be loaded"),
        (_truncated, "cannot be loaded"),
    ],
)
def test_local_model_unfit_folder_is_refused(
    tiny_model: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    spoil(folder)
    with pytest.raises(EvaluationError, match=said):
        LocalModel(folder, batch_rows=2).generate(["hello"], max_new_tokens=2)
    assert not (folder / "ran").exists()
