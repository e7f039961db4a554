"""What an HTTP reply, or the lack of one, says about the endpoint that it came from."""

import email.utils
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tongues.inference.endpoint import Kind

if TYPE_CHECKING:
    import httpx

BUSY, OVERLOADED, OK_STATUS = 429, 503, 200
_AGAIN = frozenset({408, 409, 425})
_UNUSABLE = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405})
_MAX_BODY_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Args:
        status: of HTTP.
        body: as text.
        headers: by name in lower case.
    """

    status: int
    body: str
    headers: dict[str, str]

    @property
    def content_type(self) -> str:
        """Media type as the endpoint stated it."""
        return self.headers.get("content-type", "")

    @property
    def said(self) -> str:
        """What an error reply says: where it leads, its message, or its first words."""
        if where := self.headers.get("location"):
            return f"it redirects to {where}; write that address in base_url"
        try:
            error = json.loads(self.body)["error"]
            return str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, KeyError, TypeError, IndexError):
            return " ".join(self.body.split())[:120] or f"HTTP {self.status} without a word"


def kind_of(status: int) -> Kind:
    """What a status says about the endpoint; "answer" if it only says something about the text."""
    if status in _UNUSABLE:
        return "unusable"
    if status == BUSY:
        return "busy"
    if status == OVERLOADED:
        return "overloaded"
    return "failure" if status in _AGAIN or status >= 500 else "answer"


def fault_of(error: Exception) -> tuple[str, str, Kind]:
    """Reason, detail and kind of a request that got no reply."""
    import httpx

    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "timeout", "no answer in time", "failure"
    if isinstance(error, UnicodeDecodeError):
        return "broken-json", f"not UTF-8: {error.reason}", "failure"
    wrong_address = isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError)
    detail = f"{type(error).__name__}: {error}"
    return "connection", detail, "unusable" if wrong_address else "failure"


async def read_reply(response: "httpx.Response") -> Reply:
    """Read a streamed response whole.

    Raises:
        httpx.ReadError: it breaks off, or is longer than any translation.
        UnicodeDecodeError: it is not UTF-8; nothing is read with letters replaced.
    """
    import httpx

    parts, size = list[bytes](), 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > _MAX_BODY_BYTES:
            raise httpx.ReadError(f"the answer is longer than {_MAX_BODY_BYTES} bytes")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, b"".join(parts).decode(), headers)


def retry_after_s(header: str | None) -> float:
    """Seconds that a Retry-After header asks for: a number, or the time until an HTTP date.

    Source: RFC 9110, section 10.2.3. Unreadable or absent: 0.
    """
    if not header:
        return 0.0
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0
