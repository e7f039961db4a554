"""What a set of a named suite is to the score stage, and the figures that all such sets share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from tongues.core.scores import TOGETHER, Measurement
from tongues.evaluation.metrics import mean, share, together
from tongues.evaluation.runner import Done, Runner
from tongues.evaluation.samples import Sample

ByLang = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True)
class Question:
    """What an item asks: language, id (the same for its translations), text without the words around it."""

    lang: str
    id: str
    text: str


class MeasuredSet(Protocol):
    """A set that was loaded and can be asked."""

    @property
    def name(self) -> str:
        """As it stands in measures."""

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it is asked in, BCP-47."""

    @property
    def sha256(self) -> str:
        """Digest of its items and of how they are asked."""

    @property
    def size(self) -> int:
        """Samples that it makes for one model."""

    def limited(self, items: int) -> Self:
        """The same set with at most so many items per language."""

    def questions(self) -> Iterator[Question]:
        """What is asked, for the search in training data."""

    def ask(
        self, model: Callable[[], Runner], langs: Sequence[str], max_new_tokens: int, done: Done
    ) -> list[Sample]:
        """Ask everything in these languages; every sample's task is the set's name."""

    def measure(self, answers: ByLang) -> dict[str, Measurement]:
        """Figures by ``language/metric``; language "all" for those over all of them."""

    def signature(self) -> dict[str, str]:
        """How it was measured, by what it is about."""


def choice_figures(answers: ByLang, *, aligned: bool) -> dict[str, Measurement]:
    """Accuracies per language and, where letters mean the same everywhere, consistency and AC3.

    Args:
        answers: samples by language.
        aligned: whether all languages have the same items and options in the same order.
    """
    found = dict[str, Measurement]()
    for lang, samples in answers.items():
        found[f"{lang}/accuracy"] = share([bool(s.correct) for s in samples])
        if all(s.correct_norm is not None for s in samples):
            found[f"{lang}/accuracy_norm"] = share([bool(s.correct_norm) for s in samples])
        if all(s.f1 is not None for s in samples):
            found[f"{lang}/f1"] = mean([s.f1 or 0.0 for s in samples])
    ids = {tuple(sample.id for sample in samples) for samples in answers.values()}
    if not aligned or len(ids) != 1 or not next(iter(ids)):
        return found
    gold = [sample.expected for sample in next(iter(answers.values()))]
    figures = together({lang: [s.got for s in samples] for lang, samples in answers.items()}, gold)
    return found | {f"{TOGETHER}/{metric}": figure for metric, figure in figures.items()}
