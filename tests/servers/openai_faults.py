"""A real HTTP server that speaks the OpenAI chat API and misbehaves on request.

It translates by a fixed, reversible rule (`translation_of`), so that every answer can be verified, and
keeps a record of what it was asked and what it answered. Faults are chosen per request by a function.
Standard library only; run it as a script to try it by hand.
"""

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODEL = "loopback-translator"
HTML = "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"

Choose = Callable[[int, str], str]
"""From the number of the request (0 is the first) and its text to the name of a fault, or "ok"."""


def translation_of(text: str) -> str:
    """What this server answers: the words in the same order, each with an "o" at its end; marks unchanged."""
    return " ".join(word if "Xq" in word else f"{word}o" for word in text.split(" "))


class FaultyEndpoint:
    """The server; a context manager, on a free port of the loopback.

    Args:
        choose: which fault each request meets; none when absent.
        latency_s: seconds before every answer.
        retry_after: value of the Retry-After header of a 429; none when empty.
        capacity: requests it takes at a time; it refuses more with 429 at once.
    """

    def __init__(
        self,
        choose: Choose | None = None,
        *,
        latency_s: float = 0.0,
        retry_after: str = "0.3",
        capacity: int = 1_000_000,
    ) -> None:
        self.choose: Choose = choose or (lambda number, text: "ok")
        self.latency_s, self.retry_after, self.capacity = latency_s, retry_after, capacity
        self.port = 0
        self.requests: list[dict[str, Any]] = []
        self.arrivals: list[float] = []
        self.acknowledged: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = self.working = 0
        self.headers: list[dict[str, str]] = []
        self.connections: set[socket.socket] = set()
        self.closing = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.closing.is_set():
            self.stop()

    def start(self) -> None:
        """Listen; again on the same port after `stop`."""
        self.closing.clear()
        self._server = _Server(("127.0.0.1", self.port), type("Handler", (self.handler,), {"endpoint": self}))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Die: nobody listens any more, and connections that are open break."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers."""
        return _Handler

    @property
    def base_url(self) -> str:
        """Address up to and with /v1."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def texts(self) -> list[str]:
        """The texts that were asked for, in order of arrival."""
        return [request["messages"][-1]["content"] for request in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is part of the test, not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    endpoint: FaultyEndpoint
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        with self.endpoint.lock:
            self.endpoint.connections.add(self.connection)

    def finish(self) -> None:
        with self.endpoint.lock:
            self.endpoint.connections.discard(self.connection)
        with contextlib.suppress(OSError):  # the other side may be gone
            super().finish()

    def do_GET(self) -> None:
        self._json(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = self._text_of(body)
        end = self.endpoint
        with end.lock:
            number = len(end.requests)
            end.requests.append(body)
            end.headers.append({name.lower(): value for name, value in self.headers.items()})
            end.arrivals.append(time.monotonic())
            end.in_flight += 1
            end.most_in_flight = max(end.most_in_flight, end.in_flight)
            end.working += 1
            too_many = end.working > end.capacity
        try:
            end.closing.wait(0 if too_many else end.latency_s)
            fault = "429" if too_many else end.choose(number, text)
            with end.lock:  # a place is free before its answer is on its way
                end.working -= 1
            getattr(self, f"_{fault.replace('-', '_')}")(text)
        finally:
            with end.lock:
                end.in_flight -= 1

    def _text_of(self, body: Any) -> str:
        return str(body["messages"][-1]["content"])

    def _ok(self, text: str) -> None:
        self._answer(translation_of(text))
        with self.endpoint.lock:
            self.endpoint.acknowledged[text] += 1

    def _empty(self, text: str) -> None:
        self._answer("")

    def _null(self, text: str) -> None:
        self._answer(None)

    def _truncated(self, text: str) -> None:
        self._answer(text[: len(text) // 2], finish="length")

    def _added_lines(self, text: str) -> None:
        self._answer(f"Sure! Here is the translation:\n{translation_of(text)}")

    def _surrogate(self, text: str) -> None:
        self._answer("mal\ud800a")

    def _lost_mark(self, text: str) -> None:
        self._answer(translation_of(text).replace("Xq", "Yq"))

    def _429(self, text: str) -> None:
        wait = {"Retry-After": self.endpoint.retry_after} if self.endpoint.retry_after else {}
        self._json(429, {"error": {"message": "slow down"}}, wait)

    def _500(self, text: str) -> None:
        self._json(500, {"error": {"message": "out of memory"}})

    def _503(self, text: str) -> None:
        self._json(503, {"error": {"message": "loading"}})

    def _400(self, text: str) -> None:
        self._json(400, {"error": {"message": "maximum context length is 8 tokens"}})

    def _401(self, text: str) -> None:
        self._json(401, {"error": {"message": "wrong key"}})

    def _403(self, text: str) -> None:
        self._json(403, {"error": {"message": "no access to this model"}})

    def _404(self, text: str) -> None:
        self._json(404, {"error": {"message": "no such model"}})

    def _redirect(self, text: str) -> None:
        self._json(307, {}, {"Location": "http://127.0.0.1:9/v1/chat/completions"})

    def _other_language(self, text: str) -> None:
        """A whole, fluent answer that is in neither language."""
        self._answer("Das ist eine deutsche Antwort, obwohl niemand danach gefragt hat.")

    def _key_in_error(self, text: str) -> None:
        self._json(500, {"error": {"message": f"cannot use {self.headers['authorization']}"}})

    def _latin_1(self, text: str) -> None:
        self._send(200, "application/json", self._document("x").replace(b'"x"', b'"ma\xf1ana"'))

    def _endless(self, text: str) -> None:
        """A body that never ends, as fast as it is read."""
        self._head(200, "application/json", 10_000_000_000)
        with contextlib.suppress(OSError):
            while not self.endpoint.closing.is_set():
                self.wfile.write(b" " * 1_000_000)

    def _hang(self, text: str) -> None:
        self.endpoint.closing.wait(60)

    def _trickle(self, text: str) -> None:
        """One byte now and then: no single read ever times out."""
        self._head(200, "application/json", 10_000)
        with contextlib.suppress(OSError):
            while not self.endpoint.closing.wait(0.05):
                self.wfile.write(b" ")

    def _broken(self, text: str) -> None:
        """Reset the connection without an answer."""
        linger_0 = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_0)
        self.close_connection = True
        self.connection.close()

    def _half_json(self, text: str) -> None:
        self._send(200, "application/json", self._document("halfo")[:60])

    def _half_body(self, text: str) -> None:
        """A promise of more bytes than come before the connection closes."""
        document = self._document("halfo")
        self._head(200, "application/json", len(document))
        self.wfile.write(document[:60])
        self.close_connection = True

    def _html(self, text: str) -> None:
        self._send(200, "text/html; charset=utf-8", HTML.encode())

    def _html_as_json(self, text: str) -> None:
        self._send(200, "application/json", HTML.encode())

    def _wrong_shape(self, text: str) -> None:
        self._json(200, {"choices": []})

    def _error_in_200(self, text: str) -> None:
        self._json(200, {"error": {"message": "model overloaded"}})

    def _answer(self, content: str | None, finish: str = "stop") -> None:
        self._send(200, "application/json", self._document(content, finish))

    def _document(self, content: str | None, finish: str = "stop") -> bytes:
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
        usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        return json.dumps(
            {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}
        ).encode()

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, "application/json", json.dumps(value).encode(), headers)

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, kind, len(body), headers)
        self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()


if __name__ == "__main__":
    with FaultyEndpoint() as endpoint:
        print(endpoint.base_url, flush=True)
        threading.Event().wait()
