"""The report in a real browser: nothing fetched, nothing logged, everything there."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tongues.core.scores import Scores
from tongues.evaluation.compare import by_task
from tongues.evaluation.report import write_report
from tongues.evaluation.samples import Sample, write_samples
from tongues.evaluation.score import measure

pytestmark = pytest.mark.integration

TEXTS = {
    "en": "The sun is a star.",
    "ar": "الشمس نجم.",
    "hi": "सूरज एक तारा है।",
    "zh-Hans": "太阳是一颗恒星。",
}
HOSTILE = "<script>document.title = 'taken over'; console.error('ran')</script><img src=http://127.0.0.1:9/x>"


def _samples(shift: int) -> list[Sample]:
    samples = []
    for lang, text in TEXTS.items():
        for i in range(20):
            got = "A" if (i + shift) % 3 else "B"
            options, likelihoods = (text, "1", "2", "3"), (-1.0, -2.0, -3.0, -4.0)
            samples += [
                Sample(
                    "choices",
                    lang,
                    f"c{i}",
                    text,
                    "A",
                    got,
                    got == "A",
                    got,
                    got == "A",
                    options,
                    likelihoods,
                ),
                Sample("open", lang, f"o{i}", text, "", text + HOSTILE, guessed_lang=lang, confidence=1.0),
            ]
            if lang != "en":
                samples.append(
                    Sample("translation", lang, f"t{i}", text, text, text[shift:], guessed_lang=lang)
                )
    return samples


def _report(folder: Path) -> Path:
    scores, folders = [], {}
    for shift, role in enumerate(("base", "candidate")):
        groups = by_task(_samples(shift))
        measurements, signatures = measure(groups)
        values = {"role": role, "model": HOSTILE, "model_sha256": "0", "suite": "s", "suite_sha256": "1"}
        values |= {"source_lang": "en", "languages": ("ar", "hi", "zh-Hans"), "signatures": signatures}
        scores.append(Scores.model_validate(values | {"measurements": measurements}))
        folders[role] = folder / role
        for (task, lang), found in groups.items():
            write_samples(folders[role] / task / f"{lang}.parquet", found, key="k")
    return write_report(scores, folders, recipe_name="browser", facts={}, out=folder / "report.html")


def test_report_in_chromium_is_complete_and_silent(tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --log-level=0 --dump-dom"
    browser = [chromium, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run(
        [*browser, _report(tmp_path).as_uri()], capture_output=True, text=True, timeout=100, check=True
    )
    assert "CONSOLE" not in shown.stderr
    assert "<title>browser: evaluation per language</title>" in shown.stdout
    assert shown.stdout.count("<svg") == 6
    for name in ("English", "Arabic", "Hindi", "Chinese (Simplified)"):
        assert name in shown.stdout
    assert "<img" not in shown.stdout and "<script" not in shown.stdout
