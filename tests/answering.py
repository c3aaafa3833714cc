"""A server on loopback that answers every request as a test wrote it down, in a thread of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EVENTS, JSON, PAGE = "text/event-stream", "application/json", "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent. `cut`: the connection breaks off there; `wait`: nothing is sent before that is set; `to`: where to
    ask instead.
    """

    body: bytes
    kind: str = JSON
    status: int = 200
    cut: bool = False
    wait: threading.Event | None = None
    to: str = ""


@dataclass
class Answering:
    """The server: where it is, and what it was asked."""

    url: str
    answers: Sequence[Answer]
    """In their order; the last one also every time after."""
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    """Set by the first request."""


def page(status: int = 200) -> Answer:
    """What a proxy, a login or a server of something else sends."""
    return Answer(b"<!DOCTYPE html><html><body>Please log in</body></html>", PAGE, status)


def refusal(status: int, message: str) -> Answer:
    """An error in OpenAI's form."""
    return Answer(json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode(), JSON, status)


def stream(*chunks: Mapping[str, Any] | bytes, end: bytes = b"data: [DONE]\n\n", cut: bool = False) -> Answer:
    """OpenAI's chunks; bytes go as they are."""
    common = {"id": "1", "created": 1, "model": "m", "object": "chat.completion.chunk"}
    lines = [
        chunk if isinstance(chunk, bytes) else b"data: %s\n\n" % json.dumps({**common, **chunk}).encode()
        for chunk in chunks
    ]
    return Answer(b"".join([*lines, end]), EVENTS, cut=cut)


def part(
    delta: Mapping[str, Any] | str, reason: str | None = None, usage: tuple[int, int] | None = None
) -> dict[str, Any]:
    """One chunk: words or a delta, how the reply ended, and what it took."""
    given = {"content": delta} if isinstance(delta, str) else delta
    told = {} if usage is None else {"usage": used(*usage)}
    return {"choices": [{"index": 0, "delta": given, "finish_reason": reason}], **told}


def used(read: int, written: int) -> dict[str, int]:
    """In OpenAI's form."""
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


@contextmanager
def answering(*answers: Answer) -> Iterator[Answering]:
    """The server, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            at.paths.append(self.path)
            at.headers.append({name.lower(): value for name, value in self.headers.items()})
            at.bodies.append(json.loads(body) if body else {})
            at.asked.set()
            answer = at.answers[min(len(at.paths), len(at.answers)) - 1]
            if answer.wait is not None:
                answer.wait.wait(60)
            with suppress(OSError):  # who asked has gone
                self._send(answer)

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body) + (100 if answer.cut else 0)))
            self.send_header("Connection", "close")
            if answer.to:
                self.send_header("Location", answer.to)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    at = Answering(f"http://127.0.0.1:{server.server_port}", answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield at
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
