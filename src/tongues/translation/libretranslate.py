"""Translation by a LibreTranslate server over HTTP.

Source: the API of LibreTranslate, docs.libretranslate.com (POST /translate, GET /languages). A server states
no limits; what is too long for it, it refuses with 400.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from tongues.core.digests import digest_value
from tongues.core.errors import EngineUnavailableError
from tongues.core.languages import languages
from tongues.core.progress import Say, say_on_stderr
from tongues.core.recipe import EndpointSection, LibreTranslateEngine
from tongues.core.records import Step
from tongues.inference.endpoint_check import fetch_json, missing_pair, problems_of
from tongues.translation.batch_service import BatchService

# By BCP-47; all others have the same name here and there.
_NAMES = {"zh-Hans": "zh", "zh-Hant": "zt", "no": "nb", "fil": "tl"}
_PARAMS = {"format": "text"}


class LibreTranslate(BatchService):
    """The engine.

    Args:
        section: the recipe's settings.
        first_wait_s: see `HttpEngine`.
        say: takes a line when an endpoint is put out, is down, or answers again.

    Raises:
        EngineUnavailableError: the environment variable named for a key is not set.
    """

    name = "libretranslate"
    path = "/translate"
    request_characters = 5_000

    def __init__(
        self, section: LibreTranslateEngine, *, first_wait_s: float = 0.5, say: Say = say_on_stderr
    ) -> None:
        super().__init__(section, first_wait_s=first_wait_s, say=say)
        self._section = section

    @property
    def batch_segments(self) -> int:
        """Segments in one request."""
        return self._section.batch_rows

    def supports(self, source: str, target: str) -> bool:
        """Whether a server lists the pair; asks for the list once.

        Raises:
            EngineUnavailableError: no endpoint answers.
        """
        return (source, target) in self._served

    def pairs(self) -> list[tuple[str, str]]:
        """The pairs that a server lists; see `supports`."""
        return sorted(self._served)

    def step(self, source: str, target: str) -> Step:
        """Models have no names here: the server has one for each pair."""
        return Step(
            op="translate",
            engine=self.name,
            model=f"{source}-{target}",
            prompt_sha256="",
            params_sha256=digest_value(_PARAMS),
        )

    def sign(self, key: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        """The key goes into the body: the server looks for it nowhere else."""
        body["api_key"] = key

    def body_of(self, texts: Sequence[str], source: str, target: str) -> dict[str, Any]:
        """As the API has it."""
        return {"q": list(texts), "source": libre_code(source), "target": libre_code(target), **_PARAMS}

    def translations_in(self, document: Any) -> list[Any]:
        """``translatedText``: a list, because a list was sent."""
        answers: list[Any] = document["translatedText"]
        return answers

    @cached_property
    def _served(self) -> set[tuple[str, str]]:
        *others, last = self._section.endpoints
        for endpoint in others:
            try:
                return _pairs_of(endpoint)
            except EngineUnavailableError:
                continue  # another one may answer; the check before the run names the one that does not
        return _pairs_of(last)


def libre_code(code: str) -> str:
    """What LibreTranslate calls a language, given by its BCP-47 code."""
    return _NAMES.get(code, code)


def libretranslate_problems(section: LibreTranslateEngine, source: str, targets: Sequence[str]) -> list[str]:
    """What is wrong with endpoints and languages; asks each endpoint for its languages only."""

    def ask(endpoint: EndpointSection) -> list[str]:
        served = _pairs_of(endpoint)
        known = f"it has {', '.join(f'{s}-{t}' for s, t in sorted(served)[:20]) or 'none'}"
        lacking = [target for target in targets if (source, target) not in served]
        return [missing_pair(endpoint.base_url, source, target, known) for target in lacking]

    return problems_of(section.endpoints, ask, "LibreTranslate server")


def _pairs_of(endpoint: EndpointSection) -> set[tuple[str, str]]:
    """The pairs that a server lists, in BCP-47; newer servers list Chinese by its BCP-47 codes.

    Raises:
        EngineUnavailableError: no list comes from there.
        KeyError, TypeError: what comes is no such list.
    """
    ours = {name: code for code in languages() for name in (code, libre_code(code))}
    return {
        (ours[row["code"]], ours[target])
        for row in fetch_json(endpoint, "/languages", {})
        for target in row["targets"]
        if row["code"] in ours and target in ours and row["code"] != target
    }
