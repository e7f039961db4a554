import pytest

from tongues.core.errors import ServingError
from tongues.serving.mode_probe import Measured, rates
from tongues.stages.serving_mode import Choice, choose


def measured(merged, adapter):
    return Measured(
        merged_tokens_per_s=merged,
        adapter_tokens_per_s=adapter,
        requests=4,
        rounds=3,
        vllm="0.32.0",
        device="x86_64 CPU, 2 cores",
        day="2026-11-28",
    )


@pytest.mark.parametrize(
    ("merged", "adapter", "worth"), [(233, 11.6, False), (400, 199, False), (400, 200, True), (90, 95, True)]
)
def test_adapter_is_worth_it_from_half_the_rate_on(merged, adapter, worth):
    assert measured(merged, adapter).adapter_is_worth_it is worth


def test_sentence_says_rates_requests_device_and_day():
    assert measured(233, 11.6).sentence == (
        "measured: adapter 11.6, merged 233 output tokens/s (4 requests at once, median of 3; "
        "x86_64 CPU, 2 cores, vLLM 0.32.0, 2026-11-28)"
    )


def test_both_names_are_asked_in_turn_and_as_often(vllms, tmp_path):
    (vllm,) = vllms()
    (tmp_path / "answer.txt").write_text("one two three four five six seven eight nine")
    vllm.held |= {"m-base": tmp_path, "m": tmp_path}
    found = rates(f"{vllm.url}/v1", ("m-base", "m"))
    assert len(found) == 2 and min(found) > 0
    assert vllm.asked == (["m-base"] * 4 + ["m"] * 4) * 4


def test_name_that_is_not_answered_is_no_measurement(vllms):
    (vllm,) = vllms()
    with pytest.raises(ServingError, match="not measured"):
        rates(f"{vllm.url}/v1", ("m-base", "m"))


def unmeasured():
    raise AssertionError("nothing is to be measured")


@pytest.mark.parametrize(
    ("wanted", "asked", "there", "choice"),
    [
        ("auto", "adapter", True, "adapter (as asked for)"),
        ("adapter", "merged", True, "merged (as asked for)"),
        ("adapter", None, True, "adapter (as the recipe says)"),
        ("merged", None, True, "merged (as the recipe says)"),
        ("auto", None, False, "merged (there is no adapter that vLLM serves)"),
    ],
)
def test_what_is_said_is_not_measured(wanted, asked, there, choice):
    assert str(choose(wanted, asked=asked, there=there, by_measure=unmeasured)) == choice


def test_auto_with_an_adapter_is_measured_and_the_measurement_is_the_reason():
    found = measured(233, 11.6)
    choice = choose("auto", asked=None, there=True, by_measure=lambda: Choice("merged", found.sentence))
    assert (choice.mode, choice.adapter) == ("merged", False)
    assert "adapter 11.6, merged 233" in str(choice)
