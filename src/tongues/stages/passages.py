"""Native texts for the methods that write from them: found, fetched, and their digests for the manifest."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tongues.core.digests import digest_file, digest_value
from tongues.core.errors import DataError
from tongues.core.ports import Passages
from tongues.core.recipe import PassageFile, PassagesSection, ReverseMethod, UltraLinkMethod
from tongues.data.documents import Rows, read_rows
from tongues.data.language_id import RestrictedIdentifier
from tongues.data.passages import CutTexts, WholeTexts
from tongues.methods.writing import no_passages
from tongues.platform import storage
from tongues.platform.hub_datasets import is_hub, stream_rows
from tongues.stages.workspace import Workspace


def passages_of(method: Any, workspace: Workspace, identify: RestrictedIdentifier) -> Passages:
    """What a method writes from: passages cut to size, whole texts, or nothing.

    Args:
        method: its part of the recipe, with absolute URIs.
        workspace: where remote files are kept while they are read.
        identify: language identification.
    """
    reader = _Reader(workspace)
    if (cut := _cut(method)) is not None:
        return CutTexts(cut, reader.rows, identify, reader.words(cut.blocked_words_uri))
    files = files_of(method)
    return WholeTexts(files, reader.rows) if files else no_passages


def files_of(method: Any) -> Sequence[PassageFile]:
    """The native texts that a method's part of the recipe names."""
    if (cut := _cut(method)) is not None:
        return cut.files
    return method.passages if isinstance(method, ReverseMethod) else ()


def passage_inputs(methods: Sequence[Any], workspace: Workspace) -> dict[str, str]:
    """Name to digest of every native text and word list, for the key of the stage.

    A data set of the hub counts by its address, whose revision should be a commit.
    """
    reader = _Reader(workspace)
    files = [file for method in methods for file in files_of(method)]
    lists = [cut.blocked_words_uri for method in methods if (cut := _cut(method)) and cut.blocked_words_uri]
    named = {f"passages-{number}": reader.digest(file.uri) for number, file in enumerate(files, start=1)}
    return named | {f"blocked-{number}": reader.digest(uri) for number, uri in enumerate(lists, start=1)}


def passage_problems(methods: Sequence[Any]) -> list[str]:
    """One line for every file that is not there; nothing is fetched, the hub is not asked."""
    uris = [file.uri for method in methods for file in files_of(method)]
    uris += [cut.blocked_words_uri for method in methods if (cut := _cut(method)) and cut.blocked_words_uri]
    return [f"passages: no such file or folder: {uri}" for uri in dict.fromkeys(uris) if not _is_there(uri)]


def _cut(method: Any) -> PassagesSection | None:
    if isinstance(method, UltraLinkMethod) and method.dialogues is not None:
        return method.dialogues.passages
    return None


def _is_there(uri: str) -> bool:
    return is_hub(uri) or storage.exists(uri) or bool(_members(uri))


def _members(uri: str) -> list[str]:
    """Names below a folder; none where there is no folder."""
    path = storage.local_path(uri)
    return storage.list_names(uri) if path is None or path.is_dir() else []


class _Reader:
    """Fetches files once and reads them as often as they are asked for."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def rows(self, file: PassageFile) -> Rows:
        """The rows of a file, a folder or a data set, from the start."""
        return stream_rows(file.uri) if is_hub(file.uri) else self._local_rows(file)

    def digest(self, uri: str) -> str:
        """Digest of all that stands at a URI."""
        if is_hub(uri):
            return digest_value(uri)
        return digest_value([[path.name, digest_file(path)] for path in self._paths(uri)])

    def words(self, uri: str | None) -> tuple[str, ...]:
        """The lines of a word list; blank ones do not count."""
        if uri is None:
            return ()
        path = storage.fetch_file(uri, self._at(uri))
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"not UTF-8 (byte {error.start})", where=uri, fix="save it as UTF-8") from None
        return tuple(line.strip() for line in lines if line.strip())

    def _local_rows(self, file: PassageFile) -> Iterator[tuple[str, Any]]:
        yield from read_rows(self._paths(file.uri), file)

    def _paths(self, uri: str) -> list[Path]:
        """The file, or the files of a folder in the order of their names, on this disk."""
        names = [] if storage.exists(uri) else _members(uri)
        uris = [storage.join(uri, name) for name in names] or [uri]
        return [storage.fetch_file(one, self._at(one)) for one in uris]

    def _at(self, uri: str) -> Path:
        """Where a remote file is kept; two of one name in different places do not meet."""
        return self._workspace.local / "downloads" / digest_value(uri)[:12] / Path(uri).name
