"""What gather knows of all translations, and the report it writes from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tongues.core.manifest import Tally, write_atomically
from tongues.core.records import AlignedRow
from tongues.core.shards import read_shards
from tongues.data.language_id import untellable
from tongues.stages.workspace import Output
from tongues.translation.quality import Quality
from tongues.translation.report import LanguageLine, RowStatistics, TranslationReport, language_line
from tongues.translation.report_pages import to_markdown, write_html

HTML_NAME, MARKDOWN_NAME, JSON_NAME = "report.html", "report.md", "report.json"


class Gathered:
    """Counts of the rows that went into the store.

    Args:
        source_lang: BCP-47 code.
        by_lang: language to its outputs of translate.
    """

    def __init__(self, source_lang: str, by_lang: Mapping[str, Sequence[Output]]) -> None:
        self.source_lang, self.by_lang = source_lang, by_lang
        self.tallies: dict[str, Tally] = {}
        self.statistics = {lang: RowStatistics() for lang in by_lang}

    def add(self, row: AlignedRow) -> None:
        """Count one row."""
        self.tallies.setdefault(row.lang, Tally()).keep()
        if row.lang in self.statistics:
            self.statistics[row.lang].add(row)

    def line(
        self,
        lang: str,
        quality: Sequence[Quality],
        originals: Mapping[str, AlignedRow],
        weak: Mapping[str, str],
    ) -> LanguageLine:
        """The report's line of one language."""
        rows = Tally()
        for output in self.by_lang[lang]:
            rows.add(output.manifest.tallies.get(lang, Tally()))
        return language_line(
            lang,
            rows=rows,
            observed=[output.manifest.observed for output in self.by_lang[lang]],
            seconds=sum(output.manifest.wall_s for output in self.by_lang[lang]),
            statistics=self.statistics[lang],
            originals=originals,
            drops=(row for o in self.by_lang[lang] for row in read_shards(o.folder / "dropped")),
            quality=quality,
            cannot_tell=weak.get(lang, ""),
        )


def write_reports(
    folder: Path, recipe_name: str, gathered: Gathered, quality: Mapping[str, Sequence[Quality]], rows: Path
) -> TranslationReport:
    """Write the report as HTML, Markdown and JSON.

    Args:
        folder: where they go.
        recipe_name: for the title.
        gathered: counts of all rows.
        quality: language to what was measured.
        rows: the store's rows, for the originals of the examples.
    """
    langs = list(gathered.by_lang)
    originals = _originals(rows, gathered)
    weak = untellable([gathered.source_lang, *langs])
    report = TranslationReport(
        recipe=recipe_name,
        source_lang=gathered.source_lang,
        languages=tuple(gathered.line(lang, quality.get(lang, ()), originals, weak) for lang in langs),
    )
    write_html(report, folder / HTML_NAME)
    write_atomically(folder / MARKDOWN_NAME, to_markdown(report).encode())
    write_atomically(folder / JSON_NAME, report.model_dump_json(indent=2).encode())
    return report


def _originals(rows: Path, gathered: Gathered) -> dict[str, AlignedRow]:
    """The source rows of all examples; they stand first in the store."""
    wanted = {r.group for s in gathered.statistics.values() for r in (*s.random, *s.lowest)}
    found: dict[str, AlignedRow] = {}
    for row in read_shards(rows):
        if row["lang"] != gathered.source_lang or len(found) == len(wanted):
            break
        if row["group"] in wanted:
            found[row["group"]] = AlignedRow.from_row(row)
    return found
