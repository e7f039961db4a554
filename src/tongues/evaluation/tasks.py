"""The tasks: from a suite's items to samples, all languages of a task in one go."""

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tongues.core.languages import language
from tongues.core.ports import Identify
from tongues.evaluation.answers import exact_match, f1, last_number
from tongues.evaluation.chains import AnswerFormat
from tongues.evaluation.items import LETTERS, ChoiceItem, CodeItem
from tongues.evaluation.likelihood import OptionScore
from tongues.evaluation.lines import line_languages
from tongues.evaluation.programs import Ended, ProgramTests, passes, program_in
from tongues.evaluation.runner import Done, Runner
from tongues.evaluation.samples import Sample
from tongues.evaluation.sandbox import Limits, open_sandbox
from tongues.evaluation.suite import Suite

PROMPT_FORMATS = {
    "choices": "sentence without its '...' + ' ' + option | 'Question: {question}\\nAnswer:' + ' ' + option",
    "translation": "Translate into {language}: {text}",
    "open": "{prompt}",
    "qa": "{context}\\n\\nAnswer with a few words of this text, in its language: {question}",
    "math": "{question}\\n\\nEnd with the answer as a number.",
    "code": "Complete this Python function. Answer with the whole function in one code block.\\n\\n"
    "```python\\n{prompt}\\n```",
}
"""How items become prompts; part of the settings digest, since other words give other scores."""
_TRAILING_DOTS = re.compile(r"\s*(\.\.\.|…)\s*$")


@dataclass(frozen=True, slots=True)
class Asking:
    """What a task needs to run.

    Args:
        model: gives the loaded model; called only when there is something to ask.
        suite: the items.
        identify: guesses the language of an answer.
        max_new_tokens: length limit of a plain answer.
        max_chain_tokens: length limit of a chain.
        answers: how the model is asked, and where its answer stands.
        max_code_tokens: length limit of a program.
        limits: of a program that is run.
        done: takes the number of items finished.
    """

    model: Callable[[], Runner]
    suite: Suite
    identify: Identify
    max_new_tokens: int
    max_chain_tokens: int
    answers: AnswerFormat
    done: Done
    max_code_tokens: int
    limits: Limits


