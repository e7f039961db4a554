"""The framing of a null-flushed pipeline, on real pipelines of small programs that misbehave."""

import asyncio
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongues.translation.apertium_pipe import UNTRANSLATABLE, ApertiumPipe, PipeBrokenError, escape, unescape

# Copies segments that end in NUL; does what its arguments say on the segment that holds "culprit".
_STAGE = """
import os, sys, time
buffer = b""
while block := os.read(0, 65536):
    *segments, buffer = (buffer + block).split(b"\\0")
    for segment in segments:
        if b"culprit" in segment:
            {fault}
        os.write(1, segment + b"\\0")
"""
FAULTS = {
    "dies": "sys.exit(0)",
    "crashes": "print('segmentation fault', file=sys.stderr, flush=True); os.abort()",
    "drops": "continue",
    "empties": "segment = b''",
    "hangs": "time.sleep(60)",
}


@pytest.fixture
def pipeline(tmp_path):
    def script(fault: str) -> list[list[str]]:
        path = tmp_path / "stage.py"
        path.write_text(_STAGE.format(fault=FAULTS[fault]))
        return [["cat"], [sys.executable, "-I", "-S", str(path)], ["cat"]]

    return script


def exchange(script: list[list[str]], *batches: list[str], timeout_s: float = 20.0) -> list[list[str]]:
    async def run():
        pipe = ApertiumPipe(script)
        try:
            return [await pipe.exchange(batch, timeout_s) for batch in batches]
        finally:
            await pipe.stop()

    return asyncio.run(run())


@given(st.text().filter(lambda text: not UNTRANSLATABLE.search(text)))
def test_escape_any_text_comes_back(text):
    assert unescape(escape(text)) == text
    assert not set("^~\0") & set(escape(text))


def test_unescape_superblanks_are_removed():
    assert unescape(r"La [#3] casa [][\n] \[sic\]") == "La  casa  [sic]"


def test_exchange_many_batches_answers_in_order():
    batches = [[f"{n}-{i} [#p] [][#1] \\ \n / ñ 中" for i in range(50)] for n in range(5)]
    assert exchange([["cat"], ["cat"]], *batches) == batches


def test_exchange_more_than_a_pipe_holds_does_not_deadlock():
    batch = ["x" * 1_000_000, "y" * 300_000]
    assert exchange([["cat"], ["cat"]], batch) == [batch]


@pytest.mark.parametrize("fault", ["dies", "crashes", "drops", "empties"])
def test_exchange_pipeline_swallows_names_the_answered(pipeline, fault):
    with pytest.raises(PipeBrokenError) as broken:
        exchange(pipeline(fault), ["one", "two", "the culprit", "four"])
    assert broken.value.answered == ["one", "two"]
    assert broken.value.reason == "swallowed"


def test_exchange_crash_detail_has_the_last_words(pipeline):
    with pytest.raises(PipeBrokenError, match="segmentation fault"):
        exchange(pipeline("crashes"), ["the culprit"])


def test_exchange_hang_ends_at_the_deadline(pipeline):
    with pytest.raises(PipeBrokenError) as broken:
        exchange(pipeline("hangs"), ["one", "the culprit", "three"], timeout_s=0.8)
    assert (broken.value.answered, broken.value.reason) == (["one"], "timeout")


def test_exchange_after_a_break_starts_anew(pipeline):
    async def run():
        pipe = ApertiumPipe(pipeline("dies"))
        with pytest.raises(PipeBrokenError):
            await pipe.exchange(["one", "the culprit"], 20)
        answers = await pipe.exchange(["two", "three"], 20)
        await pipe.stop()
        return answers

    assert asyncio.run(run()) == ["two", "three"]


def test_stop_kills_every_program_of_the_pipeline(tmp_path):
    async def run() -> None:
        pipe = ApertiumPipe([["sh", "-c", f"echo $$ > {tmp_path}/pid; exec cat"], ["cat"]])
        await pipe.exchange(["one"], 20)
        await pipe.stop()

    asyncio.run(run())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
