"""The command line as a process of its own, a model that answers when the test says so, and a terminal."""

import contextlib
import fcntl
import json
import os
import pty
import queue
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import pyte
import pytest

from tests.moot.warm import Warm

PLAY = """
version: 1
name: duet
parts:
  ann:
    - say: "hello from ann"
  bob:
    - when: {turn: 2}
      say: "DONE: agreed"
    - say: "not yet"
"""
DUET = """
version: 1
name: duet
task: "Agree."
model: playbook:play.yaml
participants:
  ann: {role: assistant, instructions: "Talk."}
  bob: {role: assistant, instructions: "Talk, then DONE:"}
limits: {turns: 6}
stop: [{id: done, says: {participant: bob, starts: "DONE:"}}]
result: {from: bob, extract: "DONE: (.+)"}
"""
PATIENCE_SECONDS = 60
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass
class Done:
    """A process that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Moot:
    """`moot` in a folder of its own, with a home of its own."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    warm: Warm | None = None
    """Where commands are forked that are waited for; else, and as soon as they are to be watched, they are started."""

    def __post_init__(self) -> None:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("MOOT_", "OPENAI_"))}
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
            keep.pop(name, None)
        self.env = {**keep, "MOOT_HOME": str(self.folder / "home"), **self.env}

    @staticmethod
    def command(*args: str) -> list[str]:
        return [sys.executable, "-m", "moot", *args]

    def __call__(self, *args: str, **env: str) -> Done:
        if self.warm is not None and self.warm.fits(seen := {**self.env, **env}):
            return Done(*self.warm.run(args, self.folder, seen, seconds=120))
        return self._run(self.command(*args), env)

    def python(self, *args: str, **env: str) -> Done:
        """A program of the test's own instead of the command."""
        return self._run([sys.executable, *args], env)

    def _run(self, command: list[str], env: dict[str, str]) -> Done:
        done = subprocess.run(
            command, cwd=self.folder, env={**self.env, **env}, capture_output=True, timeout=120, check=False
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @contextlib.contextmanager
    def started(self, *args: str, **env: str) -> Iterator["Process"]:
        """A process that is under way; killed if the test leaves it behind."""
        popen = subprocess.Popen(
            self.command(*args),
            cwd=self.folder,
            env={**self.env, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,  # what a buffer held would be lost to whoever waits for the end
        )
        try:
            yield Process(popen)
        finally:
            _end(popen)

    @contextlib.contextmanager
    def at_a_terminal(self, *args: str, rows: int = 24, columns: int = 80, **env: str) -> Iterator["Terminal"]:
        """The same with a terminal of that size as stdin, stdout and stderr."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        popen = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *self.command(*args)],
            cwd=self.folder,
            env={**self.env, "TERM": "xterm-256color", **env},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        try:
            yield Terminal(popen, master)
        finally:
            _end(popen)
            os.close(master)


def _end(popen: subprocess.Popen[bytes]) -> None:
    if popen.poll() is None:
        popen.kill()
    popen.wait()


@dataclass
class Process:
    """Read by lines, so that a test waits for what was said instead of for a time."""

    popen: subprocess.Popen[bytes]
    said: list[str] = field(default_factory=list)

    def until(self, text: str) -> str:
        """Everything on stderr up to a line with that text."""
        stream: IO[bytes] | None = self.popen.stderr
        assert stream is not None
        for raw in iter(stream.readline, b""):
            self.said.append(raw.decode())
            if text in self.said[-1]:
                return "".join(self.said)
        raise AssertionError(f"{text!r} was never said:\n{''.join(self.said)}")

    def go_away(self) -> None:
        """Close both streams, as a reader does that has seen enough."""
        for stream in (self.popen.stdout, self.popen.stderr):
            assert stream is not None
            stream.close()

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def ended(self) -> Done:
        out, err = self.popen.communicate(timeout=PATIENCE_SECONDS)
        return Done(self.popen.returncode, out.decode(), "".join(self.said) + err.decode())


@dataclass
class Terminal:
    """What a terminal was sent, and keys to press."""

    popen: subprocess.Popen[bytes]
    master: int
    seen: bytes = b""
    heard: int = 0
    """Up to where it was listened to by `then`."""

    def until(self, text: str) -> str:
        """Everything sent up to that text."""
        while text not in self.text:
            if not self._read():
                raise AssertionError(f"{text!r} never came:\n{self.text}")
        return self.text

    def then(self, text: str) -> str:
        """What was sent up to that text and after what was waited for last."""
        wanted = text.encode()
        while (at := self.seen.find(wanted, self.heard)) < 0:
            if not self._read():
                raise AssertionError(f"{text!r} never came:\n{self.text[self.heard :]}")
        came, self.heard = self.seen[self.heard : at], at + len(wanted)
        return came.decode(errors="replace")

    @property
    def text(self) -> str:
        return self.seen.decode(errors="replace")

    def screen(self, rows: int = 24, columns: int = 80) -> list[str]:
        """Every line that a terminal of that size shows or has scrolled away."""
        screen = pyte.HistoryScreen(columns, rows, history=100_000)
        pyte.ByteStream(screen).feed(self.seen)
        above = ["".join(line[x].data for x in range(columns)) for line in screen.history.top]
        return [line.rstrip() for line in [*above, *screen.display]]

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def ended(self) -> int:
        while self._read():
            pass
        return self.popen.wait(timeout=PATIENCE_SECONDS)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], PATIENCE_SECONDS)
        try:
            piece = os.read(self.master, 65536) if ready else b""
        except OSError:  # the other side is closed
            piece = b""
        self.seen += piece
        return bool(piece)


class Model(ThreadingHTTPServer):
    """A model behind an address: says that it was asked, and answers when it is told what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: queue.Queue[dict[str, object]] = queue.Queue()
        self.answers: queue.Queue[str | None] = queue.Queue()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def chat_file(self) -> str:
        """Two who talk by this model."""
        entry = f"{{base_url: 'http://127.0.0.1:{self.server_port}/v1', model: slow}}"
        return DUET.replace("model: playbook:play.yaml", f"model: {entry}")

    def was_asked(self) -> dict[str, object]:
        return self.asked.get(timeout=PATIENCE_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.put(body)
        answer = self.server.answers.get()
        if answer is None:
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(OSError):
            for piece in [answer[at : at + 65536] for at in range(0, len(answer), 65536)] or [""]:
                self._chunk({"content": piece, "role": "assistant"}, None)
            self._chunk({}, "stop")
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            self._send({**_chunk_object(), "choices": [], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(self, delta: dict[str, str], finish: str | None) -> None:
        self._send({**_chunk_object(), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def _send(self, value: object) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())

    def log_message(self, *_: object) -> None:
        """Silent."""


def _chunk_object() -> dict[str, object]:
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "slow"}


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    forker = Warm()
    yield forker
    forker.close()


@pytest.fixture
def moot(tmp_path: Path, warm: Warm) -> Moot:
    """A home that is empty, and the chat `duet.yaml` that needs no key and no sandbox."""
    made = Moot(tmp_path, warm=warm)
    made.write("duet.yaml", DUET)
    made.write("play.yaml", PLAY)
    return made


@pytest.fixture
def model() -> Iterator[Model]:
    server = Model()
    yield server
    for _ in range(20):
        server.answers.put(None)
    server.shutdown()
    server.server_close()
