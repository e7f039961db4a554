"""The Apertium engine on the real pairs of this machine."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tongues.core.errors import EngineError, PreflightError
from tongues.core.recipe import ApertiumEngine
from tongues.data.marks import FOUND, mark
from tongues.translation import apertium_modes
from tongues.translation.apertium import Apertium, installed_modes
from tongues.translation.engines import build_engine, check_engine

pytestmark = pytest.mark.integration
TARGETS = ("es", "ca", "gl", "eo")
MODES = {"es": "eng-spa", "ca": "eng-cat", "gl": "en-gl", "eo": "en-eo"}
SENTENCES = [
    "The house by the river is red.",
    "I read its last page, and then I closed the book.",
    "When was the last time you called your friends?",
    "She has run a small shop for years",
    "dogs",
    "Open the door and let them in!",
    "Its roof is called a dome, as this form is strong.",
    "Write a short story about a robot that learns to paint.",
]

# Each holds words whose ambiguity the taggers of eng-spa, en-gl or en-eo were not trained on; a
# tagger that has seen other such words before answers some of them differently.
AMBIGUOUS = [
    "I have known its name for years.",
    "The elected people near the river were included in it.",
    "Wait till the worn shoes are dry.",
    "What does it do for them?",
    "They lay near its door and told it.",
    "Post it a few times, even at night.",
    "It starts at ten AM, unlike the last one.",
    "Do even the dead trees help its roots?",
    "Mars is red, unlike its moons.",
    "When was the last time its book was seen?",
    "I do it for its own good.",
    "Unlike Mars, its water is near.",
    "He told me that the included parts do not fit for it.",
    "Even so, this will help to form the cake called for at times.",
    "Its surface shows that this is no ordinary stone.",
    "The algae living near the shore do harm for a time.",
    "We looked at its style, its paper and any other details.",
    "I for one like it called by its name.",
    "What do you post at times, called for or not?",
    "Does its door open for known guests?",
    "The lay of the land near Mars is known.",
    "Elected or not, its members do even less.",
]


def section(**settings) -> ApertiumEngine:
    return ApertiumEngine(kind="apertium", **settings)


@pytest.fixture(params=TARGETS)
def target(request):
    if ("en", request.param) not in _modes():
        pytest.skip(f"needs the Apertium pair en-{request.param}")
    return request.param


def _modes():
    folder = apertium_modes.data_folder()
    return apertium_modes.installed_pairs(folder) if folder else {}


def translate(texts, target, engine=None, batch=64):
    engine = engine or Apertium(section())

    async def run():
        try:
            batches = [texts[i : i + batch] for i in range(0, len(texts), batch)]
            return [o for part in batches for o in await engine.answer(part, "en", target)]
        finally:
            await engine.aclose()

    return asyncio.run(run())


def test_translate_agrees_with_the_apertium_command(target):
    outcomes = translate(SENTENCES, target)
    for sentence, outcome in zip(SENTENCES, outcomes, strict=True):
        command = ["apertium", "-u", MODES[target]]
        said = subprocess.run(command, input=sentence, capture_output=True, text=True, check=True).stdout
        expected = " ".join(said.split())
        assert outcome.text.lower() == re.sub(r" (?=[.,;:!?])", "", expected.lower())


def test_translate_same_segment_anywhere_in_any_order_same_answer(target):
    texts = [*SENTENCES, *AMBIGUOUS]
    alone = {text: translate([text], target)[0].text for text in AMBIGUOUS[:6]}
    expected = dict(zip(texts, (o.text for o in translate(texts, target)), strict=True)) | alone
    for seed, batch in ((1, 64), (2, 64), (3, 7)):
        shuffled = random.Random(seed).sample(texts, len(texts))
        outcomes = translate(shuffled, target, batch=batch)
        assert [o.text for o in outcomes] == [expected[text] for text in shuffled]


@pytest.mark.parametrize("character", "[]{}^$\\/@<>~*#|_+=%&\"'()")
def test_translate_special_character_survives(target, character):
    if character == "&" and target == "ca":
        pytest.skip("eng-cat translates & by its word, as it should")
    texts = [
        f"The dog {character} the cat.",
        f"{character} dog",
        f"dog {character}",
        f"a {character}{character} b",
    ]
    for text, outcome in zip(texts, translate(texts, target), strict=True):
        assert outcome.text.count(character) == text.count(character)


def test_translate_marks_survive_in_every_place(target):
    sentence = "Put the red house of my friend beside the old river and call him"
    place = random.Random(6)
    texts = []
    for number in range(150):
        line = sentence.split()
        for n in (number, number + 1, 10 * number + 7):
            line.insert(
                place.randrange(len(line) + 1), mark(n) + place.choice(["", ".", ",", "'s", "%", ")"])
            )
        texts.append(" ".join(line))
    texts += [text.upper().replace("XQ", "Xq").replace("Q ", "q ") for text in texts[:20]]
    for text, outcome in zip(texts, translate(texts, target), strict=True):
        assert sorted(FOUND.findall(outcome.text)) == sorted(FOUND.findall(text))


def test_translate_edges_and_inner_lines_keep_their_white_space(target):
    outcomes = translate(["  The house.\t", "The house\nis red\n\n  and old", "The house."], target)
    assert outcomes[0].text.startswith("  ")
    assert outcomes[0].text.endswith("\t")
    assert [len(line) - len(line.lstrip()) for line in outcomes[1].text.split("\n")] == [0, 0, 0, 2]
    assert outcomes[2].text.endswith(".")
    assert outcomes[2].text[0].isupper()


def test_translate_what_cannot_be_framed_is_a_reason(target):
    outcomes = translate(["good", "a\0b", "lone \ud800", "fine"], target)
    assert [o.reason for o in outcomes] == ["ok", "control-character", "not-unicode", "ok"]


def test_translate_long_text_in_one_segment_comes_back(target):
    (outcome,) = translate(["The house is red. " * 3_000], target)
    assert outcome.text.count(".") == 3_000


def test_translate_stage_killed_from_outside_loses_no_segment(target):
    engine = Apertium(section(batch_rows=200))
    texts = [f"The house number {n} is red." for n in range(200)]

    async def run():
        await engine.answer(texts[:1], "en", target)
        (pipe,) = engine._pipes.values()
        victim = pipe._stages[4]
        working = asyncio.create_task(engine.answer(texts, "en", target))
        await asyncio.sleep(0)
        os.kill(victim.pid, signal.SIGKILL)
        outcomes = await working
        await engine.aclose()
        return outcomes

    outcomes = asyncio.run(run())
    assert [o.reason for o in outcomes] == ["ok"] * 200
    assert [o.text for o in outcomes] == [o.text for o in translate(texts, target)]


_STAGE = """#!{python}
import os, sys, time
buffer = b""
while block := os.read(0, 65536):
    *segments, buffer = (buffer + block).split(b"\\0")
    for segment in segments:
        if b"culprit" in segment:
            {act}
        os.write(1, segment + b"\\0")
