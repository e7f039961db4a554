"""Judge: have a chat model rate the answers to open questions, and compare the candidate's with others'."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tongues.core.digests import canonical_json, digest_value
from tongues.core.manifest import write_atomically
from tongues.core.progress import LineProgress
from tongues.core.recipe.evaluation import JudgeSection
from tongues.core.scores import Measurement, Role, Scores
from tongues.evaluation.compare import ByTask, by_task
from tongues.evaluation.judge import PROTOCOL_SHA256
from tongues.evaluation.samples import Sample, read_samples
from tongues.evaluation.score import SAMPLES_FOLDER
from tongues.evaluation.suite import Suite
from tongues.evaluation.verdicts import compare_pairs, grade, rated, won, write_verdicts
from tongues.inference.budget import Budget
from tongues.inference.ledger import Ledger
from tongues.inference.writer import Writer
from tongues.stages.given import Given
from tongues.stages.ledger import open_ledger
from tongues.stages.workspace import Output, Report, Workspace

Work = Callable[[Path], Report]
Pairs = Sequence[tuple[Sample, Sample]]
VERDICTS_FOLDER, JUDGED_NAME = "verdicts", "judged.json"
_IN_KEY = {"model", "temperature", "max_output_tokens"}
_PROTOCOL = (
    "single grading 1..10, verdicts ending in [[x]]; of a chain the last segment; a missing answer is 1; "
    "unreadable verdicts asked again once; mean over items, bootstrap; arXiv 2306.05685, 2311.10797"
)
_PAIRS = "(wins + ties/2) / n; a win counts only if both orders agree; bootstrap; arXiv 2306.05685"


def judge(
    given: Given, workspace: Workspace, suite: Suite, scored: Mapping[Role, Output]
) -> dict[Role, tuple[Output, ...]]:
    """Judge the open answers of every model once, and compare the candidate's with each other model's.

    Args:
        given: the recipe; where its evaluation has no judge, nobody is asked.
        workspace: where verdicts and ledger are kept.
        suite: the questions.
        scored: the models' answers.

    Returns:
        Role to folders with ``verdicts/`` and ``judged.json``.

    Raises:
        EngineError, BudgetError: of the judge; all verdicts so far are in the ledger.
    """
    section = given.located.evaluation.judge
    if section is None or not suite.open:
        return {}
    found: dict[Role, tuple[Output, ...]] = {
        role: (_Judging(given, workspace, suite, section).single(role, output),)
        for role, output in scored.items()
    }
    judging = _Judging(given, workspace, suite, section)
    for role, output in scored.items() if section.pairwise else ():
        if judging.references:
            found[role] += (judging.against_references(output),)
        if role != "candidate" and "candidate" in scored:
            found["candidate"] += (judging.pairs(scored["candidate"], role, output),)
    return found


def with_judgements(scores: Scores, judged: Sequence[Output]) -> Scores:
    """The scores with what the judge's folders add to them."""
    measurements, signatures = dict(scores.measurements), dict(scores.signatures)
    for output in judged:
        found = json.loads((output.folder / JUDGED_NAME).read_bytes())
        measurements |= {n: Measurement.model_validate(m) for n, m in found["measurements"].items()}
        signatures |= found["signatures"]
    return scores.model_copy(update={"measurements": measurements, "signatures": signatures})


