"""Plan: what a run will do and take, before anything is spent."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from tongues.core.recipe import Recipe
from tongues.core.records import SourceRow
from tongues.core.shards import read_shards
from tongues.data.spans import SpanProtector
from tongues.inference.engine import Engine
from tongues.inference.ledger import Ledger
from tongues.methods.registry import author
from tongues.stages.fan_out import jobs
from tongues.stages.given import Given
from tongues.stages.ledger import open_ledger
from tongues.stages.preflight import preflight
from tongues.stages.prepare import prepare
from tongues.stages.workspace import Output, Workspace
from tongues.translation.chain import build_chain
from tongues.translation.plan import Estimate, Rate, estimate, measure_rate, sample_requests
from tongues.translation.selection import Selector

_SAMPLE_REQUESTS = 40


class LanguagePlan(BaseModel):
    """The translation of one language by its first engine; what it cannot do, later ones add.

    Args:
        lang: BCP-47 code.
        engine: name of the first engine.
        rows: rows to translate.
        skipped: rows that selection leaves out.
        segments: requests in them, repeated ones counted each time.
        characters: characters of these.
        in_ledger: distinct segments paid for already.
        requests: distinct segments to send.
        tokens_in: tokens to expect on the way in; 0 where the engine has no tokens.
        tokens_out: tokens to expect on the way out.
        seconds: time to expect, measured on a sample; 0 where nothing is to be sent.
        cost: money to expect, machine time included, by the recipe's prices.
        escalation_requests: requests to later engines if the sample's share of failures holds.
    """

    model_config = ConfigDict(frozen=True)
    lang: str
    engine: str
    rows: int
    skipped: int
    segments: int
    characters: int
    in_ledger: int
    requests: int
    tokens_in: int
    tokens_out: int
    seconds: float
    cost: float
    escalation_requests: int


class Plan(BaseModel):
    """The whole plan.

    Args:
        recipe_sha256: of the recipe.
        source_dropped: malformed source rows by reason.
        languages: what translation takes, per language.
        sample_segments: segments that were really translated to measure rates; the ledger keeps them.
        cost: money to expect, all languages together.
        warnings: limits of the recipe that this plan would pass, and what it leaves out.
    """

    model_config = ConfigDict(frozen=True)
    recipe_sha256: str
    source_dropped: dict[str, int]
    languages: tuple[LanguagePlan, ...]
    sample_segments: int
    cost: float
    warnings: tuple[str, ...]


def plan(given: Given, workspace: Workspace) -> Plan:
    """Count what is to be sent and measure it on a sample, whose answers the ledger keeps.

    Raises:
        PreflightError: the recipe cannot run here; lists everything that is wrong.
    """
    preflight(given, workspace)
    source = prepare(given, workspace)
    with open_ledger(workspace, "plan") as ledger:
        lines = [_language(given, source, ledger, lang) for lang in given.recipe.languages]
    languages = tuple(line for line, _ in lines)
    return Plan(
        recipe_sha256=given.recipe.digest(),
        source_dropped=source.manifest.tallies[given.recipe.source.lang].dropped,
        languages=languages,
        sample_segments=sum(rate.segments for _, rate in lines if rate),
        cost=round(sum(line.cost for line in languages), 6),
        warnings=tuple(_warnings(given, languages)),
    )


def _language(given: Given, source: Output, ledger: Ledger, lang: str) -> tuple[LanguagePlan, Rate | None]:
    recipe, pair = given.recipe, (given.recipe.source.lang, lang)
    section = recipe.translation
    engine = build_chain(given.located.translation, *pair)[0]
    protector, decide = SpanProtector.from_section(section), Selector(section.selection).decide
    counted = estimate(
        map(SourceRow.from_row, read_shards(source.folder / "rows")),
        engine=engine,
        source_lang=pair[0],
        target_lang=lang,
        ledger=ledger,
        protector=protector,
        decide=decide,
    )
    rate = None
    if counted.requests > 1:
        rows = map(SourceRow.from_row, read_shards(source.folder / "rows"))
        sample = sample_requests(
            rows, engine=engine, protector=protector, count=_SAMPLE_REQUESTS, decide=decide
        )
        if len(sample) > 1:
            rate = measure_rate(engine, sample, source_lang=pair[0], target_lang=lang, ledger=ledger)
    return _line(given, counted, engine, rate), rate


def _line(given: Given, counted: Estimate, engine: Engine, rate: Rate | None) -> LanguagePlan:
    seconds = counted.seconds(rate) if rate else 0.0
    tokens_in, tokens_out = counted.tokens(rate) if rate else (0, 0)
    cost = engine.price.cost(
        characters=counted.characters_to_send, prompt_tokens=tokens_in, completion_tokens=tokens_out
    )
    failing = rate.failed / rate.segments if rate and given.recipe.translation.escalate_to else 0.0
    return LanguagePlan(
        **counted.model_dump(exclude={"characters_to_send"}),
        engine=engine.name,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        seconds=round(seconds, 1),
        cost=round(cost + seconds / 3600 * engine.price.per_hour, 6),
        escalation_requests=round(counted.requests * failing),
    )


def _warnings(given: Given, languages: tuple[LanguagePlan, ...]) -> list[str]:
    """Budgets are shared out equally over jobs, so one dear language can reach its share alone."""
    budget, recipe = given.recipe.translation.budget, given.recipe
    share = recipe.translation.shards / len(jobs(recipe))  # of one language: that of all its shards
    warnings = []
    for line in languages:
        needs = {
            "cost": line.cost,
            "requests": line.requests,
            "tokens": line.tokens_in + line.tokens_out,
        }
        for name, needed in needs.items():
            limit = getattr(budget, name)
            if limit is not None and needed > limit * share:
                warnings.append(
                    f"{line.lang} needs about {needed:g} {name}, its share of translation.budget.{name} is "
                    f"{limit * share:g}: the run would stop there, to go on once it is raised"
                )
    return [*warnings, *_unplanned(recipe)]


def _unplanned(recipe: Recipe) -> Iterator[str]:
    """What a chat model writes hangs on its own answers, so that only a budget can bound it."""
    writing = [section.method for section in recipe.dataset.methods if author(section)]
    if writing and recipe.generation:
        budget = recipe.generation.budget
        limits = [
            f"{limit:g} {name}" for name in ("cost", "requests", "tokens") if (limit := getattr(budget, name))
        ]
        bound = (
            f"generation.budget ends it at {', '.join(limits)}"
            if limits
            else "generation.budget sets no limit"
        )
        yield f"what {', '.join(writing)} has a chat model write is not in these numbers; {bound}"
