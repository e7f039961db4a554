"""The chain as a picture: one SVG file that needs nothing beside it."""

from collections import defaultdict
from html import escape

from tongues.promotion.lineage import Link

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 196, 46, 40, 14, 16
_COLOURS = {"file": "#f2f2f2", "folder": "#e3eefb", "registry": "#e6f4e6", "fault": "#fbe0de"}


def picture(last: Link, *, title: str, faulty: frozenset[str] = frozenset()) -> str:
    """Draw a chain from the source rows on the left to the model, or its endpoint, on the right.

    Args:
        last: the last link.
        title: stands above it.
        faulty: digests of links to draw in the colour of a fault.

    Returns:
        An SVG document; pointing at a box shows digest and place in full.
    """
    links = {link.digest: link for link in last.walk()}
    places = _places(last, links)
    width = max(x for x, _ in places.values()) + _WIDTH + _MARGIN
    height = max(y for _, y in places.values()) + _HEIGHT + _MARGIN
    arrows = [
        _arrow(places[given.digest], places[link.digest]) for link in links.values() for given in link.inputs
    ]
    boxes = [_box(link, *places[digest], faulty=digest in faulty) for digest, link in links.items()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="12" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{_MARGIN}" y="22" font-size="15" font-weight="600">{escape(title)}</text>\n'
        + "\n".join([*arrows, *boxes])
        + "\n</svg>\n"
    )


def _places(last: Link, links: dict[str, Link]) -> dict[str, tuple[int, int]]:
    """Left upper corner of each box: a column per longest way from a source, a row per link in it."""
    depths: dict[str, int] = {}
    _depth(last, depths)
    columns: dict[int, list[str]] = defaultdict(list)
    for digest in links:
        columns[depths[digest]].append(digest)
    return {
        digest: (_MARGIN + depth * (_WIDTH + _GAP_X), _MARGIN + 24 + row * (_HEIGHT + _GAP_Y))
        for depth, column in columns.items()
        for row, digest in enumerate(column)
    }


def _depth(link: Link, depths: dict[str, int]) -> int:
    if link.digest not in depths:
        depths[link.digest] = 1 + max((_depth(given, depths) for given in link.inputs), default=-1)
    return depths[link.digest]


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    bend = (x1 + x2) // 2
    return f'<path d="M{x1},{y1} C{bend},{y1} {bend},{y2} {x2},{y2}" fill="none" stroke="#8a8a8a"/>'


def _box(link: Link, x: int, y: int, *, faulty: bool) -> str:
    kind = "folder" if link.manifest else "registry" if link.inputs else "file"
    colour = _COLOURS["fault" if faulty or link.faults else kind]
    rows = f" · {link.manifest.rows_out} rows" if link.manifest and link.manifest.tallies else ""
    whole = escape(f"{link.name}\n{link.digest}\n{link.location or 'not held here'}")
    return (
        f'<g><title>{whole}</title><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'fill="{colour}" stroke="#6b6b6b"/>'
        f'<text x="{x + 9}" y="{y + 19}" font-weight="600">{escape(_short(link.name))}</text>'
        f'<text x="{x + 9}" y="{y + 36}" fill="#555">{link.digest[:12]}{rows}</text></g>'
    )


def _short(name: str) -> str:
    return name if len(name) <= 27 else f"{name[:26]}…"