class _Judging:
    """One judge at work on one recipe's suite."""

    def __init__(self, given: Given, workspace: Workspace, suite: Suite, section: JudgeSection) -> None:
        self.given, self.workspace, self.suite, self.section = given, workspace, suite, section
        items = {(lang, i.id): i for lang, items in suite.open.items() for i in items}
        self.questions = {key: item.prompt for key, item in items.items()}
        self.references = {key: item.reference for key, item in items.items() if item.reference}

    def single(self, role: Role, scored: Output) -> Output:
        """Every answer by itself; equal answers of two models are judged once, by the ledger."""

        def work(folder: Path) -> Report:
            measurements: dict[str, Measurement] = {}
            with open_ledger(self.workspace, f"judge-{folder.name}") as ledger:
                for lang, samples in _open(scored).items():
                    writer, progress = (
                        self._writer(ledger, lang, folder),
                        self._progress(role, lang, len(samples)),
                    )
                    verdicts = grade(
                        self._asked(samples), samples, writer, self.section.engine.model, progress
                    )
                    write_verdicts(folder / VERDICTS_FOLDER / f"{lang}.parquet", verdicts)
                    figures = rated(verdicts, self.section.max_unreadable_share)
                    measurements |= {f"open/{lang}/{metric}": one for metric, one in figures.items()}
            return self._report(folder, measurements, {"judge": f"{self.section.engine.model}; {_PROTOCOL}"})

        return self._finish("judge", {"scored": scored}, work)

    def pairs(self, candidate: Output, role: Role, other: Output) -> Output:
        """The candidate's answers against another model's."""
        pairs = {
            lang: list(zip(mine, theirs, strict=True))
            for (lang, mine), theirs in zip(_open(candidate).items(), _open(other).values(), strict=True)
        }
        both: dict[str, Output | str] = {"candidate": candidate, "other": other}
        return self._compared(role, pairs, both)

    def against_references(self, scored: Output) -> Output:
        """A model's answers against the suite's reference answers, as in OMGEval (arXiv 2402.13524)."""
        pairs = {
            lang: [
                (s, dataclasses.replace(s, got=self.references[lang, s.id]))
                for s in samples
                if (lang, s.id) in self.references
            ]
            for lang, samples in _open(scored).items()
        }
        named: dict[str, Output | str] = {
            "candidate": scored,
            "references": digest_value(sorted(self.references.values())),
        }
        return self._compared("reference", {lang: both for lang, both in pairs.items() if both}, named)

    def _compared(self, other: str, pairs: Mapping[str, Pairs], inputs: dict[str, Output | str]) -> Output:
        def work(folder: Path) -> Report:
            measurements: dict[str, Measurement] = {}
            with open_ledger(self.workspace, f"judge-{folder.name}") as ledger:
                for lang, both in pairs.items():
                    writer = self._writer(ledger, lang, folder)
                    progress = self._progress(other, lang, 2 * len(both))
                    asked = self._asked([mine for mine, _ in both])
                    found = compare_pairs(asked, both, writer, self.section.engine.model, progress)
                    flat = [verdict for orders in found for verdict in orders]
                    write_verdicts(folder / VERDICTS_FOLDER / f"{lang}.parquet", flat)
                    figures = won(found, other, self.section.max_unreadable_share)
                    measurements |= {f"open/{lang}/{metric}": one for metric, one in figures.items()}
            return self._report(folder, measurements, {f"win_rate_{other}": _PAIRS})

        return self._finish(f"judge-against-{other}", inputs, work)

    def _asked(self, samples: Sequence[Sample]) -> list[str]:
        """The questions as the suite has them, without what a chain's request adds."""
        return [self.questions[sample.lang, sample.id] for sample in samples]

    def _writer(self, ledger: Ledger, lang: str, folder: Path) -> Writer:
        account = f"judge-{folder.name}-{lang}"
        share, spent = 1 / len(self.suite.open), ledger.spent(account)
        budget = Budget(self.section.budget, share=share, spent=spent, account=account)
        return Writer(self.section.engine, ledger, budget, lang, replay_only=self.section.replay_only)

    def _progress(self, role: str, lang: str, total: int) -> LineProgress:
        return LineProgress(f"judge {role} {lang}", total, "verdicts", say=self.workspace.say)

    def _report(self, folder: Path, found: dict[str, Measurement], signatures: dict[str, str]) -> Report:
        values = {name: figure.model_dump(mode="json") for name, figure in found.items()}
        content = canonical_json({"measurements": values, "signatures": signatures})
        write_atomically(folder / JUDGED_NAME, content)
        return Report(facts={"measurements": len(found)})

    def _finish(self, stage: str, inputs: dict[str, Output | str], work: Work) -> Output:
        params = {
            "engine": self.section.engine.model_dump(mode="json", include=_IN_KEY),
            "max_unreadable_share": self.section.max_unreadable_share,
            "protocol": PROTOCOL_SHA256,
        }
        return self.workspace.finish(stage, recipe=self.given.recipe, inputs=inputs, params=params, work=work)


def _open(scored: Output) -> dict[str, Sequence[Sample]]:
    """Open answers by language."""
    samples: ByTask = by_task(read_samples(scored.folder / SAMPLES_FOLDER))
    return {lang: found for (task, lang), found in samples.items() if task == "open"}
