"""Sets that lm-evaluation-harness describes: its templates and metrics, our runners.

A task's own description is read from the harness, its rows from files or from the hub at a pinned revision.
The harness builds the requests and scores the answers; the model is asked through `Runner`, so the same
suite runs through transformers and through an endpoint, and what was answered is not asked again. Text is
generated as one user turn of the model's chat template, and cut at the task's own stops.
"""

import dataclasses
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tongues.core.digests import digest_value
from tongues.core.errors import EvaluationError
from tongues.core.scores import Measurement
from tongues.core.standard_suites import HARNESS_VERSION, StandardSet
from tongues.evaluation.drawing import drawn
from tongues.evaluation.harness_tasks import SHOTS_SEED, Rows, open_task, splits_of, template
from tongues.evaluation.items import LETTERS
from tongues.evaluation.runner import Done, Runner
from tongues.evaluation.samples import Sample
from tongues.evaluation.sets import ByLang, Question, choice_figures


@dataclass(frozen=True)
class HarnessSet:
    """One set in some languages, loaded; see `MeasuredSet`.

    Args:
        about: the set as its suite has it.
        tasks: language to the harness's tasks by name; several where a set has parts.
        rows_sha256: digest of the rows and examples, or of the hub's revision.
        limit: items per task; None for all.
    """

    about: StandardSet
    tasks: Mapping[str, Mapping[str, Any]]
    rows_sha256: str
    limit: int | None = None

    @property
    def name(self) -> str:
        """As it stands in measures."""
        return self.about.name

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages it is asked in."""
        return tuple(self.tasks)

    @property
    def sha256(self) -> str:
        """Digest of its rows, its task, and how many are asked."""
        return digest_value([self.about.model_dump(mode="json"), self.langs, self.rows_sha256, self.limit])

    @property
    def size(self) -> int:
        """Items over all languages."""
        return sum(len(chosen) for lang in self.tasks for chosen in self._chosen([lang]).values())

    def limited(self, items: int) -> "HarnessSet":
        """At most so many items of each task; of a set with parts, shared among them."""
        parts = max(len(tasks) for tasks in self.tasks.values())
        return dataclasses.replace(self, limit=-(-items // parts))

    def questions(self) -> Iterator[Question]:
        """The columns that the suite names; translations of an item have its id where the set tells them."""
        for lang, tasks in self.tasks.items():
            for name, chosen in self._chosen([lang]).items():
                docs = tasks[name].eval_docs
                for number in chosen:
                    text = " ".join(str(docs[number][column]) for column in self.about.task.asks)
                    yield Question(lang, self._item_id(lang, name, number, docs[number]), text)

    def _item_id(self, lang: str, task: str, number: int, row: Mapping[str, Any]) -> str:
        """One id for an item in all languages, where its place or its own id says which one it is."""
        part = f"{task}-" if len(self.about.task.parts) > 1 else ""
        if self.about.task.aligned or self.about.task.rows == "mgsm":
            return f"{part}{number}"
        return f"{part}{row['id']}" if "id" in row else f"{lang}/{part}{number}"

    def ask(
        self, model: Callable[[], Runner], langs: Sequence[str], max_new_tokens: int, done: Done
    ) -> list[Sample]:
        """Ask the tasks of these languages.

        Raises:
            EvaluationError: the harness wants something that no runner gives.
        """
        from lm_eval.evaluator import evaluate

        chosen = self._chosen(langs)
        tasks = {name: task for lang in langs for name, task in self.tasks[lang].items()}
        for task in tasks.values():
            task.set_fewshot_seed(seed=SHOTS_SEED)  # whatever was drawn before
        found = evaluate(
            lm=_language_model(model(), max_new_tokens, done),
            task_dict={"tasks": tasks, "groups": {}, "group_map": {}},
            samples=chosen,
            bootstrap_iters=0,
            log_samples=True,
        )
        return [
            self._sample(lang, name, one)
            for lang in langs
            for name in self.tasks[lang]
            for one in _counted(found["samples"][name], self.about.task.filter)
        ]

    def measure(self, answers: ByLang) -> dict[str, Measurement]:
        """Accuracy (of exact_match, the share that matches), per character, F1; see `choice_figures`."""
        return choice_figures(answers, aligned=self.about.task.aligned)

    def signature(self) -> dict[str, str]:
        """Task, version, template and shots."""
        how = f"{self.about.measured_by}; text {self.about.text}; {self.about.source}"
        templates = {lang: template(self.about, lang) for lang in self.tasks}
        return {self.name: how} | {f"template of {self.name}/{lang}": t for lang, t in templates.items()}

    def _chosen(self, langs: Sequence[str]) -> dict[str, list[int]]:
        return {
            name: drawn(len(task.eval_docs), self.limit)
            for lang in langs
            for name, task in self.tasks[lang].items()
        }

    def _sample(self, lang: str, task: str, one: Mapping[str, Any]) -> Sample:
        prompt = one["arguments"][0][0]
        part = f"{task}-" if len(self.about.task.parts) > 1 else ""
        shared = {"task": self.name, "lang": lang, "id": f"{part}{one['doc_id']}", "prompt": prompt}
        correct = bool(one[self.about.task.metric])
        if self.about.task.metric != "acc":
            f1 = float(one["f1"]) if "f1" in one else None
            got = str(one["filtered_resps"][0])
            return Sample(**shared, expected=str(one["target"]), got=got, correct=correct, f1=f1)
        sums = [float(answer[0]) for answer in one["filtered_resps"]]
        best = max(range(len(sums)), key=sums.__getitem__)
        norm = bool(one["acc_norm"]) if "acc_norm" in one else None
        return Sample(
            **shared,
            expected=LETTERS[int(one["target"])],
            got=LETTERS[best],
            correct=correct,
            correct_norm=norm,
            options=tuple(argument[1].strip() for argument in one["arguments"]),
            loglikelihoods=tuple(sums),
        )


def open_harness_set(
    about: StandardSet,
    rows: Mapping[str, Rows] | None = None,
    hub: tuple[str, str] | None = None,
    examples: Mapping[str, Rows] | None = None,
) -> HarnessSet:
    """Load a set, and build every request once, so that what is wrong shows before a model is asked.

    Args:
        about: the set.
        rows: language to rows as on the hub; None with `hub`.
        hub: name of the data set on the hub and its revision, for all languages that it has.
        examples: language to rows that the set's shots are drawn from; None with `hub`, and without shots.

    Raises:
        EvaluationError: the harness is missing or another release, a task is not what is pinned, or its rows
            lack the question.
    """
    _check_release()
    task, langs = about.task, list(rows) if rows is not None else list(about.languages)
    tasks = {
        lang: dict(
            open_task(about, lang, part, splits_of(task, part, lang, rows, examples), hub)
            for part in task.parts
        )
        for lang in langs
    }
    content: list[Any] = [hub] if rows is None else [{lang: list(found) for lang, found in rows.items()}]
    content += [{lang: list(found) for lang, found in examples.items()}] if examples else []
    return HarnessSet(about, tasks, digest_value(content))


def _check_release() -> None:
    try:
        found = importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError as error:
        raise EvaluationError(
            "lm-evaluation-harness is not installed", fix="install tongues[eval]"
        ) from error
    if found != HARNESS_VERSION:
        raise EvaluationError(
            f"lm-evaluation-harness is {found}, the suites pin {HARNESS_VERSION}", fix="install tongues[eval]"
        )


def _counted(samples: Sequence[Mapping[str, Any]], filter: str) -> list[Mapping[str, Any]]:
    """The reading of each answer that counts, in the order of the items."""
    found = [sample for sample in samples if sample["filter"] == filter]
    return sorted(found, key=lambda sample: int(sample["doc_id"]))


def _language_model(runner: Runner, max_new_tokens: int, done: Done) -> Any:
    """The runner as the harness's kind of model."""
    from lm_eval.api.model import LM

    class _Asked(LM):  # type: ignore[misc]
        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            pairs = [request.args for request in requests]
            grouped = [
                (prompt, [o for _, o in group]) for prompt, group in groupby(pairs, lambda pair: pair[0])
            ]
            prompts, options = [prompt for prompt, _ in grouped], [found for _, found in grouped]
            scored = runner.choice_loglikelihoods(prompts, options, done=done)
            # Whether an option is what the model would say itself enters none of the metrics that are pinned.
            return [(score.loglikelihood, False) for scores in scored for score in scores]

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            prompts = [request.args[0] for request in requests]
            texts = runner.generate(prompts, max_new_tokens=max_new_tokens, done=done)
            return [_cut(t, r.args[1].get("until", ())) for t, r in zip(texts, requests, strict=True)]

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
            raise EvaluationError("no set of a suite is scored by the likelihood of whole texts")

    return _Asked()


def _cut(text: str, stops: Sequence[str]) -> str:
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(ends, default=len(text))]
