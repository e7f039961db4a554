"""Which Apertium pairs this machine has: mode files, package versions, pipelines.

A mode file holds the pipeline of one direction, such as ``eng-spa.mode``. Names of modes are built
from two- or three-letter ISO 639 codes, older pairs from the former, newer ones from the latter.
"""

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tongues.core.digests import digest_value
from tongues.core.errors import EngineUnavailableError
from tongues.core.languages import languages

INSTALL = "apt-get install apertium apertium-eng-spa apertium-eng-cat apertium-en-gl apertium-eo-en"
_FRESH_TAGGER = Path(__file__).with_name("fresh_tagger.py")
_PROGRAM_TIMEOUT_S = 20


def data_folder() -> Path | None:
    """Where the mode files lie; None if Apertium is not installed.

    ``APERTIUM_DATADIR`` wins, as it does for the ``apertium`` command itself.
    """
    program = shutil.which("apertium-wblank-mode")
    if program is None:
        return None
    folder = os.environ.get("APERTIUM_DATADIR") or Path(program).parent.parent / "share" / "apertium"
    return Path(folder)


@cache
def installed_pairs(folder: Path) -> dict[tuple[str, str], Path]:
    """Installed directions whose languages the table knows: (source, target) to mode file."""
    by_iso = {iso: code for code in languages() for iso in _iso_codes(code)}
    found: dict[tuple[str, str], Path] = {}
    # Longer names first: where a pair is there under both kinds of code, the three-letter one is newer.
    for path in sorted((folder / "modes").glob("*.mode"), key=lambda p: (-len(p.stem), p.stem)):
        source, _, target = path.stem.partition("-")
        if source in by_iso and target in by_iso:
            found.setdefault((by_iso[source], by_iso[target]), path)
    return found


def _iso_codes(code: str) -> set[str]:
    """ISO 639-1 and 639-3 codes of a BCP-47 code; none where a script subtag says more than they could."""
    flores = languages()[code].flores
    return set() if "-" in code else {code, flores[:3]} - {""}


@cache
def pipeline(mode: Path) -> tuple[tuple[str, ...], ...]:
    """The commands of a mode's stages, in null-flush mode, with a fresh tagger for each segment.

    Raises:
        EngineUnavailableError: the tool that reads mode files fails.
    """
    done = subprocess.run(
        ["apertium-wblank-mode", "-z", str(mode)],
        capture_output=True,
        text=True,
        timeout=_PROGRAM_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise EngineUnavailableError(
            f"apertium-wblank-mode cannot read it (exit {done.returncode})", where=str(mode), fix=INSTALL
        )
    return tuple(_stage(shlex.split(stage)) for stage in done.stdout.strip().split(" | "))


def _stage(words: list[str]) -> tuple[str, ...]:
    # $1 is the generator's mode: -n leaves unknown words without marks. $2 is the tagger's: none.
    command = ["-n" if word == "$1" else word for word in words if word != "$2"]
    # Only the hidden-Markov tagger is tainted by what it saw before; the perceptron (-gx) is not.
    if command[0] == "apertium-tagger" and "-g" in command:
        return (sys.executable, "-I", "-S", str(_FRESH_TAGGER), *command)
    return tuple(command)


@cache
def data_version(mode: Path) -> str:
    """Package and version of the pair's data, such as "apertium-eng-spa 0.8.1-2".

    Where no Debian package owns the file, the digest of the pipeline stands in for the version.
    """
    owner = _dpkg("-S", str(mode)).partition(":")[0]
    version = _dpkg("-W", "-f", "${Version}", owner) if owner else ""
    return f"{owner} {version}" if version else f"{mode.stem} {digest_value(mode.read_text())[:12]}"


def _dpkg(*arguments: str) -> str:
    if shutil.which("dpkg-query") is None:
        return ""
    done = subprocess.run(
        ["dpkg-query", *arguments], capture_output=True, text=True, timeout=_PROGRAM_TIMEOUT_S, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""
