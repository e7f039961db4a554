"""The report in a real browser: nothing fetched, nothing logged, everything there."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tongues.core.comparison import Contamination, Exposure
from tongues.core.languages import language
from tongues.core.scores import Measurement, Scores
from tongues.evaluation.compare import Answers, by_task
from tongues.evaluation.comparison import Compared, compare_all
from tongues.evaluation.report import write_report
from tongues.evaluation.samples import Sample
from tongues.evaluation.score import measure

pytestmark = pytest.mark.integration

TEXTS = {
    "en": "The sun is a star.",
    "ar": "الشمس نجم.",
    "he": "השמש היא כוכב.",
    "ur": "سورج ایک ستارہ ہے۔",
    "hi": "सूरज एक तारा है।",
    "ta": "சூரியன் ஒரு நட்சத்திரம்.",
    "th": "ดวงอาทิตย์เป็นดาวฤกษ์",
    "zh-Hans": "太阳是一颗恒星。",
    "ja": "太陽は星です。",
}
_MORE = "es ca gl eu pt fr it ro de nl sv da fi et lv lt pl cs sk hr sr bg ru uk el tr fa bn te kn ml"
MANY = TEXTS | {lang: f"{language(lang).name}." for lang in _MORE.split()}
SECTIONS = "findings heat gaps bars rates consistency judge formats numbers contamination samples"
HOSTILE = "<script>document.title = 'taken over'; console.error('ran')</script><img src=http://127.0.0.1:9/x>"
OPTIONS, LIKELIHOODS = ("1", "2", "3"), (-1.0, -2.0, -3.0, -4.0)


def _samples(texts: dict[str, str], shift: int) -> list[Sample]:
    """Answers that depend on the language's place, so that some get worse and some better."""
    samples = []
    for place, (lang, text) in enumerate(texts.items()):
        spoken = "en" if shift and place % 5 == 1 else lang
        for i in range(20):
            got = "A" if (i * (place % 4 + 1) + shift * place) % 7 > 1 + place % 3 else "B"
            right = got == "A"
            samples += [
                Sample(
                    "choices", lang, f"c{i}", text, "A", got, right, got, right, (text, *OPTIONS), LIKELIHOODS
                ),
                Sample(
                    "open", lang, f"o{i}", text, "", text + HOSTILE, guessed_lang=spoken, confidence=1.0,
                    line_langs=(spoken, spoken, "en" if i % 4 == 0 else lang),
                ),
                Sample(
                    "code", lang, f"p{i}", f"def f():\n    # {text}", "", f"def f(): {HOSTILE}", right,
                    ended="passed" if right else "time", reference_ended="passed",
                ),
            ]  # fmt: skip
            if lang != "en":
                samples.append(
                    Sample("translation", lang, f"t{i}", text, text, text[shift:], guessed_lang=lang)
                )
    return samples


def _judged(scores: Scores, rating: float) -> Scores:
    """With ratings and format failures, as the judge and chains would add them."""
    more = {"judge": rating, "judge_in_writing": rating + 0.5, "judge_in_reasoning": rating - 1}
    found = {
        f"open/{lang}/{metric}": Measurement(value=value, n=20, low=value - 0.5, high=value + 0.5)
        for lang in scores.languages
        for metric, value in (more | {"format_failure_rate": rating / 100}).items()
    }
    sizes = [f"cross_mmlu/all/{metric}_{s}" for s in (2, 3, 4) for metric in ("consistency", "ac3")]
    found |= {name: Measurement(value=0.4, n=150, low=0.3, high=0.5) for name in sizes}
    unmeasured = {"cross_logiqa": f"no such file: {HOSTILE}"}
    changed = {"measurements": scores.measurements | found, "unmeasured": unmeasured}
    return scores.model_copy(update=changed)


def write(texts: dict[str, str], roles: tuple[str, ...], out: Path) -> Path:
    """A report of synthetic answers."""
    models = []
    langs = tuple(lang for lang in texts if lang != "en")
    for shift, role in enumerate(roles):
        samples = _samples(texts, shift)
        measurements, signatures = measure(by_task(samples))
        values = {"role": role, "model": HOSTILE, "model_sha256": "0", "suite": "s", "suite_sha256": "1"}
        values |= {"source_lang": "en", "languages": langs, "signatures": signatures}
        scores = Scores.model_validate(values | {"measurements": measurements})
        models.append(Compared(_judged(scores, 4.0 + shift), Answers.of(samples)))
    exposed = [
        Exposure(task="choices", lang=lang, items=20, direct=lang == "ar", translated=lang == "hi")
        for lang in texts
    ]
    contamination = Contamination(dataset_sha256="2", records=9, rule="it is met", exposures=tuple(exposed))
    compared = compare_all(models, recipe="browser", contamination=contamination)
    return write_report(compared, facts={}, out=out)


@pytest.mark.parametrize(
    ("texts", "roles"),
    [(TEXTS, ("base", "candidate")), (MANY, ("base", "english", "champion", "candidate"))],
    ids=["nine", "forty"],
)
def test_report_in_chromium_is_complete_and_silent(
    tmp_path: Path, texts: dict[str, str], roles: tuple[str, ...]
) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --log-level=0 --dump-dom"
    browser = [chromium, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    page = write(texts, roles, tmp_path / "report.html")
    shown = subprocess.run([*browser, page.as_uri()], capture_output=True, text=True, timeout=200, check=True)
    assert "CONSOLE" not in shown.stderr
    assert "<title>browser: evaluation per language</title>" in shown.stdout
    assert shown.stdout.count("<svg") == 4 + 2 + 4  # changes, language rates, consistency and AC3 of two sets
    for section in SECTIONS.split():
        assert f'id="{section}"' in shown.stdout
    heat = shown.stdout[shown.stdout.index('id="heat"') : shown.stdout.index('id="bars"')]
    for lang in texts:
        assert shown.stdout.count(language(lang).name) > 5
        assert f'<th scope="row">{language(lang).name}</th>' in heat
        assert f'dir="{language(lang).direction}" lang="{lang}"' in shown.stdout
    assert shown.stdout.count('<table class="matrix">') == 2 * len(roles)  # of answers and of lines
    assert "✗ time" in shown.stdout and "Consistency over subset size, cross mmlu" in shown.stdout
    assert "<img" not in shown.stdout and "<script" not in shown.stdout
