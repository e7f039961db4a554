"""What work is found by must not depend on the process: the order of a set changes from one to the next."""

import os
import subprocess
import sys

import pytest

_KEYS = """
from tongues.core.recipe import OpenAIEngine, SelectionSection
from tongues.data.spans import SpanProtector
from tongues.translation.openai_chat import OpenAIChat
from tongues.translation.selection import Selector
from tongues.translation.selective_chat import SelectiveChat

for decider in ("direct", "rules", "model"):
    print(Selector(SelectionSection(decider=decider)).identity)
section = OpenAIEngine(kind="openai", model="m", endpoints=({"base_url": "http://127.0.0.1:1/v1"},))
for engine in (OpenAIChat(section), SelectiveChat(section)):
    print(engine.step("en", "zh-Hant"))
print(SpanProtector().mask("`a` https://x.y/z {b} 3 km", ["b", "c"]))
"""


@pytest.mark.slow
def test_identities_are_the_same_in_every_process():
    said = {
        subprocess.run(
            [sys.executable, "-c", _KEYS],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1 and next(iter(said)).count("\n") == 6
