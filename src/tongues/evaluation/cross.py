"""Cross-MMLU, Cross-LogiQA and Cross-XQuAD: the same questions in several languages, answered in words.

The protocol is SeaEval's (arXiv 2309.04766) for instruction-tuned models: no examples, five wordings of the
instruction in English, the median of the five. An answer is mapped to an option by what it says: whole
options or "(A)" per sentence, by majority; then bare letters and options without their letter; else one
option drawn by the digest of item, language and wording, which `unmapped_rate` counts.
"""

import dataclasses
import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tongues.core.digests import digest_value
from tongues.core.errors import DataError
from tongues.core.languages import language
from tongues.core.scores import TOGETHER, Measurement
from tongues.core.standard_suites import StandardSet
from tongues.evaluation.drawing import drawn
from tongues.evaluation.items import LETTERS
from tongues.evaluation.metrics import share, together
from tongues.evaluation.runner import Done, Runner
from tongues.evaluation.samples import Sample
from tongues.evaluation.sets import ByLang, Question

WORDINGS = (
    "Answer the question by naming one of the choices.",
    "Choose the right answer to the following question.",
    "Which of the choices is correct? Give it as your answer.",
    "Read the question and pick the choice that answers it.",
    "Here is a question with several choices. Say which one is right.",
)
"""The five instructions, in words of our own."""
_LETTERED = re.compile(r"\s*[(（]([A-Z])[)）]\s*(.*)", re.DOTALL)
_MENTIONED = re.compile(r"[(（]([A-Z])[)）]")
_BARE = re.compile(r"(?<![A-Za-z])([A-Z])(?![A-Za-z])")
_SENTENCES = re.compile(r"[.!?。！？\n]+")
_CALLED = {"Chinese": "zh-Hans"}
"""Names of languages in these files that are not those of our table."""


@dataclass(frozen=True, slots=True)
class CrossItem:
    """One question in one language: context may be empty, options are without their letters."""

    id: str
    question: str
    options: tuple[str, ...]
    answer: str
    context: str = ""

    def prompt(self, wording: str) -> str:
        """What the model is asked."""
        choices = "\n".join(f"({letter}) {o}" for letter, o in zip(LETTERS, self.options, strict=False))
        context = f"Context:\n{self.context}\n\n" if self.context else ""
        return f"{wording}\n\n{context}Question:\n{self.question}\n\nChoices:\n{choices}\n\nAnswer:"