def ask_choices(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Multiple choice by log-likelihood of the option's own text.

    The option is scored as the natural end of the sentence or as the answer to the question, not
    as a letter: small models cannot yet follow lettered options (their letter accuracy is at
    chance) while they do prefer the true ending.
    """
    items = [item for lang in langs for item in asking.suite.choices[lang]]
    prompts = [choice_prompt(item.question) for item in items]
    options = [[f" {option}" for option in item.choices] for item in items]
    scored = asking.model().choice_loglikelihoods(prompts, options, done=asking.done)
    return [_choice(i, p, s) for i, p, s in zip(items, prompts, scored, strict=True)]


def choice_prompt(question: str) -> str:
    """The text that an option continues: the open sentence itself, or a question and "Answer:"."""
    if _TRAILING_DOTS.search(question):
        return _TRAILING_DOTS.sub("", question)
    return f"Question: {question}\nAnswer:"


def _choice(item: ChoiceItem, prompt: str, scores: Sequence[OptionScore]) -> Sample:
    likeliest = _best([score.loglikelihood for score in scores])
    likeliest_norm = _best([score.per_character for score in scores])
    return Sample(
        task="choices",
        lang=item.lang,
        id=item.id,
        prompt=prompt,
        expected=item.answer,
        got=likeliest,
        correct=likeliest == item.answer,
        got_norm=likeliest_norm,
        correct_norm=likeliest_norm == item.answer,
        options=item.choices,
        loglikelihoods=tuple(score.loglikelihood for score in scores),
    )


def _best(values: Sequence[float]) -> str:
    """Letter of the largest value; the first one where two are equal."""
    return LETTERS[max(range(len(values)), key=values.__getitem__)]


@dataclass(frozen=True, slots=True)
class _Question:
    """One prompt whose answer is generated."""

    id: str
    lang: str
    prompt: str
    accepted: tuple[str, ...] = ()
    category: str = ""


def ask_translation(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Translate every sentence of the source language into each of the languages."""
    suite = asking.suite
    originals = suite.translation[suite.source_lang]
    questions = [
        _Question(item.id, lang, f"Translate into {language(lang).name}: {item.text}", (reference.text,))
        for lang in langs
        for item, reference in zip(originals, suite.translation[lang], strict=True)
    ]
    return [_identified(asking, sample) for sample in _answers(asking, "translation", questions)]


def ask_open(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Ask open questions in each language; what counts is whether the answer comes back in it."""
    items = [item for lang in langs for item in asking.suite.open[lang]]
    questions = [_Question(item.id, item.lang, item.prompt, category=item.category) for item in items]
    samples = [_identified(asking, sample) for sample in _answers(asking, "open", questions)]
    candidates = asking.suite.all_languages
    return [replace(s, line_langs=line_languages(s.got, candidates, asking.identify)) for s in samples]


def ask_qa(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Ask questions about texts, whose answers stand in them."""
    questions = [
        _Question(
            item.id,
            lang,
            f"{item.context}\n\nAnswer with a few words of this text, in its language: {item.question}",
            item.answers,
        )
        for lang in langs
        for item in asking.suite.qa[lang]
    ]
    return [
        replace(sample, correct=exact_match(sample.got, accepted, lang), f1=f1(sample.got, accepted, lang))
        for sample in _answers(asking, "qa", questions)
        for accepted, lang in [(sample.options, sample.lang)]
    ]


def ask_math(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Ask word problems; the last number of the answer is what was found."""
    questions = [
        _Question(item.id, lang, f"{item.question}\n\nEnd with the answer as a number.", item.answers)
        for lang in langs
        for item in asking.suite.math[lang]
    ]
    samples = _answers(asking, "math", questions)
    return [replace(sample, correct=_right_number(sample)) for sample in samples]


def _right_number(sample: Sample) -> bool:
    """The gold number is written as in English; the model's as in the language asked."""
    found = last_number(sample.got, sample.lang)
    return found is not None and found == last_number(sample.expected, "en")


def ask_code(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Have programs written and run them, and the set's own ones, against the set's tests.

    Raises:
        EvaluationError: this machine has no place to run them in.
    """
    items = {(lang, item.id): item for lang in langs for item in asking.suite.code[lang]}
    questions = [_Question(i.id, i.lang, _code_prompt(i.prompt)) for i in items.values()]
    limited = replace(asking, max_new_tokens=asking.max_code_tokens)
    samples = _answers(limited, "code", questions)
    run = partial(_run_program, limits=asking.limits)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        return list(pool.map(run, samples, items.values()))


def _code_prompt(prompt: str) -> str:
    return (
        "Complete this Python function. Answer with the whole function in one code block.\n\n"
        f"```python\n{prompt.rstrip()}\n```"
    )


def _run_program(sample: Sample, item: CodeItem, limits: Limits) -> Sample:
    own = f"{item.prompt.rstrip()}\n{item.solution}" if item.solution else ""
    tests = ProgramTests(item.entry_point, item.test, own)

    def ended(program: str | None) -> Ended:
        return passes(program, tests, open_sandbox(), limits) if program else "no-code"

    found = ended(program_in(sample.got, item.prompt, item.entry_point))
    return replace(sample, correct=found == "passed", ended=found, reference_ended=ended(own) if own else "")


def _answers(asking: Asking, task: str, questions: Sequence[_Question]) -> list[Sample]:
    """Plain answers and chains, each kind with its own length limit, in the order of the questions."""
    chained = [asking.answers.chained(question.lang) for question in questions]
    found: dict[int, Sample] = {}
    for kind, limit in ((False, asking.max_new_tokens), (True, asking.max_chain_tokens)):
        chosen = [number for number, is_chain in enumerate(chained) if is_chain is kind]
        if chosen:
            samples = _answered(asking, task, [questions[number] for number in chosen], limit)
            found.update(zip(chosen, samples, strict=True))
    return [found[number] for number in range(len(questions))]


def _answered(asking: Asking, task: str, questions: Sequence[_Question], limit: int) -> list[Sample]:
    worded = [asking.answers.worded(question.prompt, question.lang) for question in questions]
    texts = asking.model().generate(
        [prompt for _, prompt in worded],
        max_new_tokens=limit,
        systems=[system for system, _ in worded] if any(system for system, _ in worded) else (),
        done=asking.done,
    )
    return [
        Sample(
            task,
            question.lang,
            question.id,
            prompt,
            question.accepted[0] if question.accepted else "",
            options=question.accepted if task == "qa" else (),
            category=question.category,
            **_read(asking.answers, text, question.lang),
        )
        for question, (_, prompt), text in zip(questions, worded, texts, strict=True)
    ]


def _read(answers: AnswerFormat, text: str, lang: str) -> dict[str, Any]:
    """What counts of a text, and for a chain all of it and whether it could be read."""
    answer = answers.read(text, lang)
    chain = {"whole": text, "formatted": answer is not None} if answers.chained(lang) else {}
    return {"got": answer or "", **chain}


def _identified(asking: Asking, sample: Sample) -> Sample:
    guess = asking.identify(sample.got, asking.suite.all_languages)
    return replace(sample, guessed_lang=guess.lang, confidence=guess.confidence)
