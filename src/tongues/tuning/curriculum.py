"""A curriculum: which records each stage learns from, and that all stages can be run before one is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tongues.core.errors import PreflightError
from tongues.core.progress import Say
from tongues.core.recipe import StageSection, TakeSection, TuningSection
from tongues.core.records import Record
from tongues.tuning.eviction import Eviction
from tongues.tuning.pairs import encode_pairs, has_pair, no_pairs
from tongues.tuning.preflight import Prepared, prepare
from tongues.tuning.ranks import Ranks

Kind = Literal["supervised", "preference"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, ready to be run.

    Args:
        name: of its folder, and in the manifest.
        kind: what its loss is.
        section: the tuning section with this stage's rates.
        records: what it learns from.
        adapter: what becomes of the adapter of the stage before.
    """

    name: str
    kind: Kind
    section: TuningSection
    records: tuple[Record, ...]
    adapter: Literal["continue", "merge", "new"]


@dataclass(frozen=True, slots=True)
class Job:
    """What all stages of one run share.

    Args:
        base: folder of the base model.
        base_name: its name, for the adapter's config.
        out: folder for the result.
        validation: records every stage is watched on.
        seed: the recipe's.
        say: takes lines for the user.
        eviction: tells whether the machine is asked back.
        mirror_uri: where `out` stands in the object store; None where it is local.
        tokenised: folder shared between runs that keeps tokenised rows; None keeps them in memory.
        ranks: the processes that train, where it is not yet those that are here.
    """

    base: Path
    base_name: str
    out: Path
    validation: Sequence[Record]
    seed: int
    say: Say
    eviction: Eviction
    mirror_uri: str | None = None
    tokenised: Path | None = None
    ranks: Ranks = field(default_factory=Ranks.here)


def plan_stages(records: Sequence[Record], section: TuningSection) -> list[Stage]:
    """The stages of a recipe with their records.

    Args:
        records: the training split.
        section: the recipe's tuning section.

    Raises:
        PreflightError: a stage has no record, or preference is asked for and no record has a pair; all of
            them at once.
    """
    sections = section.stages or (StageSection(name="training"),)
    stages = [_supervised(one, section, records) for one in sections]
    problems = [_empty(stage, records) for stage in stages if not stage.records]
    if section.preference is not None:
        pairs = tuple(record for record in records if has_pair(record))
        rates = section.preference.model_dump(include={"learning_rate", "epochs", "max_steps"})
        alone = section.model_copy(update={"stages": (), **rates})
        stages.append(Stage("preference", "preference", alone, pairs, "continue"))
        problems += [] if pairs else [no_pairs([])]
    if problems:
        raise PreflightError(problems)
    return stages


def _supervised(one: StageSection, section: TuningSection, records: Sequence[Record]) -> Stage:
    given = one.model_dump(include={"learning_rate", "epochs", "max_steps"}, exclude_none=True)
    alone = section.model_copy(update={"stages": (), "preference": None, **given})
    taken = tuple(record for record in records if takes(one.take, record))
    return Stage(one.name, "supervised", alone, taken, one.adapter)


def takes(take: TakeSection, record: Record) -> bool:
    """Whether a record belongs to a stage."""
    methods = {record.method, record.method.split("/")[0]}
    return (
        (take.stages is None or record.meta.get("stage") in take.stages)
        and (take.methods is None or not methods.isdisjoint(take.methods))
        and (take.languages is None or record.lang in take.languages)
    )


def _empty(stage: Stage, records: Sequence[Record]) -> str:
    there = sorted({(r.meta.get("stage", "none"), r.method, r.lang) for r in records})
    told = "; ".join(f"stage {stage}, method {method}, {lang}" for stage, method, lang in there[:6])
    return (
        f"tuning.stages: {stage.name!r} takes none of the {len(records)} training records; there are: "
        f"{told}{'; ...' if len(there) > 6 else ''}. Change its `take`, or remove it"
    )


def check_stages(stages: Sequence[Stage], job: Job) -> list[Prepared]:
    """Make sure before the first step that every stage can be run; what supervised ones were prepared to.

    Raises:
        PreflightError: everything that is wrong in any of them.
    """
    prepared: list[Prepared] = []
    problems: dict[str, None] = {}
    for stage in stages:
        try:
            prepared += _check(stage, job)
        except PreflightError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise PreflightError(list(problems))
    return prepared


def _check(stage: Stage, job: Job) -> list[Prepared]:
    one = prepare(
        train_records=stage.records,
        validation_records=job.validation,
        base=job.base,
        out=job.out,
        section=stage.section,
        tokenised=job.tokenised,
        ranks=job.ranks,
    )
    if stage.kind == "supervised":
        return [one]
    tokens = stage.section.max_seq_tokens
    pairs, drops = encode_pairs(stage.records, one.tokenizer, max_seq_tokens=tokens)
    if not pairs:
        raise PreflightError([no_pairs(drops)])
    return []
