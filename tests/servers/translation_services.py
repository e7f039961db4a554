"""Real HTTP servers that speak like Google Cloud Translation v2 and LibreTranslate, with faults on request.

They translate by the same rule as `openai_faults` and have its faults, beside those of their own. A fault is
chosen by the number of the request and its texts, joined with line ends.
"""

import html
import json
from http.server import BaseHTTPRequestHandler
from typing import Any

from openai_faults import FaultyEndpoint, _Handler, translation_of


class _ServiceHandler(_Handler):
    """What both have in common: a list of texts `q`, and one answer for each."""

    q: list[str]
    body: dict[str, Any]

    def _text_of(self, body: Any) -> str:
        self.body, self.q = body, body["q"]
        return "\n".join(self.q)

    def _ok(self, text: str) -> None:
        if refusal := self._refusal():
            return self._json(refusal[0], self._error(*refusal))
        self._send(200, "application/json", self._list([self._one(each) for each in self.q]))
        with self.endpoint.lock:
            self.endpoint.acknowledged.update(self.q)
        return None

    def _one(self, text: str) -> str:
        return (
            translation_of(text) if self.body.get("format") == "text" else html.escape(translation_of(text))
        )

    def _too_few(self, text: str) -> None:
        self._send(200, "application/json", self._list([self._one(each) for each in self.q[1:]]))

    def _too_many(self, text: str) -> None:
        self._send(200, "application/json", self._list([self._one(each) for each in [*self.q, "more"]]))

    def _document(self, content: str | None, finish: str = "stop") -> bytes:
        return self._list([content] * len(self.q))

    def _refusal(self) -> tuple[int, str] | None:
        raise NotImplementedError

    def _error(self, status: int, message: str) -> dict[str, Any]:
        raise NotImplementedError

    def _list(self, answers: list[str | None]) -> bytes:
        raise NotImplementedError


class _GoogleHandler(_ServiceHandler):
    endpoint: "GoogleService"

    def do_GET(self) -> None:
        if not self.path.startswith("/language/translate/v2/languages"):
            return self._json(404, self._error(404, "Not Found"))
        if self._key_is_wrong():
            return self._json(400, self._error(400, "API key not valid. Please pass a valid API key."))
        known = [{"language": code} for code in self.endpoint.known]
        return self._json(200, {"data": {"languages": known}})

    def _key_is_wrong(self) -> bool:
        return bool(self.endpoint.key) and self.headers.get("x-goog-api-key") != self.endpoint.key

    def _refusal(self) -> tuple[int, str] | None:
        if self._key_is_wrong():
            return 400, "API key not valid. Please pass a valid API key."
        if len(self.q) > 128:
            return 400, "Too many text segments"
        if len(json.dumps(self.body, ensure_ascii=False).encode()) > 102_400:
            return 400, "Request payload size exceeds the limit: 102400 bytes."
        if not {self.body["source"], self.body["target"]} <= set(self.endpoint.known):
            return 400, "Invalid Value"
        return None

    def _quota(self, text: str) -> None:
        document = self._error(403, "User Rate Limit Exceeded", "userRateLimitExceeded")
        self._json(403, document)

    def _daily(self, text: str) -> None:
        self._json(403, self._error(403, "Daily Limit Exceeded", "dailyLimitExceeded"))

    def _error(self, status: int, message: str, reason: str = "invalid") -> dict[str, Any]:
        errors = [{"message": message, "domain": "global", "reason": reason}]
        return {"error": {"code": status, "message": message, "errors": errors}}

    def _list(self, answers: list[str | None]) -> bytes:
        translations = [{"translatedText": answer, "model": "nmt"} for answer in answers]
        return json.dumps({"data": {"translations": translations}}).encode()


class _LibreHandler(_ServiceHandler):
    endpoint: "LibreService"

    def do_GET(self) -> None:
        if self.path != "/languages":
            return self._json(404, self._error(404, "Not Found"))
        known = self.endpoint.known
        return self._json(200, [{"code": code, "name": code, "targets": known} for code in known])

    def _refusal(self) -> tuple[int, str] | None:
        if self.endpoint.key and self.body.get("api_key") != self.endpoint.key:
            return 403, "Invalid API key"
        if sum(map(len, self.q)) > self.endpoint.character_limit:
            return 400, f"Invalid request: request exceeds text limit ({self.endpoint.character_limit})"
        unknown = [
            code for code in (self.body["source"], self.body["target"]) if code not in self.endpoint.known
        ]
        return (400, f"{unknown[0]} is not supported") if unknown else None

    def _error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": message}

    def _list(self, answers: list[str | None]) -> bytes:
        return json.dumps({"translatedText": answers}).encode()


class _Service(FaultyEndpoint):
    """A translation service.

    Args:
        known: the languages that it lists.
        key: the only key that it takes; none is needed when empty.
        character_limit: characters that it takes in one request, if it has such a limit.
    """

    def __init__(
        self,
        *faults: Any,
        known: tuple[str, ...] = ("en", "es", "zh-CN", "zh", "iw", "nb"),
        key: str = "",
        character_limit: int = 100_000,
        **settings: Any,
    ) -> None:
        super().__init__(*faults, **settings)
        self.known, self.key, self.character_limit = known, key, character_limit

    @property
    def base_url(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self.port}"


class GoogleService(_Service):
    """Google Cloud Translation, basic edition."""

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers."""
        return _GoogleHandler


class LibreService(_Service):
    """LibreTranslate."""

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers."""
        return _LibreHandler
