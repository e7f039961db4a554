"""The three tasks: from a suite's items to samples, all languages of a task in one go."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tongues.core.languages import language
from tongues.core.ports import Identify
from tongues.evaluation.greedy import Done
from tongues.evaluation.likelihood import OptionScore
from tongues.evaluation.model import LocalModel
from tongues.evaluation.samples import Sample
from tongues.evaluation.suite import LETTERS, ChoiceItem, OpenItem, Suite

PROMPT_FORMATS = {
    "choices": "sentence without its '...' + ' ' + option | 'Question: {question}\\nAnswer:' + ' ' + option",
    "translation": "Translate into {language}: {text}",
    "open": "{prompt}",
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
        max_new_tokens: length limit of an answer.
        done: takes the number of items finished.
    """

    model: Callable[[], LocalModel]
    suite: Suite
    identify: Identify
    max_new_tokens: int
    done: Done


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


def ask_translation(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Translate every sentence of the source language into each of the languages."""
    originals = asking.suite.translation[asking.suite.source_lang]
    items = [
        OpenItem(item.id, lang, f"Translate into {language(lang).name}: {item.text}")
        for lang in langs
        for item in originals
    ]
    references = [item.text for lang in langs for item in asking.suite.translation[lang]]
    return _answers(asking, "translation", items, references)


def ask_open(asking: Asking, langs: Sequence[str]) -> list[Sample]:
    """Ask open questions in each language; what counts is whether the answer comes back in it."""
    items = [item for lang in langs for item in asking.suite.open[lang]]
    return _answers(asking, "open", items, [""] * len(items))


def _answers(asking: Asking, task: str, items: Sequence[OpenItem], expected: Sequence[str]) -> list[Sample]:
    texts = asking.model().generate(
        [item.prompt for item in items], max_new_tokens=asking.max_new_tokens, done=asking.done
    )
    samples = []
    for item, want, text in zip(items, expected, texts, strict=True):
        guess = asking.identify(text, asking.suite.all_languages)
        samples.append(
            Sample(task, item.lang, item.id, item.prompt, want, text,
                   guessed_lang=guess.lang, confidence=guess.confidence)
        )  # fmt: skip
    return samples
