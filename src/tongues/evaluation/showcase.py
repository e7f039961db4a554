"""The samples that a reader should look at: what got worse, what got better, what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from tongues.core.languages import UNDETERMINED, language, languages
from tongues.evaluation.compare import Answers
from tongues.evaluation.samples import Sample
from tongues.evaluation.suite import LETTERS

PER_LANGUAGE = 4


@dataclass(frozen=True, slots=True)
class Shown:
    """One text with what a browser needs to set it: language and direction.

    Args:
        text: as the model or the suite wrote it; the template escapes it.
        lang: BCP-47 code for the ``lang`` attribute; "" where it is not known.
        direction: "ltr", "rtl", or "auto", which goes by the first letter with a direction.
        note: a remark under the text, such as the language that was identified.
        good: whether it is what was asked for; None where that is not the question.
    """

    text: str
    lang: str
    direction: str = "auto"
    note: str = ""
    good: bool | None = None

    @classmethod
    def given(cls, text: str, lang: str, note: str = "", good: bool | None = None) -> Self:
        """A text of the suite, whose language is certain."""
        return cls(text, lang, language(lang).direction, note, good)


_NOTHING = Shown("", "")


@dataclass(frozen=True, slots=True)
class Pair:
    """One item with the answers of both models side by side.

    Args:
        id: of the item.
        why: the reason it is shown, such as "right before, wrong now".
        question: what was asked.
        expected: the right answer or the reference; empty for open questions.
        before: answer of the model compared with.
        after: answer of the candidate.
    """

    id: str
    why: str
    question: Shown
    expected: Shown
    before: Shown
    after: Shown


def changed_choices(before: Sequence[Sample], after: Sequence[Sample]) -> list[Pair]:
    """Questions whose verdict turned, losses first; right-to-wrong and wrong-to-right in halves."""
    pairs = list(zip(before, after, strict=True))
    lost = [p for p in pairs if p[0].correct and not p[1].correct][: PER_LANGUAGE // 2]
    won = [p for p in pairs if p[1].correct and not p[0].correct][: PER_LANGUAGE - len(lost)]
    reasons = ["right before, wrong now"] * len(lost) + ["wrong before, right now"] * len(won)
    return [
        Pair(
            b.id,
            why,
            Shown.given(b.prompt, b.lang),
            _option(b, b.expected),
            _option(b, b.got),
            _option(a, a.got),
        )
        for (b, a), why in zip([*lost, *won], reasons, strict=True)
    ]


def _option(sample: Sample, letter: str) -> Shown:
    at = LETTERS.index(letter)
    note = f"log-likelihood {sample.loglikelihoods[at]:.1f}"
    return Shown.given(f"{letter}. {sample.options[at]}", sample.lang, note, letter == sample.expected)


def changed_translations(before: Sequence[Sample], after: Sequence[Sample], source_lang: str) -> list[Pair]:
    """The translations whose sentence chrF++ fell most and rose most."""
    changes = [(_chrf(a) - _chrf(b), b, a) for b, a in zip(before, after, strict=True)]
    ranked = sorted(changes, key=lambda change: change[0])
    falls = [c for c in ranked[: PER_LANGUAGE // 2] if c[0] < 0]
    rises = [c for c in reversed(ranked[-(PER_LANGUAGE - len(falls)) :]) if c[0] > 0]
    return [
        Pair(
            b.id,
            f"sentence chrF++ {'fell' if delta < 0 else 'rose'} most",
            Shown.given(b.prompt, source_lang),
            Shown.given(b.expected, b.lang),
            _generated(b, f"chrF++ {_chrf(b):.0f}"),
            _generated(a, f"chrF++ {_chrf(a):.0f}"),
        )
        for delta, b, a in [*falls, *rises]
    ]


def _chrf(sample: Sample) -> float:
    return float(_sentence_chrf().sentence_score(sample.got, [sample.expected]).score)


@cache
def _sentence_chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=2)


def changed_answers(before: Sequence[Sample], after: Sequence[Sample]) -> list[Pair]:
    """Answers in words that were right and are wrong now, then the other way round."""
    pairs = list(zip(before, after, strict=True))
    lost = [p for p in pairs if p[0].correct and not p[1].correct][: PER_LANGUAGE // 2]
    won = [p for p in pairs if p[1].correct and not p[0].correct][: PER_LANGUAGE - len(lost)]
    reasons = ["right before, wrong now"] * len(lost) + ["wrong before, right now"] * len(won)
    return [
        Pair(b.id, why, Shown.given(b.prompt, b.lang), Shown.given(b.expected, b.lang), _said(b), _said(a))
        for (b, a), why in zip([*lost, *won], reasons, strict=True)
    ]


def _said(sample: Sample) -> Shown:
    note = sample.ended or ("right" if sample.correct else "wrong")
    return Shown(sample.got or "(no answer)", sample.lang, note=note, good=bool(sample.correct))


Rated = Mapping[str, float]


def open_answers(before: Sequence[Sample], after: Sequence[Sample], was: Rated, now: Rated) -> list[Pair]:
    """Open questions: answers that left the language asked first, then those whose rating fell most.

    Args:
        before: of the model compared with.
        after: of the candidate, the same questions.
        was: item to the judge's rating of the answer before; empty where nobody judged.
        now: the same of the candidate's.
    """

    def order(pair: tuple[Sample, Sample]) -> tuple[int, float]:
        name = pair[0].id
        return _open_order(pair), now.get(name, 0.0) - was.get(name, 0.0)

    return [
        Pair(
            b.id,
            _why_open(b, a),
            Shown.given(b.prompt, b.lang),
            _NOTHING,
            _generated(b, _rating(was, b)),
            _generated(a, _rating(now, a)),
        )
        for b, a in sorted(zip(before, after, strict=True), key=order)[:PER_LANGUAGE]
    ]


def _rating(ratings: Rated, sample: Sample) -> str:
    return f"rated {ratings[sample.id]:g}" if sample.id in ratings else ""


def _open_order(pair: tuple[Sample, Sample]) -> int:
    """No longer in the language asked, now in it, never in it, always in it."""
    was, is_now = (sample.in_asked_language for sample in pair)
    return [(True, False), (False, True), (False, False), (True, True)].index((was, is_now))


def _why_open(before: Sample, after: Sample) -> str:
    was, is_now = before.in_asked_language, after.in_asked_language
    if was == is_now:
        return "in the language asked, both times" if is_now else "in another language, both times"
    return "now in the language asked" if is_now else "no longer in the language asked"


def _generated(sample: Sample, more: str = "") -> Shown:
    known = sample.guessed_lang in languages()
    name = language(sample.guessed_lang).name if known else "language not known"
    note = f"{name}, {more}" if more else name
    lang = sample.guessed_lang if known and sample.guessed_lang != UNDETERMINED else ""
    return Shown(sample.got or "(no answer)", lang, note=note, good=sample.in_asked_language)


@dataclass(frozen=True, slots=True)
class Section:
    """The pairs of one task in one language."""

    lang: str
    task: str
    pairs: tuple[Pair, ...]


def showcase(langs: Sequence[str], source_lang: str, before: Answers, after: Answers) -> list[Section]:
    """Pick samples of every language and task that both models were asked.

    Args:
        langs: BCP-47 codes in the order to show.
        source_lang: language that translations start from.
        before: answers of the model compared with.
        after: answers of the candidate.
    """
    tasks = sorted({task for task, _ in after.samples}, key=lambda task: (task != "open", task))
    sections = []
    for lang in langs:
        ratings = before.ratings.get(lang, {}), after.ratings.get(lang, {})
        for task in tasks:
            old, new = (answers.samples.get((task, lang), ()) for answers in (before, after))
            if old and [s.id for s in old] == [s.id for s in new]:
                pairs = _picked(task, old, new, ratings, source_lang)
                sections += [Section(lang, task, tuple(pairs))] if pairs else []
    return sections


def _picked(
    task: str,
    old: Sequence[Sample],
    new: Sequence[Sample],
    ratings: tuple[Rated, Rated],
    source_lang: str,
) -> list[Pair]:
    if task == "open":
        return open_answers(old, new, *ratings)
    if task == "translation":
        return changed_translations(old, new, source_lang)
    return changed_choices(old, new) if new[0].loglikelihoods else changed_answers(old, new)
