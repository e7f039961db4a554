"""Licences: which may be trained on, and which is the strictest of a mix.

The table orders licences by how much they ask of whoever passes the data on. Its basis is the text of
each licence, read for four questions: may it be used commercially, must changes be shared alike,
must the author be named, is there anything to keep at all. It is no legal advice, and a licence that
the table does not know counts as the strictest, since nothing can be said of it.
"""

from collections.abc import Iterable

LEVELS = tuple(
    (asked, tuple(names.split()))
    for asked, names in (
        ("nothing is asked", "CC0-1.0 Unlicense PDDL-1.0 0BSD WTFPL MIT-0"),
        (
            "name the authors",
            "MIT BSD-2-Clause BSD-3-Clause ISC Zlib Apache-2.0 ODC-By-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 "
            "CC-BY-4.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0",
        ),
        (
            "share changes alike",
            "LGPL-2.1-only LGPL-3.0-only MPL-2.0 CDLA-Sharing-1.0 ODbL-1.0 GFDL-1.3-only CC-BY-SA-2.0 "
            "CC-BY-SA-2.5 CC-BY-SA-3.0 CC-BY-SA-4.0 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only "
            "GPL-3.0-or-later AGPL-3.0-only",
        ),
        ("no commercial use", "CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0"),
        (
            "no commercial use, share changes alike",
            "CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0",
        ),
        (
            "no changes may be passed on",
            "CC-BY-ND-3.0 CC-BY-ND-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0",
        ),
    )
)
"""What is asked, and the SPDX identifiers of licences that ask it, from the mildest to the strictest."""
_UNKNOWN = "not in the table of tongues: read it"


def demand(licence: str) -> str:
    """What a licence asks of whoever passes the data on."""
    level = _level(licence)
    return LEVELS[level][0] if level < len(LEVELS) else _UNKNOWN


def strictest(licences: Iterable[str]) -> str:
    """The licence that asks most; of several, the one that the table names last, then by name.

    Args:
        licences: SPDX identifiers, at least one.
    """
    return max(licences, key=lambda licence: (_level(licence), _place(licence), licence))


def _level(licence: str) -> int:
    levels = (level for level, (_, names) in enumerate(LEVELS) if licence in names)
    return next(levels, len(LEVELS))


def _place(licence: str) -> int:
    level = _level(licence)
    return LEVELS[level][1].index(licence) if level < len(LEVELS) else 0
