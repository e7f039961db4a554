"""The overview of a data set as one page of HTML, plots included, without script or network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tongues import __version__
from tongues.core import pages
from tongues.core.languages import language
from tongues.data.dataset_overview import Overview
from tongues.data.statistics import Histogram

_TEMPLATES = Path(__file__).parent / "templates"
_COLOURS = 8
_WIDTH, _HEIGHT = 400.0, 90.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a bar: place and width in units of the plot, colour, and what it stands for."""

    x: float
    width: float
    colour: int
    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a histogram, in units of the plot."""

    x: float
    y: float
    width: float
    height: float
    title: str


def write_page(overview: Overview, path: Path) -> None:
    """Write the page.

    Args:
        overview: what it shows.
        path: of the file.
    """
    built, dropped = _built(overview), overview.drops
    pages.write_page(
        path,
        _TEMPLATES,
        "dataset.html.j2",
        overview=overview,
        language=language,
        version=__version__,
        built=stacked(built),
        built_colours=colours(built),
        dropped=stacked(dropped),
        dropped_colours=colours(dropped),
        columns={lang: columns(one) for lang, one in overview.histograms.items()},
        width=_WIDTH,
        height=_HEIGHT,
    )


def colours(rows: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """A colour for every name, the same in all bars."""
    names = sorted({name for counts in rows.values() for name in counts})
    return {name: place % _COLOURS for place, name in enumerate(names)}


def stacked(rows: Mapping[str, Mapping[str, int]]) -> dict[str, list[Piece]]:
    """One bar per language, all on one scale."""
    most = max((sum(counts.values()) for counts in rows.values()), default=1)
    colour = colours(rows)
    found: dict[str, list[Piece]] = {}
    for lang, counts in rows.items():
        x = 0.0
        for name, count in sorted(counts.items()):
            width = _WIDTH * count / most
            found.setdefault(lang, []).append(Piece(round(x, 2), round(width, 2), colour[name], name, count))
            x += width
    return found


def columns(histogram: Histogram) -> list[Column]:
    """The columns of a histogram, the highest as high as the plot."""
    most = max(histogram.rows)
    width = _WIDTH / len(histogram.rows)
    pairs: Sequence[tuple[float, float]] = list(zip(histogram.edges, histogram.edges[1:], strict=False))
    return [
        Column(
            round(place * width, 2),
            round(_HEIGHT * (1 - rows / most), 2),
            round(width - 1, 2),
            round(_HEIGHT * rows / most, 2),
            f"{low:.0f} to {high:.0f} {histogram.unit}: {rows:,} records",
        )
        for place, ((low, high), rows) in enumerate(zip(pairs, histogram.rows, strict=True))
    ]


def _built(overview: Overview) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for part in overview.parts:
        found.setdefault(part.lang, {})[part.method] = sum(part.rows.values())
    return found