"""


def _engine_with_stage(tmp_path: Path, fault: str, **settings) -> Apertium:
    """An engine whose pipeline copies segments, and misbehaves on those that hold "culprit"."""
    for name, act in (("copy", "pass"), ("stage", fault)):
        program = tmp_path / name
        program.write_text(_STAGE.format(python=sys.executable, act=act))
        program.chmod(0o755)
    modes = tmp_path / "modes"
    modes.mkdir()
    (modes / "eng-spa.mode").write_text(f"{tmp_path}/copy | {tmp_path}/stage | {tmp_path}/copy")
    return Apertium(section(**settings), folder=tmp_path)


@pytest.mark.parametrize(
    ("fault", "reason", "permanent"),
    [
        ("sys.exit(0)", "engine-swallowed", True),
        ("continue", "engine-swallowed", True),
        ("segment = b''", "engine-swallowed", True),
        ("os.abort()", "engine-swallowed", True),
        ("time.sleep(60)", "engine-timeout", False),
        ("segment = segment[segment.index(b'['):]", "empty-answer", True),
    ],
)
def test_translate_culprits_are_quarantined_and_the_rest_goes_on(tmp_path, fault, reason, permanent):
    engine = _engine_with_stage(tmp_path, fault, timeout_s=1.0)
    texts = [f"line {n}" for n in range(40)]
    texts[7] = texts[23] = "the culprit"
    outcomes = translate(texts, "es", engine)
    assert {n for n, o in enumerate(outcomes) if o.text is None} == {7, 23}
    assert (outcomes[7].reason, outcomes[7].permanent) == (reason, permanent)
    assert [o.text for o in outcomes if o.text] == [text for text in texts if "culprit" not in text]


def test_translate_pipeline_that_never_works_blames_no_segment(tmp_path):
    engine = _engine_with_stage(tmp_path, "pass")
    (tmp_path / "stage").write_text(f"#!{sys.executable}\nraise SystemExit('no data file')")
    with pytest.raises(EngineError, match=r"does not work.*apt-get install apertium"):
        translate(["line one", "line two"], "es", engine)
    (tmp_path / "stage").unlink()
    with pytest.raises(EngineError, match=r"does not work.*No such file.*stage"):
        translate(["line one", "line two"], "es", engine)


def test_check_engine_missing_pairs_are_listed_with_the_way_to_get_them():
    if not _modes():
        pytest.skip("needs Apertium")
    with pytest.raises(PreflightError) as error:
        check_engine(section(), "en", ["es", "th", "sw"])
    assert len(error.value.problems) == 2
    assert "no pair en-th (English to Thai)" in error.value.problems[0]
    assert "en-es" in error.value.problems[0]
    assert "apt-get install apertium apertium-eng-spa apertium-eng-cat" in error.value.problems[0]


def test_engine_without_apertium_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for call in (installed_modes, lambda: build_engine(section())):
        with pytest.raises(EngineError, match=r"not installed.*apt-get install apertium"):
            call()
    with pytest.raises(PreflightError, match="Apertium is not installed"):
        check_engine(section(), "en", ["es"])


def test_step_names_package_and_version(target):
    step = Apertium(section()).step("en", target)
    assert step.model.split()[0].removeprefix("apertium-") in (MODES[target], "eo-en")
    assert step.model.split()[1][0].isdigit()
    assert Apertium(section(batch_rows=3, timeout_s=9.0)).step("en", target) == step


@pytest.mark.realdata
def test_translate_real_line_that_crashes_catalan_is_found_alone(shared_data):
    rows = json.loads((shared_data / "gsm8k_train.json").read_text())
    lines = [line for row in rows for line in row["instruction"].splitlines() if line.strip()]
    at = next(n for n, line in enumerate(lines) if "packing peanuts for the packages" in line)
    near = lines[at - 20 : at + 21]
    engine = Apertium(section())
    if not engine.supports("en", "ca"):
        pytest.skip("needs the Apertium pair en-ca")
    outcomes = translate(near, "ca", engine)
    assert [n for n, o in enumerate(outcomes) if o.text is None] == [20]
    assert (outcomes[20].reason, outcomes[20].permanent) == ("engine-swallowed", True)
