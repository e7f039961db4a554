"""Translation by Google Cloud Translation, basic edition (v2), over HTTP.

Sources: cloud.google.com/translate/docs/reference/rest/v2/translate (the request, at most 128 segments) and
cloud.google.com/translate/quotas (at most 100 kB in one request, best up to 5,000 characters; a quota that is
used up is a 403 that says so).
"""

from collections.abc import Sequence
from typing import Any

from tongues.core.digests import digest_value
from tongues.core.languages import languages
from tongues.core.progress import Say, say_on_stderr
from tongues.core.recipe import EndpointSection, GoogleEngine
from tongues.core.records import Step
from tongues.inference.endpoint import key_of
from tongues.inference.endpoint_check import fetch_json, missing_pair, problems_of
from tongues.inference.http_reply import BUSY, Reply
from tongues.translation.batch_service import BatchService

_PATH = "/language/translate/v2"
_KEY_HEADER = "X-goog-api-key"
# By BCP-47; all others have the same name here and there.
_NAMES = {"zh-Hans": "zh-CN", "zh-Hant": "zh-TW"}
_OLDER_NAMES = {"zh-Hans": "zh", "he": "iw", "jv": "jw", "fil": "tl"}
_UNKNOWN_TO_GOOGLE = frozenset({"ast"})
_PARAMS = {"format": "text"}


class GoogleTranslate(BatchService):
    """The engine.

    Args:
        section: the recipe's settings.
        first_wait_s: see `HttpEngine`.
        say: takes a line when an endpoint is put out, is down, or answers again.

    Raises:
        EngineUnavailableError: the environment variable named for a key is not set.
    """

    name = "google"
    path = _PATH
    request_characters = 5_000
    max_characters = 24_000  # 100 kB where every character takes four bytes

    def __init__(self, section: GoogleEngine, *, first_wait_s: float = 0.5, say: Say = say_on_stderr) -> None:
        super().__init__(section, first_wait_s=first_wait_s, say=say)
        self._section = section

    @property
    def batch_segments(self) -> int:
        """Segments in one request."""
        return self._section.batch_rows

    def supports(self, source: str, target: str) -> bool:
        """Any two languages that Google lists."""
        return source != target and not {source, target} & _UNKNOWN_TO_GOOGLE

    def pairs(self) -> list[tuple[str, str]]:
        """All pairs of languages that Google lists."""
        known = [code for code in languages() if code not in _UNKNOWN_TO_GOOGLE]
        return [(source, target) for source in known for target in known if source != target]

    def step(self, source: str, target: str) -> Step:
        """The model by the name that requests it; Google states no version."""
        return Step(
            op="translate",
            engine=self.name,
            model=self._section.model,
            prompt_sha256="",
            params_sha256=digest_value(_PARAMS),
        )

    def sign(self, key: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        """The key goes into a header: addresses end up in logs."""
        headers[_KEY_HEADER] = key

    def status_of(self, reply: Reply) -> int:
        """A quota per minute is what HTTP calls 429, and a wrong key what it calls 401."""
        if reply.status == 403 and any(sign in reply.body for sign in ("ateLimitExceeded", "Rate Limit Ex")):
            return BUSY
        if reply.status == 400 and any(sign in reply.body for sign in ("API_KEY_INVALID", "API key not v")):
            return 401
        return reply.status

    def body_of(self, texts: Sequence[str], source: str, target: str) -> dict[str, Any]:
        """As the reference has it; with format "html", its default, answers would hold HTML entities."""
        return {
            "q": list(texts),
            "source": google_code(source),
            "target": google_code(target),
            "model": self._section.model,
            **_PARAMS,
        }

    def translations_in(self, document: Any) -> list[Any]:
        """``data.translations[].translatedText``."""
        return [each["translatedText"] for each in document["data"]["translations"]]


def google_code(code: str) -> str:
    """What Google calls a language, given by its BCP-47 code."""
    return _NAMES.get(code, code)


def google_problems(section: GoogleEngine, source: str, targets: Sequence[str]) -> list[str]:
    """What is wrong with endpoints, keys and languages; asks each endpoint for its languages only."""

    def ask(endpoint: EndpointSection) -> list[str]:
        headers = {_KEY_HEADER: key} if (key := key_of(endpoint)) else {}
        document = fetch_json(endpoint, f"{_PATH}/languages?model=nmt", headers)
        there = {each["language"] for each in document["data"]["languages"]}
        unknown = [c for c in (source, *targets) if not {google_code(c), _OLDER_NAMES.get(c, c)} & there]
        known = f"it knows {len(there)} languages"
        lacking = targets if source in unknown else [target for target in targets if target in unknown]
        return [missing_pair(endpoint.base_url, source, target, known) for target in lacking]

    return problems_of(section.endpoints, ask, "Cloud Translation endpoint")