@dataclass(frozen=True)
class CrossSet:
    """One set in some languages, aligned by item; see `MeasuredSet`.

    Args:
        about: the set as its suite has it.
        items: language to items, in one order.
    """

    about: StandardSet
    items: Mapping[str, Sequence[CrossItem]]

    @property
    def name(self) -> str:
        """As it stands in measures."""
        return self.about.name

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it is asked in."""
        return tuple(self.items)

    @property
    def sha256(self) -> str:
        """Digest of items and wordings."""
        items = {lang: [dataclasses.asdict(item) for item in found] for lang, found in self.items.items()}
        return digest_value([self.name, WORDINGS, items])

    @property
    def size(self) -> int:
        """Items in all languages and wordings."""
        return len(WORDINGS) * sum(map(len, self.items.values()))

    def limited(self, items: int) -> "CrossSet":
        """At most so many items in each language, the same ones in all."""
        chosen = drawn(len(next(iter(self.items.values()))), items)
        return dataclasses.replace(self, items={la: [i[n] for n in chosen] for la, i in self.items.items()})

    def questions(self) -> Iterator[Question]:
        """The questions without context and choices; one id in all languages."""
        return (Question(lang, i.id, i.question) for lang, items in self.items.items() for i in items)

    def ask(
        self, model: Callable[[], Runner], langs: Sequence[str], max_new_tokens: int, done: Done
    ) -> list[Sample]:
        """Ask every question in every wording."""
        asked = [(lang, n, item) for lang in langs for n in range(len(WORDINGS)) for item in self.items[lang]]
        prompts = [item.prompt(WORDINGS[n]) for _, n, item in asked]
        texts = model().generate(prompts, max_new_tokens=max_new_tokens, done=done)
        return [
            self._sample(lang, n, item, prompt, text)
            for (lang, n, item), prompt, text in zip(asked, prompts, texts, strict=True)
        ]

    def measure(self, answers: ByLang) -> dict[str, Measurement]:
        """The median over the wordings of accuracy, consistency_s and AC3_s, and the share not mapped."""
        by_wording = [
            {lang: _in_wording(samples, n) for lang, samples in answers.items()} for n in range(len(WORDINGS))
        ]
        found = dict[str, Measurement]()
        for lang, samples in answers.items():
            found[f"{lang}/accuracy"] = _median([_accuracy(one[lang]) for one in by_wording])
            found[f"{lang}/unmapped_rate"] = share([not sample.got_norm for sample in samples])
        if answers:
            figures = [_together(one) for one in by_wording]
            found |= {f"{TOGETHER}/{m}": _median([one[m] for one in figures]) for m in figures[0]}
        return found

    def signature(self) -> dict[str, str]:
        """Protocol and source."""
        said = (
            f"no examples, median of {len(WORDINGS)} wordings, answers mapped by what they say; text "
            f"{self.about.text}; {self.about.source}"
        )
        return {self.name: said}

    def _sample(self, lang: str, wording: int, item: CrossItem, prompt: str, text: str) -> Sample:
        said = mapped(text, item.options)
        got = said or drawn_letter(f"{item.id} {lang} {wording}", len(item.options))
        return Sample(
            self.name, lang, f"{item.id}/{wording + 1}", prompt, item.answer, got, got == item.answer,
            got_norm=said or "", options=item.options, whole=text,
        )  # fmt: skip


def mapped(text: str, options: Sequence[str]) -> str | None:
    """The option that an answer names, as a letter; None where it names none, or several equally often.

    Args:
        text: the model's answer.
        options: without their letters.
    """
    letters = LETTERS[: len(options)]
    for named in (_whole, _bare):
        votes = Counter(
            letter
            for sentence in _SENTENCES.split(text)
            for letter in set(named(sentence, options))
            if letter in letters
        )
        best = votes.most_common(2)
        if best and (len(best) == 1 or best[0][1] > best[1][1]):
            return best[0][0]
    return None


def _whole(sentence: str, options: Sequence[str]) -> list[str]:
    whole = [a for a, option in zip(LETTERS, options, strict=False) if f"({a}) {option}" in sentence]
    return whole or _MENTIONED.findall(sentence)


def _bare(sentence: str, options: Sequence[str]) -> list[str]:
    plain = sentence.casefold()
    said = [a for a, option in zip(LETTERS, options, strict=False) if _within(option.casefold(), plain)]
    return said or _BARE.findall(sentence)


def _within(option: str, sentence: str) -> bool:
    return option.strip(" .。") in sentence


def drawn_letter(what: str, options: int) -> str:
    """The letter of an option, drawn by the digest of what it is drawn for."""
    return LETTERS[int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "big") % options]


def _in_wording(samples: Sequence[Sample], wording: int) -> list[Sample]:
    return [sample for sample in samples if sample.id.endswith(f"/{wording + 1}")]


def _accuracy(samples: Sequence[Sample]) -> Measurement:
    return share([bool(sample.correct) for sample in samples])


def _together(answers: Mapping[str, Sequence[Sample]]) -> dict[str, Measurement]:
    gold = [sample.expected for sample in next(iter(answers.values()))]
    return together({lang: [sample.got for sample in samples] for lang, samples in answers.items()}, gold)


def _median(found: Sequence[Measurement]) -> Measurement:
    """The measurement in the middle, with its own interval."""
    middle = statistics.median_low([one.value for one in found])
    return next(one for one in found if one.value == middle)


def read_cross(records: Sequence[Mapping[str, Any]], about: StandardSet, langs: Sequence[str]) -> CrossSet:
    """A set from SeaEval's records: an id, and under each language's English name its item.

    Args:
        records: as in the file.
        about: the set.
        langs: BCP-47 codes of the languages wanted.

    Raises:
        DataError: a record is broken, lacks a language, or its right letter is not the same in all.
    """
    items: dict[str, list[CrossItem]] = {lang: [] for lang in langs}
    for number, record in enumerate(records):
        by_lang = {_CALLED.get(name, name): item for name, item in record.items() if isinstance(item, dict)}
        try:
            found = {
                lang: _item(str(record.get("id", number)), by_lang.get(lang) or by_lang[language(lang).name])
                for lang in langs
            }
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            what = f"record {number} is not one of SeaEval ({type(error).__name__}: {error})"
            raise DataError(what, where=about.name) from error
        if len({(item.answer, len(item.options)) for item in found.values()}) != 1:
            raise DataError(f"record {number}: options are not aligned across languages", where=about.name)
        for lang, item in found.items():
            items[lang].append(item)
    if not records:
        raise DataError("no records", where=about.name)
    return CrossSet(about, items)


def _item(id: str, row: Mapping[str, Any]) -> CrossItem:
    options = [_option(choice) for choice in row["choices"]]
    answer, _ = _option(row["answer"])
    if [letter for letter, _ in options] != list(LETTERS[: len(options)]):
        raise ValueError(f"choices are not lettered (A), (B), ...: {row['choices']}")
    if answer not in LETTERS[: len(options)]:
        raise ValueError(f"the answer {row['answer']!r} is none of the choices")
    texts = tuple(text for _, text in options)
    return CrossItem(id, row["question"], texts, answer, row.get("context") or "")


def _option(choice: str) -> tuple[str, str]:
    found = _LETTERED.fullmatch(choice)
    if found is None:
        raise ValueError(f"no letter in {choice!r}")
    return found[1], found[2].strip()
