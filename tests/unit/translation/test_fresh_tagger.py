"""The tagger stage, around a small tagger that is spoilt by what it meets, as Apertium's is."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tongues.translation import fresh_tagger

# Answers with the words it has met that it was not trained on; says so first, if asked to (-d).
_TAGGER = """
import os, re, sys
known, met = {b"cat", b"dog"}, []
buffer = b""
while block := os.read(0, 65536):
    *segments, buffer = (buffer + block).split(b"\\0")
    for segment in segments:
        if b"^mars/" in segment and "-d" in sys.argv:
            os.write(2, b"Warning: There is not coarse tag for 'x' of 'y'\\n    an error\\n")
        for word in re.findall(rb"\\^(\\w+)/", segment):
            if word == b"crash":
                sys.exit(3)
            if word not in known | {b"mars"}:
                known.add(word)
                met.append(word)
                if "-d" in sys.argv:
                    os.write(2, b"Error: A new ambiguity class was found. \\nWord '%b'.\\n" % word)
        os.write(1, segment + b" after " + b",".join(met) + b"\\0")
"""


@pytest.fixture
def command(tmp_path):
    path = tmp_path / "tagger.py"
    path.write_text(_TAGGER)
    # The stage puts -d behind the program's name, so the program is a launcher of its own.
    launcher = tmp_path / "tagger"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{path}" "$@"\n')
    launcher.chmod(0o755)
    return [str(launcher), "-z"]


def unit(*words: str) -> bytes:
    return b" ".join(f"^{word}/{word}<n>$".encode() for word in words)


def test_tag_any_order_and_grouping_each_segment_as_if_alone(command):
    vocabulary = ["cat", "dog", "mars", "its", "till", "lay"]
    draw = random.Random(3)
    segments = [unit(*draw.choices(vocabulary, weights=[9, 9, 4, 1, 1, 1], k=3)) for _ in range(30)]
    segments += [b"[#p1]", b"", unit("cat") * 3_000]
    alone = {
        s: subprocess.run(command, input=s + b"\0", capture_output=True).stdout[:-1] for s in {*segments}
    }
    for size in (7, 100):
        tagger = fresh_tagger.Tagger(command)
        shuffled = draw.sample(segments, len(segments))
        tagged = [t for i in range(0, len(shuffled), size) for t in tagger.tag(shuffled[i : i + size])]
        tagger.close()
        assert tagged == [alone[s] if b"^" in s else s for s in shuffled]


def test_tag_clean_segments_share_one_process(command, monkeypatch):
    tagger = fresh_tagger.Tagger(command)
    monkeypatch.setattr(tagger, "_ask_fresh", lambda segment: pytest.fail("a clean segment was set apart"))
    assert len(tagger.tag([unit("cat", "dog", "mars")] * 50)) == 50
    tagger.close()


def test_main_tagger_that_dies_ends_the_stage(command):
    stage = [sys.executable, "-I", "-S", str(Path(fresh_tagger.__file__)), *command]
    done = subprocess.run(stage, input=unit("cat") + b"\0" + unit("crash") + b"\0", capture_output=True)
    assert done.returncode != 0
    assert b"tagger ended" in done.stderr or b"tagger gave" in done.stderr
