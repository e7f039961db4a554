"""Write the chart's README: its template with a table of all values, from the comments in values.yaml.

A value is documented by a comment right above it that starts with `# --`; the comment may go on over
further `#` lines. The default is what YAML says, so the table cannot drift from the file.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CHART = Path(__file__).resolve().parent / "tongues"
MARK = "<!-- values -->"
KEY_LINE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9]*):")
INDENT = 2


@dataclass(frozen=True, slots=True)
class Documented:
    """One row of the table.

    Args:
        path: dotted path of the value.
        text: what its comment says.
        default: the default as compact JSON.
    """

    path: str
    text: str
    default: str


def documented(chart: Path = CHART) -> list[Documented]:
    """All documented values of a chart, in the order of its values.yaml.

    Args:
        chart: the chart's folder.

    Raises:
        ValueError: a value stands without a comment.
    """
    source = (chart / "values.yaml").read_text(encoding="utf-8")
    values = YAML(typ="safe").load(source)
    rows = [
        Documented(path, text, json.dumps(_at(values, path), ensure_ascii=False))
        for path, text in _commented_keys(source)
    ]
    bare = sorted(set(_leaves(values, {row.path for row in rows})))
    if bare:
        raise ValueError(f"values.yaml: no '# --' comment above {', '.join(bare)}")
    return rows


def readme(chart: Path = CHART) -> str:
    """The README as it should be.

    Args:
        chart: the chart's folder.
    """
    template = (chart / "README.md.tmpl").read_text(encoding="utf-8")
    rows = [f"| `{row.path}` | {row.text} | `{_cell(row.default)}` |" for row in documented(chart)]
    table = "\n".join(["| value | meaning | default |", "|---|---|---|", *rows])
    return template.replace(MARK, table)


def _commented_keys(source: str) -> Iterator[tuple[str, str]]:
    """Each commented key's dotted path with its text."""
    path: list[str] = []
    comment: list[str] = []
    for line in source.splitlines():
        stripped = line.strip()
        if stripped.startswith("# --"):
            comment = [stripped.removeprefix("# --").strip()]
        elif stripped.startswith("#") and comment:
            comment.append(stripped.removeprefix("#").strip())
        elif match := KEY_LINE.match(line):
            path = [*path[: len(match["indent"]) // INDENT], match["key"]]
            if comment:
                yield ".".join(path), " ".join(comment)
            comment = []


def _leaves(values: Any, known: set[str], prefix: str = "") -> Iterator[str]:
    """Paths that neither are documented nor stand below a documented one."""
    if prefix in known:
        return
    if not isinstance(values, dict):
        yield prefix
        return
    for key, value in values.items():
        yield from _leaves(value, known, f"{prefix}.{key}" if prefix else key)


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values[key]
    return values


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the README, or with --check say whether it is up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when it is out of date")
    target = CHART / "README.md"
    wanted = readme()
    if not parser.parse_args().check:
        target.write_text(wanted, encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != wanted:
        print(f"{target} is out of date: run python helm/readme.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
