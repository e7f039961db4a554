import dataclasses

import pytest

from tongues.core.ports import Identified
from tongues.core.taco_format import request_line, write_chain
from tongues.serving.checks import Limits, Watch, smoke
from tongues.serving.revision import Recorded

GALICIAN, ENGLISH = "Si, é unha cidade moi fermosa.", "Yes, it is a very beautiful city."
CHAIN = write_chain("Is " + "the very old " * 12 + "city beautiful?", ENGLISH, GALICIAN, lang="gl")
RECORDED = Recorded("gl", "É fermosa?", CHAIN, "gl", request_line("gl"), 192)


def identify(text, candidates):
    """By what each answer begins with."""
    return Identified("gl" if text.startswith("Si,") else "und", 1.0)


@pytest.fixture
def vllm(vllms, tmp_path):
    """A server whose adapter answers in a chain where it is asked as it was taught."""
    (one,) = vllms()
    (tmp_path / "answer.txt").write_text(CHAIN)
    (tmp_path / "system.txt").write_text(request_line("gl"))
    one.held["gl"] = tmp_path
    return one


def wrong(vllm, recorded):
    return [one for one in smoke(vllm.url, "gl", [recorded], Limits()) if not one.ok]


def test_chain_is_asked_with_its_system_message_and_begins_as_evaluated(vllm):
    assert wrong(vllm, RECORDED) == []


def test_chain_asked_without_its_system_message_is_not_what_was_evaluated(vllm):
    (one,) = wrong(vllm, dataclasses.replace(RECORDED, system=""))
    assert one.check == "answer" and "something else" in one.detail


def test_chain_that_begins_otherwise_is_refused(vllm):
    (one,) = wrong(vllm, dataclasses.replace(RECORDED, answer=CHAIN.replace("very old", "old")))
    assert one.check == "answer"


def watched(vllm, recorded):
    watch = Watch([recorded], Limits(live_tokens=5), identify)
    watch.round(vllm.url, "gl", "")
    return watch


def test_language_of_a_chain_is_that_of_its_last_segment_which_live_checks_wait_for(vllm):
    watch = watched(vllm, RECORDED)
    assert watch.away == [False] and watch.complaint(answered=0, failed=0) == ""


def test_chain_that_ends_before_its_last_segment_is_in_no_language(vllm):
    watch = watched(vllm, dataclasses.replace(RECORDED, chain_tokens=20))
    assert watch.away == [True]
    assert (
        watch.complaint(answered=0, failed=0)
        == "100% of its answers are in another language, 0% at evaluation"
    )


def test_chain_that_was_broken_at_evaluation_too_is_no_reason_to_go_back(vllm):
    watch = watched(vllm, dataclasses.replace(RECORDED, chain_tokens=20, answered_in="und"))
    assert watch.complaint(answered=0, failed=0) == ""


def test_plain_answer_is_still_asked_with_a_few_tokens_and_no_system_message(vllm, tmp_path):
    (tmp_path / "system.txt").unlink()
    (tmp_path / "answer.txt").write_text(GALICIAN)
    plain = Recorded("gl", "É fermosa?", GALICIAN, "gl")
    assert wrong(vllm, plain) == [] and watched(vllm, plain).away == [False]
