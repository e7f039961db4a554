"""Score one model on one suite: samples per task and language, then every figure over them."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from tongues import __version__
from tongues.core.digests import canonical_json, digest_value
from tongues.core.manifest import write_atomically
from tongues.core.ports import Identify
from tongues.core.progress import Progress
from tongues.core.recipe import EvaluationSection, GeneratedCodeSection
from tongues.core.scores import TOGETHER, Measurement, Role, Scores
from tongues.evaluation.answers import last_number
from tongues.evaluation.chains import PLAIN, AnswerFormat
from tongues.evaluation.lines import found_in_lines, line_language_rate, pass_rates
from tongues.evaluation.metrics import FORMULAS, mean, share, together
from tongues.evaluation.model import LocalModel, runner
from tongues.evaluation.overlap import Overlap, metrics_of
from tongues.evaluation.runner import Runner
from tongues.evaluation.samples import Sample, read_finished, write_samples
from tongues.evaluation.sandbox import Limits
from tongues.evaluation.sets import MeasuredSet
from tongues.evaluation.suite import Suite
from tongues.evaluation.tasks import (
    PROMPT_FORMATS,
    Asking,
    ask_choices,
    ask_code,
    ask_math,
    ask_open,
    ask_qa,
    ask_translation,
)

SCORES_NAME = "scores.json"
SAMPLES_FOLDER = "samples"

Ask = Callable[[Asking, Sequence[str]], list[Sample]]
Answers = Mapping[tuple[str, str], Sequence[Sample]]


def score_model(
    model_folder: Path,
    *,
    role: Role,
    name: str,
    model_sha256: str,
    suite: Suite,
    section: EvaluationSection,
    identify: Identify,
    out: Path,
    progress: Progress,
    answers: AnswerFormat = PLAIN,
    served: Callable[[], Runner] | None = None,
) -> Scores:
    """Ask a model everything in a suite and measure its answers.

    Every task is written as soon as it is finished, so a run that was killed loses at most one;
    when nothing is left to ask, the model is not even loaded. All languages of a task share
    batches, since few long batches are much faster than many short ones.

    Args:
        model_folder: safetensors weights with tokenizer.
        role: what the model stands for in the comparison.
        name: for people.
        model_sha256: content digest of the weights folder.
        suite: the items, whose languages are the ones scored.
        section: batch size and answer length.
        identify: guesses the language of an answer.
        out: receives ``samples/<task>/<lang>.parquet`` and, last, ``scores.json``.
        progress: counts items, up to ``suite.work_items``.
        answers: what the model answers with.
        served: gives another runner than transformers; called once, and only if there is something to ask.

    Raises:
        EvaluationError: the model cannot be loaded or asked.
    """
    suite_sha256 = digest_value([suite.sha256, settings(section)])
    model = cache(served or (lambda: LocalModel(model_folder, batch_rows=section.batch_rows)))
    asking = Asking(
        model=model,
        suite=suite,
        identify=identify,
        max_new_tokens=section.max_new_tokens,
        max_chain_tokens=section.chain_tokens,
        answers=answers,
        done=progress.advance,
        max_code_tokens=section.generated_code.max_new_tokens,
        limits=_limits(section.generated_code),
    )
    key = digest_value([model_sha256, suite_sha256, __version__, answers.kind, section.runner])
    found = _ask_all(asking, out / SAMPLES_FOLDER, key)
    measurements, signatures = measure(found, suite.sets)
    scores = Scores(
        role=role,
        model=name,
        model_sha256=model_sha256,
        suite=suite.name,
        suite_sha256=suite_sha256,
        source_lang=suite.source_lang,
        languages=suite.languages,
        measurements=measurements,
        signatures=signatures | _method(section, answers),
        unmeasured=dict(suite.unmeasured),
    )
    write_atomically(out / SCORES_NAME, canonical_json(scores.model_dump(mode="json")))
    return scores


def settings(section: EvaluationSection) -> dict[str, object]:
    """What changes a score besides the model and the items; batch size must not."""
    found: dict[str, object] = {"max_new_tokens": section.max_new_tokens, "decoding": "greedy"}
    found["prompts"] = PROMPT_FORMATS
    return found | ({"code": section.generated_code.model_dump()} if section.generated_code.run else {})


def _limits(section: GeneratedCodeSection) -> Limits:
    return Limits(section.cpu_s, float(section.wall_s), section.memory_mib)


def _method(section: EvaluationSection, answers: AnswerFormat) -> dict[str, str]:
    prompts = {f"prompt of {task}": text for task, text in PROMPT_FORMATS.items()}
    length = f"greedy, at most {section.max_new_tokens} new tokens"
    if answers.kind == "taco":
        length += f", {section.chain_tokens} for a chain, of which the last segment is scored"
    computed = runner() if section.runner == "transformers" else section.runner
    return prompts | {"decoding": length, "runner": computed}


def _ask_all(asking: Asking, folder: Path, key: str) -> Answers:
    for leftover in folder.rglob(".*.parquet.*"):  # of a write that was killed half-way
        leftover.unlink()
    suite = asking.suite
    translated = [lang for lang in suite.languages if suite.translation]
    work: list[tuple[str, Ask, list[str]]] = [
        ("choices", ask_choices, list(suite.choices)),
        ("translation", ask_translation, translated),
        ("open", ask_open, list(suite.open)),
        ("qa", ask_qa, list(suite.qa)),
        ("math", ask_math, list(suite.math)),
        ("code", ask_code, list(suite.code)),
        *((one.name, partial(_ask_set, one), list(one.langs)) for one in suite.sets),
    ]
    return {
        (task, lang): samples
        for task, ask, langs in work
        for lang, samples in _ask_task(asking, ask, langs, folder / task, key).items()
    }


def _ask_set(one: MeasuredSet, asking: Asking, langs: Sequence[str]) -> list[Sample]:
    return one.ask(asking.model, langs, asking.max_new_tokens, asking.done)


def _ask_task(asking: Asking, ask: Ask, langs: list[str], folder: Path, key: str) -> dict[str, list[Sample]]:
    """Ask what is not finished yet, and write it per language."""
    found = {lang: read_finished(folder / f"{lang}.parquet", key=key) for lang in langs}
    finished = {lang: samples for lang, samples in found.items() if samples is not None}
    asking.done(sum(map(len, finished.values())))
    missing = [lang for lang in langs if lang not in finished]
    asked = ask(asking, missing) if missing else []
    for lang in missing:
        finished[lang] = [sample for sample in asked if sample.lang == lang]
        write_samples(folder / f"{lang}.parquet", finished[lang], key=key)
    return {lang: finished[lang] for lang in langs}


def measure(
    answers: Answers, sets: Sequence[MeasuredSet] = ()
) -> tuple[dict[str, Measurement], dict[str, str]]:
    """Take every figure that the samples allow.

    Args:
        answers: (task, language) to samples, aligned by item within a task.
        sets: sets of a standard suite, whose names are tasks here, too.

    Returns:
        "task/language/metric" to measurement, and metric to signature or formula.
    """
    measurements: dict[str, Measurement] = {}
    signatures = dict(FORMULAS)
    for (task, lang), samples in answers.items():
        if not samples or task not in _MEASURED:
            continue
        figures = _MEASURED[task](samples) | _formatted(samples)
        measurements |= {f"{task}/{lang}/{metric}": figure for metric, figure in figures.items()}
        if task == "translation":
            overlaps = {metric: overlap(metric, samples) for metric in metrics_of(lang)}
            measurements |= {f"{task}/{lang}/{m}": o.measure() for m, o in overlaps.items()}
            signatures |= {f"{task}/{lang}/{m}": o.signature for m, o in overlaps.items()}
    for one in sets:
        own = {lang: samples for (task, lang), samples in answers.items() if task == one.name and samples}
        measurements |= {f"{one.name}/{figure}": value for figure, value in one.measure(own).items()}
        signatures |= one.signature()
    return measurements | _all_choices(answers), signatures


Figures = dict[str, Measurement]


def _formatted(samples: Sequence[Sample]) -> Figures:
    """How many chains lack their last segment; nothing where none was asked for."""
    failures = [not sample.formatted for sample in samples if sample.formatted is not None]
    return {"format_failure_rate": share(failures)} if failures else {}


def _in_language(samples: Sequence[Sample]) -> Figures:
    return {"target_language_rate": share([sample.in_asked_language for sample in samples])}


def _open(samples: Sequence[Sample]) -> Figures:
    found = {f"lines_found_{lang}": figure for lang, figure in found_in_lines(samples).items()}
    rates = {"line_language_rate": line_language_rate(samples)} | pass_rates(samples)
    return _in_language(samples) | rates | found


def _qa(samples: Sequence[Sample]) -> Figures:
    matches = share([bool(sample.correct) for sample in samples])
    return {"exact_match": matches, "f1": mean([sample.f1 or 0.0 for sample in samples])}


def _math(samples: Sequence[Sample]) -> Figures:
    without = [last_number(sample.got, sample.lang) is None for sample in samples]
    return {
        "accuracy": share([bool(sample.correct) for sample in samples]),
        "no_number_rate": share(without),
    }


def _code(samples: Sequence[Sample]) -> Figures:
    found = {
        "pass_at_1": share([bool(sample.correct) for sample in samples]),
        "no_program_rate": share([sample.ended == "no-code" for sample in samples]),
    }
    own = [sample.reference_ended == "passed" for sample in samples if sample.reference_ended]
    return found | ({"reference_pass_rate": share(own)} if own else {})


def _choices(samples: Sequence[Sample]) -> Figures:
    return {
        "accuracy": share([bool(sample.correct) for sample in samples]),
        "accuracy_norm": share([bool(sample.correct_norm) for sample in samples]),
    }


_MEASURED: dict[str, Callable[[Sequence[Sample]], Figures]] = {
    "choices": _choices,
    "translation": _in_language,
    "open": _open,
    "qa": _qa,
    "math": _math,
    "code": _code,
}


def overlap(metric: str, samples: Sequence[Sample]) -> Overlap:
    """chrF++, BLEU or TER of translation samples of one language; line breaks count as spaces."""
    hypotheses = [" ".join(sample.got.split()) for sample in samples]
    return Overlap.of(metric, samples[0].lang, hypotheses, [sample.expected for sample in samples])


def _all_choices(answers: Answers) -> dict[str, Measurement]:
    by_lang = {lang: samples for (task, lang), samples in answers.items() if task == "choices"}
    if not by_lang or not all(by_lang.values()):
        return {}
    gold = [sample.expected for sample in next(iter(by_lang.values()))]
    figures = together({lang: [s.got for s in samples] for lang, samples in by_lang.items()}, gold)
    return {f"choices/{TOGETHER}/{metric}": figure for metric, figure in figures.items()}
