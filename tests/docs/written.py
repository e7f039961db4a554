"""What the pages say: their links, headings, code spans, blocks and command lines."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("sh", "console", "bash")
_BLOCK = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"""(?:\]\(|src=")(?!https?://|mailto:)([^)\s"]+)""")
_PROMPT = re.compile(r"^(?:\$ )?((?:[A-Z_]+=\S+ )*)")
_ENDS = re.compile(r"\s(?:\||\|\||&&|;|>|<|&)(?:\s.*)?$|\s#.*$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        language: what stands behind the fence; empty for none.
        text: its lines.
    """

    language: str
    text: str

    @property
    def typed(self) -> list[str]:
        """Lines that somebody types: all in a script; those behind a prompt where there is one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        prompted = [line for line in lines if line.startswith("$ ")]
        return prompted or (lines if self.language in SHELLS else [])


@dataclass(frozen=True)
class Page:
    """One page of the repository."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return _read(self.path)

    @property
    def prose(self) -> str:
        """Without blocks."""
        return _BLOCK.sub("", self.text)

    @property
    def blocks(self) -> list[Block]:
        return [Block(language, text) for _, language, text in _BLOCK.findall(self.text)]

    @property
    def spans(self) -> list[str]:
        """Code within lines; a span that the line's end divides is one."""
        return [" ".join(span.split()) for span in _SPAN.findall(self.prose)]

    @property
    def links(self) -> list[tuple[str, str]]:
        """File and anchor of each link that stays in the repository."""
        found = (link.partition("#") for link in _LINK.findall(self.prose))
        return [(file, anchor) for file, _, anchor in found]

    @property
    def anchors(self) -> set[str]:
        """Of its headings, as GitHub makes them."""
        slugs: dict[str, int] = {}
        return {_numbered(_slug(head), slugs) for head in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)}

    def commands(self, program: str) -> Iterator[list[str]]:
        """Arguments of each call of a program, also behind a path or variables: typed lines of its blocks."""
        for block in self.blocks:
            for line in block.typed:
                yield from _calls(line, program)


def pages() -> list[Page]:
    """Every page that git knows, or would if it were told."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return [Page(ROOT / name) for name in listed.stdout.split() if (ROOT / name).is_file()]


@cache
def all_but_pages() -> str:
    """The text of every other file that git knows, these tests left out."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    kept = [ROOT / name for name in listed if not name.endswith((".md", ".png", ".parquet"))]
    texts = [path for path in kept if path.is_file() and path.parent != ROOT / "tests" / "docs"]
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in texts)


def _calls(line: str, program: str) -> Iterator[list[str]]:
    """Each call in a line: one at its beginning, one behind a pipe or "&&", one in $(...)."""
    for part in re.split(r"\s(?:\|\||\||&&)\s|\$\(|^\s*for .*; do ", line.strip()):
        bare = _ENDS.sub("", _PROMPT.sub("", part.strip(), count=1))
        word = bare.partition(" ")[0]
        if word == program or word.endswith(f"/{program}"):
            yield _split(bare.removeprefix(word))


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # the rest of a $(...) or of a here-document
        return text.replace('"', "").replace(")", "").split()


def _slug(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def _numbered(slug: str, seen: dict[str, int]) -> str:
    seen[slug] = seen.get(slug, -1) + 1
    return f"{slug}-{seen[slug]}" if seen[slug] else slug


@cache
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
