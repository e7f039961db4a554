"""Lineage: from a finished folder back to the source rows, each link by digest.

A manifest names its inputs by the digest of their manifests, or of a file that came from
outside. The chain is found by reading every manifest of a workspace once and following those
digests; `verify` hashes all files of the chain again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tongues.core.digests import digest_value
from tongues.core.errors import DataError
from tongues.core.manifest import MANIFEST_NAME, Manifest, parse_manifest

_SHORT = 12
LEDGER, LEDGER_FACT = "ledger", "ledger_sha256"
"""The link to the entries that a stage used, and the fact by which its manifest names their digest."""


class Reader(Protocol):
    """How lineage reaches a workspace, local or remote; see `tongues.promotion.lineage_store`."""

    def locations(self) -> Iterable[str]:
        """All folders of the workspace that hold a manifest."""

    def manifest_bytes(self, location: str) -> bytes:
        """The manifest file of one folder.

        Raises:
            DataError: there is none.
        """

    def digest_of(self, location: str) -> str | None:
        """Digest of a file; None where there is none."""

    def faults(self, location: str, manifest: Manifest) -> list[str]:
        """One line per file of the folder that is not as its manifest says."""

    def entry_faults(self, locations: Sequence[str]) -> list[str]:
        """One line per entry of the ledger that folders were made of and that is no longer as it was."""

    @property
    def ledger(self) -> str:
        """Where the workspace's ledger stands."""


@dataclass(frozen=True, slots=True)
class Link:
    """One thing in the chain.

    Args:
        name: what the reader of it called it, such as "dataset".
        digest: of its manifest, or of the file.
        location: folder, or file; empty where the workspace does not hold it.
        manifest: what the folder says of itself; None for a file, for what is missing, and for an entry of
            the registry.
        inputs: what it was made from.
        faults: one line per thing about it that was found not to hold while it was read.
    """

    name: str
    digest: str
    location: str
    manifest: Manifest | None
    inputs: tuple["Link", ...] = ()
    faults: tuple[str, ...] = ()

    def walk(self) -> Iterator["Link"]:
        """This link and all behind it, each digest once."""
        seen: set[str] = set()
        waiting = [self]
        while waiting:
            link = waiting.pop(0)
            if link.digest not in seen:
                seen.add(link.digest)
                yield link
                waiting.extend(link.inputs)


