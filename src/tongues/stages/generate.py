"""Generate: what cannot be had by translation, written by a chat model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tongues.core.digests import RowsDigest
from tongues.core.drops import Drop
from tongues.core.ports import Identify
from tongues.core.progress import LineProgress
from tongues.core.recipe import GenerationSection, Recipe
from tongues.core.records import RECORD_SCHEMA, Record
from tongues.core.shards import write_shards
from tongues.core.store import AlignedStore
from tongues.data.checks import written_checks
from tongues.data.language_id import RestrictedIdentifier, tellable
from tongues.inference.budget import Budget
from tongues.inference.counts import EngineCounts
from tongues.inference.ledger import Ledger
from tongues.inference.writer import Writer
from tongues.methods.registry import author
from tongues.methods.writing import Desk
from tongues.stages.given import Given
from tongues.stages.ledger import open_ledger
from tongues.stages.ledger_use import list_used
from tongues.stages.passages import passage_inputs, passages_of
from tongues.stages.rows import Sorter
from tongues.stages.workspace import Output, Report, Workspace, fresh

ROWS = "rows"
_SCRATCH = "scratch"
_IN_KEY = {"model", "temperature", "max_output_tokens"}
"""Settings of the engine that change what it writes; addresses, prices and limits do not."""


def generate(given: Given, workspace: Workspace, store: Output) -> Output | None:
    """Have the methods that need it write their records; what the ledger holds is not asked again.

    Args:
        given: the recipe.
        workspace: where records and ledger are kept.
        store: output of gather.

    Returns:
        A folder with ``rows/`` (RECORD_SCHEMA) and ``dropped/`` (DROP_SCHEMA); None where no method of the
        recipe has anything written.

    Raises:
        PreflightError: there is less to write from than a method asks for.
        EngineError: the chat model is out of order; everything answered so far is in the ledger.
        BudgetError: a language's share of the budget is spent; the same holds.
    """
    recipe, section = given.recipe, given.located.generation
    authors = _authored(given.located)
    if not authors or section is None:
        return None

    def work(folder: Path) -> Report:
        fresh(folder)
        with open_ledger(workspace, f"generate-{folder.name}") as ledger:
            ledger.note_use()
            return _Desks(given, workspace, store, section, ledger, folder).report()

    params = {
        "methods": [one.model_dump(mode="json") for one in _authored(recipe)],
        "engine": section.engine.model_dump(mode="json", include=_IN_KEY),
        "languages": recipe.languages,
        "source_lang": recipe.source.lang,
        "seed": recipe.seed,
    }
    inputs: dict[str, Output | str] = {"store": store, **passage_inputs(authors, workspace)}
    return workspace.finish("generate", recipe=recipe, inputs=inputs, params=params, work=work)


def _authored(recipe: Recipe) -> list[Any]:
    """The sections of methods that write."""
    return [section for section in recipe.dataset.methods if author(section)]


class _Desks:
    """One language after the other: each has its writer, and its equal share of the budget."""

    def __init__(
        self,
        given: Given,
        workspace: Workspace,
        store: Output,
        section: GenerationSection,
        ledger: Ledger,
        folder: Path,
    ) -> None:
        self.given, self.workspace, self.section = given, workspace, section
        self.ledger, self.folder = ledger, folder
        self.digest, self.identify = RowsDigest(), RestrictedIdentifier()
        source_lang = given.recipe.source.lang
        self.languages = (source_lang, *given.recipe.languages)
        self.store = AlignedStore.load(
            store.folder / "rows", source_lang=source_lang, scratch=folder / _SCRATCH
        )
        self.counts: dict[str, EngineCounts] = {}

    def report(self) -> Report:
        """Write everything, and what the manifest says of it."""
        with Sorter(self.folder / "dropped") as sorter:
            kept = sorter.kept(self._written(), lang_of=lambda record: record.lang)
            write_shards(self.folder / ROWS, RECORD_SCHEMA, map(self._noted, kept))
        observed = {lang: counts.observed() for lang, counts in self.counts.items()}
        digest = self.digest.hexdigest()
        facts = list_used(self.ledger, self.folder)
        return Report(sorter.tallies, facts, observed, content_sha256=digest, leave=(_SCRATCH,))

    def _written(self) -> Iterator[Record | Drop]:
        for lang in self.languages:
            for number, method in enumerate(_authored(self.given.located), start=1):
                yield from self._by(method, f"{method.method}-{number}", lang)

    def _by(self, method: Any, name: str, lang: str) -> Iterator[Record | Drop]:
        """One entry of the recipe; several may have one method, so they are named by number too."""
        if write := author(method):
            writer = self._writer(lang, f"{self.folder.name}-{name}-{lang}")
            yield from write(method, self._desk(writer, method))
            self.counts[f"{name} {lang}"] = writer.counts

    def _writer(self, lang: str, account: str) -> Writer:
        share = 1 / (len(self.languages) * len(_authored(self.given.recipe)))
        spent = self.ledger.spent(account)
        budget = Budget(self.section.budget, share=share, spent=spent, account=account)
        return Writer(self.section.engine, self.ledger, budget, lang, replay_only=self.section.replay_only)

    def _desk(self, writer: Writer, method: Any) -> Desk:
        recipe, name = self.given.recipe, f"generate {method.method} {writer.lang}"
        return Desk(
            store=self.store,
            writer=writer,
            lang=writer.lang,
            languages=recipe.languages,
            source_lang=recipe.source.lang,
            seed=recipe.seed,
            identify=self._identify(writer.lang),
            progress=LineProgress(name, None, "items", say=self.workspace.say),
            checks=written_checks(),
            passages=passages_of(method, self.workspace, self.identify),
        )

    def _identify(self, lang: str) -> Identify:
        """A guess among those candidates that can be told from the language written in, and it."""
        return lambda text, candidates: self.identify(text, tellable(candidates, lang))

    def _noted(self, record: Record) -> dict[str, Any]:
        self.digest.add(record.id)
        return record.to_row()
