"""The dataset card: Markdown with the header that the Hugging Face Hub reads."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tongues import __version__
from tongues.core.languages import language
from tongues.core.manifest import write_atomically
from tongues.data.dataset_overview import Overview
from tongues.data.licences import demand
from tongues.data.splits import SPLITS

_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
_LARGER = "10M<n<100M"
_HUB_LICENCES = frozenset(
    [
        *("apache-2.0", "mit", "isc", "zlib", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "unlicense"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "wtfpl"),
        *("cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    ]
)
"""Licences that the Hub knows by their SPDX identifier in small letters."""


def write_card(overview: Overview, path: Path) -> None:
    """Write the card.

    Args:
        overview: what it says.
        path: of the file.
    """
    lines = [*_header(overview), "", *_body(overview), ""]
    write_atomically(path, "\n".join(lines).encode("utf-8", "backslashreplace"))


def _header(overview: Overview) -> list[str]:
    langs = overview.langs
    known = overview.licence.lower() in _HUB_LICENCES
    name = overview.licence.lower() if known else "other"
    return [
        "---",
        f"pretty_name: {overview.origin.name}",
        "language:",
        *(f'- "{code}"' for code in dict.fromkeys(lang.split("-")[0] for lang in langs)),
        "language_bcp47:",
        *(f'- "{lang}"' for lang in langs),
        f"license: {name}",
        *([] if known else [f'license_name: "{overview.licence}"']),
        f"size_categories:\n- {_size(overview.records)}",
        "task_categories:\n- text-generation",
        "tags:\n- instruction-tuning\n- multilingual\n- tongues",
        "configs:\n- config_name: default\n  data_files:",
        *(f'  - split: {split}\n    path: "{split}/part-*.parquet"' for split in _filled(overview)),
        "---",
    ]


def _filled(overview: Overview) -> list[str]:
    return [split for split in SPLITS if any(part.rows[split] for part in overview.parts)]


def _size(records: int) -> str:
    return next((name for limit, name in _SIZES if records < limit), _LARGER)


def _body(overview: Overview) -> list[str]:
    origin = overview.origin
    names = ", ".join(f"{language(lang).name} ({lang})" for lang in overview.langs)
    return [
        f"# Dataset of `{origin.name}`",
        "",
        f"{overview.records:,} conversations in {names}. Originals in {origin.source_lang}, translated by "
        f"{origin.engine}; seed {origin.seed}. Made with tongues {__version__}; `overview.html` has pictures "
        "and examples.",
        "",
        f"**Licence of the mix: {overview.licence}**, the strictest of its sources: "
        f"{demand(overview.licence)}. No legal advice.",
        "",
        *_table(
            ("source", "licence", "asks", "records"),
            [(o.dataset, o.name, o.asks, o.records) for o in overview.licences],
        ),
        "",
        "## Languages and methods",
        "",
        *_table(
            ("language", "method", *SPLITS, "characters: median, 95 %", "tokens"),
            [
                (p.lang, p.method, *(p.rows[split] for split in SPLITS), *_lengths(overview, number))
                for number, p in enumerate(overview.parts)
            ],
        ),
        *_left_out(overview),
    ]


def _lengths(overview: Overview, number: int) -> tuple[str, str]:
    lengths = {one.unit: one for one in overview.parts[number].lengths}
    _, _, median, _, high = lengths["characters"].quantiles
    tokens = f"{lengths['tokens'].total:,}" if "tokens" in lengths else "not counted"
    return f"{median:.0f}, {high:.0f}", tokens


def _left_out(overview: Overview) -> list[str]:
    lines: list[str] = []
    dropped = [(lang, why, rows) for lang, found in overview.drops.items() for why, rows in found.items()]
    if dropped:
        lines += ["", "## Left out", "", *_table(("language", "dropped because", "rows"), dropped)]
    if overview.duplicates:
        rows = [
            (one.lang, one.clusters.get("exact", 0), one.clusters.get("near", 0), one.records, one.largest)
            for one in overview.duplicates
        ]
        head = ("language", "exact clusters", "near clusters", "records in them", "largest")
        lines += ["", "## Duplicates", "", "One record of each cluster stays.", "", *_table(head, rows)]
    if overview.masked:
        masked = ", ".join(f"{count} {kind}" for kind, count in overview.masked.items())
        lines += ["", f"Personal data was replaced by placeholders: {masked}."]
    return lines


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (list(head), ["---"] * len(head), *cells)]
