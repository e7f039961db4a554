"""Plan: what a run will do and take, before anything is spent."""

from pydantic import BaseModel, ConfigDict

from tongues.core.records import SourceRow
from tongues.core.shards import read_shards
from tongues.data.spans import SpanProtector
from tongues.stages.given import Given
from tongues.stages.preflight import preflight
from tongues.stages.prepare import prepare
from tongues.stages.translate import open_ledger
from tongues.stages.workspace import Output, Workspace
from tongues.translation.engine import Engine
from tongues.translation.engines import build_engine
from tongues.translation.ledger import Ledger
from tongues.translation.plan import Rate, estimate, measure_rate, sample_segments

_SAMPLE_SEGMENTS = 40
_SAMPLE_ROWS = 200


class LanguagePlan(BaseModel):
    """The translation of one language.

    Args:
        lang: BCP-47 code.
        rows: rows to translate.
        segments: segments in them.
        characters: characters of these.
        in_ledger: distinct segments paid for already.
        requests: distinct segments to send.
        seconds: time to expect, measured on a sample; 0 where nothing is to be sent.
    """

    model_config = ConfigDict(frozen=True)
    lang: str
    rows: int
    segments: int
    characters: int
    in_ledger: int
    requests: int
    seconds: float


class Plan(BaseModel):
    """The whole plan.

    Args:
        recipe_sha256: of the recipe.
        source_dropped: malformed source rows by reason.
        languages: what translation takes, per language.
        sample_segments: segments that were really translated to measure the rate.
    """

    model_config = ConfigDict(frozen=True)
    recipe_sha256: str
    source_dropped: dict[str, int]
    languages: tuple[LanguagePlan, ...]
    sample_segments: int


def plan(given: Given, workspace: Workspace) -> Plan:
    """Count what is to be sent and time it on a sample, whose answers the ledger keeps.

    Raises:
        PreflightError: the recipe cannot run here; lists everything that is wrong.
    """
    preflight(given, workspace)
    source = prepare(given, workspace)
    engine = build_engine(given.recipe.translation.engine)
    with open_ledger(workspace, "plan") as ledger:
        lines = [_language(given, source, engine, ledger, lang) for lang in given.recipe.languages]
    return Plan(
        recipe_sha256=given.recipe.digest(),
        source_dropped=source.manifest.tallies[given.recipe.source.lang].dropped,
        languages=tuple(line for line, _ in lines),
        sample_segments=sum(rate.segments for _, rate in lines if rate),
    )


def _language(
    given: Given, source: Output, engine: Engine, ledger: Ledger, lang: str
) -> tuple[LanguagePlan, Rate | None]:
    recipe = given.recipe
    protector = SpanProtector.from_section(recipe.translation)
    rows = [SourceRow.from_row(row) for row in read_shards(source.folder / "rows")]
    counted = estimate(
        rows,
        engine=engine,
        source_lang=recipe.source.lang,
        target_lang=lang,
        ledger=ledger,
        protector=protector,
    )
    rate = None
    if counted.requests:
        sample = sample_segments(rows[:_SAMPLE_ROWS], protector, _SAMPLE_SEGMENTS)
        pair = {"source_lang": recipe.source.lang, "target_lang": lang}
        rate = measure_rate(engine, sample, ledger=ledger, **pair) if len(sample) > 1 else None
    seconds = round(counted.seconds(rate), 1) if rate else 0.0
    fields = counted.model_dump(exclude={"characters_to_send"})
    return LanguagePlan(**fields, seconds=seconds), rate
