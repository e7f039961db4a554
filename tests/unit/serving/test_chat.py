import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tongues.core.errors import ServingError
from tongues.platform.processes import free_port
from tongues.serving.chat import ask, ask_side_by_side


@contextmanager
def endpoint(pieces=("Hola", " món"), *, status=200, cut=None):
    """A real HTTP server that streams an answer as OpenAI-compatible endpoints do."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            body = json.dumps({"object": "list", "data": [{"id": "quickstart", "object": "model"}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if status == 200 else "application/json")
            self.end_headers()
            if status != 200:
                self.wfile.write(b'{"error": {"message": "prompt too long"}}')
                return
            for piece in pieces:
                self.event({"choices": [{"index": 0, "delta": {"content": piece}}]})
            if cut is not None:
                self.wfile.write(cut)
                return
            self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.event({"choices": [], "usage": {"completion_tokens": len(pieces), "prompt_tokens": 3}})
            self.wfile.write(b"data: [DONE]\n\n")

        def event(self, value):
            self.wfile.write(f"data: {json.dumps({'object': 'chat.completion.chunk', **value})}\n\n".encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()


def test_ask_streams_pieces_in_order_and_returns_the_whole():
    pieces = []
    with endpoint() as (url, seen):
        answer = ask(url, "quickstart", "Què?", max_tokens=7, on_text=pieces.append)
    assert pieces == ["Hola", " món"]
    assert (answer.text, answer.tokens) == ("Hola món", 2)
    assert answer.seconds > 0
    assert seen[0]["messages"] == [{"role": "user", "content": "Què?"}]
    assert (seen[0]["max_tokens"], seen[0]["temperature"], seen[0]["model"]) == (7, 0.0, "quickstart")


def test_ask_nobody_listens_says_how_to_start_the_server():
    with pytest.raises(ServingError, match=r"does not answer.*tongues serve"):
        ask(f"http://127.0.0.1:{free_port()}/v1", "m", "?")


def test_ask_unknown_model_names_those_that_are_served():
    with endpoint(status=404) as (url, _), pytest.raises(ServingError, match="ask for one of quickstart"):
        ask(url, "quickstrat", "?")


def test_ask_refused_request_passes_the_servers_reason_on():
    with endpoint(status=400) as (url, _), pytest.raises(ServingError, match="prompt too long"):
        ask(url, "quickstart", "?")


@pytest.mark.parametrize(
    "cut", [b"", b'data: {"choices": [{"ind', b'data: {"choices": [{"ind\n\n', b"data: [DONE]\n\n"]
)
def test_ask_stream_that_breaks_off_is_an_error_and_not_half_an_answer(cut):
    with endpoint(cut=cut) as (url, _), pytest.raises(ServingError, match="broke off"):
        ask(url, "quickstart", "?")


def test_ask_model_that_ends_at_once_gives_an_empty_answer():
    with endpoint(pieces=()) as (url, _):
        assert ask(url, "quickstart", "?").text == ""


def test_ask_side_by_side_keeps_the_order_of_questions_and_models():
    with endpoint(("A",)) as (one, _), endpoint(("B",)) as (two, _):
        asked = ask_side_by_side([(one, "a"), (two, "b")], ["1", "2"])
    assert [(a.question, [b.text for b in a.answers]) for a in asked] == [
        ("1", ["A", "B"]),
        ("2", ["A", "B"]),
    ]