@dataclass
class Index:
    """All manifests of a workspace, by digest.

    Args:
        by_digest: digest to where it stands and what it says.
        broken: one line per manifest file that cannot be read.
    """

    by_digest: dict[str, tuple[str, Manifest]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def content(self, digest: str) -> str:
        """Content digest of what has that digest; a file's is the digest itself."""
        return self.by_digest[digest][1].content_sha256 if digest in self.by_digest else digest

    def orphans(self, chained: set[str]) -> list[str]:
        """One line per manifest outside the chain that none other reads: an altered one is there."""
        read = {digest for _, manifest in self.by_digest.values() for digest in manifest.inputs.values()}
        loose = (location for digest, (location, _) in self.by_digest.items() if digest not in read)
        loose = (location for location in loose if location not in chained)
        return [f"{location}/{MANIFEST_NAME}: perhaps changed (none reads it as it is)" for location in loose]

    @classmethod
    def read(cls, reader: Reader) -> "Index":
        """Read every manifest once."""
        index = cls()
        for location in reader.locations():
            try:
                content = reader.manifest_bytes(location)
                manifest = parse_manifest(content, where=f"{location}/{MANIFEST_NAME}")
            except DataError as error:
                index.broken.append(f"{location}/{MANIFEST_NAME}: changed ({error.what})")
                continue
            index.by_digest[manifest.digest()] = (location, manifest)
            times = manifest.times_sha256 in (None, manifest.times_digest())
            if content != manifest.to_json() or not times:
                index.broken.append(f"{location}/{MANIFEST_NAME}: changed (not as it was written)")
        return index


def chain(start: str, reader: Reader, *, index: Index | None = None, name: str = "") -> Link:
    """Follow a finished folder back to where it came from.

    Files from outside are found where the stage that read them noted them down (``observed.sources``).

    Args:
        start: the folder, such as the tuned model's.
        reader: the workspace that holds what it was made from.
        index: its manifests, where they have been read already.
        name: what to call it; its stage when absent.

    Returns:
        The last link; the others hang on its `inputs`.

    Raises:
        DataError: the folder has no readable manifest.
    """
    manifest = parse_manifest(reader.manifest_bytes(start), where=f"{start}/{MANIFEST_NAME}")
    index = index or Index.read(reader)
    index.by_digest[manifest.digest()] = (start, manifest)
    return _link(name or manifest.stage, manifest.digest(), index, {}, reader.ledger)


def _link(name: str, digest: str, index: Index, sources: Mapping[str, str], ledger: str) -> Link:
    """A digest cannot contain itself, so this ends."""
    if digest not in index.by_digest:
        return Link(name, digest, sources.get(name, ""), None)
    location, manifest = index.by_digest[digest]
    noted = manifest.observed.get("sources", {})
    inputs = tuple(_link(n, d, index, noted, ledger) for n, d in sorted(manifest.inputs.items()))
    used = manifest.facts.get(LEDGER_FACT)
    entries = (Link(LEDGER, used, ledger, None),) if used else ()
    return Link(name, digest, location, manifest, inputs + entries)


def digest_of_all(links: Iterable[Link]) -> str:
    """One digest for several ends of a chain."""
    return digest_value([link.digest for link in links])


def verify(last: Link, reader: Reader, *, expected: str = "") -> list[str]:
    """Hash everything in a chain again.

    Args:
        last: the chain, as `chain` returned it.
        reader: the same workspace.
        expected: digest the last manifest must have, as the model registry remembers it; nothing
            else vouches for the end of a chain.

    Returns:
        One line per fault, naming the file; empty if all is as it was written.
    """
    index = Index.read(reader)
    links = list(last.walk())
    chained = {link.location for link in links}
    faults: list[str] = []
    if expected and last.digest != expected:
        faults.append(f"{last.location}/{MANIFEST_NAME}: changed (not the one that was registered)")
    for link in links:
        faults += link.faults
        if link.manifest is not None:
            faults += reader.faults(link.location, link.manifest)
            faults += _lost_inputs(link, link.manifest, index, chained)
            faults += [line for line in index.broken if line.startswith(f"{link.location}/{MANIFEST_NAME}:")]
        elif link.location and not link.inputs and link.name != LEDGER:
            faults += _changed_source(link, reader.digest_of(link.location))
    if paid := [one.location for one in links if one.manifest and LEDGER_FACT in one.manifest.facts]:
        faults += reader.entry_faults(paid)
    return list(dict.fromkeys(faults))


def _changed_source(link: Link, actual: str | None) -> list[str]:
    if actual is None:
        return [f"{link.location}: missing"]
    if actual == link.digest:
        return []
    return [f"{link.location}: changed (sha256 {actual[:_SHORT]}, expected {link.digest[:_SHORT]})"]


def _lost_inputs(link: Link, manifest: Manifest, index: Index, chained: set[str]) -> list[str]:
    """Inputs whose manifest was altered or is gone.

    Nobody answers to their digest any more, but neither does anybody to that of a file from
    outside. The key tells them apart: it is made of the inputs' contents, and the content of a
    file is its digest.
    """
    lost = [name for name, digest in manifest.inputs.items() if digest not in index.by_digest]
    contents = {n: index.content(d) for n, d in manifest.inputs.items()}
    if _key(manifest, contents) == manifest.key:
        return []
    if not lost:
        return [f"{link.location}/{MANIFEST_NAME}: changed (its key does not follow from its inputs)"]
    for name in lost:
        for location, other in index.by_digest.values():
            if _key(manifest, contents | {name: other.content_sha256}) == manifest.key:
                return [f"{location}/{MANIFEST_NAME}: changed (another digest than {link.location} read)"]
    where = f"input {' or '.join(map(repr, lost))} of {link.location}"
    if suspects := index.broken or index.orphans(chained):
        return [f"{line}; it may be {where}" for line in suspects]
    return [f"{where}: missing (no manifest of the workspace has its digest)"]


def _key(manifest: Manifest, contents: Mapping[str, str]) -> str:
    """`tongues.core.manifest.work_key` as the version that wrote the manifest computed it."""
    return digest_value([manifest.stage, contents, manifest.params_sha256, manifest.code_version])[:20]


def render(last: Link) -> str:
    """The chain as a tree for a terminal; what stands in it twice is shown once."""
    shown: set[str] = set()
    return "\n".join(_lines(last, "", "", shown)) + "\n"


def _lines(link: Link, lead: str, below: str, shown: set[str]) -> Iterator[str]:
    yield f"{lead}{_label(link)}" + (" (shown above)" if link.digest in shown and link.inputs else "")
    if link.digest in shown:
        return
    shown.add(link.digest)
    for i, child in enumerate(link.inputs):
        last = i == len(link.inputs) - 1
        branch, rest = ("└── ", "    ") if last else ("├── ", "│   ")
        yield from _lines(child, f"{below}{branch}", f"{below}{rest}", shown)


def _label(link: Link) -> str:
    if link.manifest is None:
        if link.inputs:
            return f"{link.name}  {link.digest[:_SHORT]}  {link.location}".rstrip()
        place = link.location or "a file from outside, or missing here"
        return f"{link.name}  {link.digest[:_SHORT]}  {place}"
    rows = f"  {link.manifest.rows_out} rows" if link.manifest.tallies else ""
    return f"{link.name}  {link.digest[:_SHORT]}{rows}  {link.location}"
