"""PID 1 of the sandbox: takes requests from the host, has a worker run the code, and decides when a block has ended.

Why PID 1: the kernel drops SIGKILL and SIGSTOP that come from inside the container, so user code cannot end or freeze
it; orphans become its children; and when it exits the kernel ends everything else. When the host dies the attach
stream ends, and so does this program, and so does the container.
"""

# The standard library alone, as lean as can be (see __init__.py): so no pathlib, contextlib or logging here.
# ruff: noqa: PTH102, PTH112, PTH118, PTH123, PTH208, SIM105

from __future__ import annotations

import collections
import os
import select
import signal
import sys
import time

from moot.sandbox.runner import processes
from moot.sandbox.runner.capture import HARD_STOP, Capture
from moot.sandbox.runner.channel import Channel
from moot.sandbox.runner.children import Worker, start_shell
from moot.sandbox.runner.worker import ANSWER, INTERRUPTED, MAX_VALUE, READY
from moot.sandbox.runner.workspace import Workspace

TYPE_CHECKING = False  # importing typing for its own constant would cost each start some milliseconds
if TYPE_CHECKING:
    from typing import Any

    from moot.sandbox.runner.workspace import Entry

VERSION = 1
WORKSPACE = "/workspace"
GRACE_SECONDS = 0.5
"""Between asking a block to stop (SIGINT) and ending it (SIGKILL)."""
TIMEOUT_EXIT_CODE = 124
KILLED_EXIT_CODE = 137
_SEED = "/opt/sandbox/mpl"
_MOST_FAILED_STARTS = 5
_ENTRIES_PER_FRAME = 100  # a name of 1 KiB may need 6 KiB of JSON, and a frame has 1 MiB
_READ_ROUNDS = 16
_DRAIN_ROUNDS = 64


class Block:
    """One block of code that is being run."""

    def __init__(self, request: dict[str, Any], number: int) -> None:
        self.id: int = request["id"]
        self.python = request["language"] == "python"
        self.language: str = request["language"]
        self.number = number
        self.nonce = os.urandom(16)
        self.pid = 0
        self.captures: list[Capture] = []
        self.started = time.monotonic()
        self.deadline = self.started + request["timeout"]
        self.stopping = ""  # why it was asked to stop: timeout, interrupt, output
        self.oom_before = processes.oom_kills()
        self.exit_code: int | None = None
        self.value: bytes | None = None
        self.value_cut = False

    @property
    def printed(self) -> int:
        """Bytes so far, both streams."""
        return sum(capture.total for capture in self.captures)


class Supervisor:
    """The loop and what it keeps: one worker, at most one running block, and the blocks that wait for it."""

    def __init__(self, channel: Channel, wakeup: int) -> None:
        self._channel = channel
        self._wakeup = wakeup
        self._files = Workspace(WORKSPACE)
        self._worker = Worker(WORKSPACE)
        self._failed_starts = 0
        self._state_lost = False
        self._waiting: collections.deque[tuple[dict[str, Any], bytes]] = collections.deque()
        self._block: Block | None = None
        self._blocks = 0

    def run(self) -> None:
        """Until the host hangs up."""
        self._channel.send({"ev": "hello", "version": VERSION, "python": sys.version.split()[0]})
        while True:
            if self._block is None and self._waiting and self._worker.ready:
                self._start(*self._waiting.popleft())
            readable = self._wait()
            if self._channel.source in readable and not self._serve_host():
                return
            self._channel.flush()
            self._read_output(readable)
            if self._worker.socket.fileno() in readable:
                self._hear_worker()
            if self._wakeup in readable:
                os.read(self._wakeup, 4096)
            self._note_deaths()
            self._keep_time()
            if self._block is not None and self._block.exit_code is not None:
                self._finish(self._block)

    def _wait(self) -> list[int]:
        block = self._block
        pipes = [c.pipe for c in block.captures if c.pipe is not None] if block else []
        sources = [self._channel.source, self._wakeup, *pipes]
        if not self._worker.deaf:
            sources.append(self._worker.socket.fileno())
        sinks = [self._channel.sink] if self._channel.waits_to_write else []
        patience = max(0.0, block.deadline - time.monotonic()) if block else None
        return select.select(sources, sinks, [], patience)[0]

    # -- requests of the host

    def _serve_host(self) -> bool:
        frames = self._channel.receive()
        for head, body in frames or ():
            self._serve(head, body)
        return frames is not None

    def _serve(self, head: dict[str, Any], body: bytes) -> None:
        op = head["op"]
        if op == "exec":
            self._waiting.append((head, body))
        elif op == "interrupt":
            self._interrupt(head["id"])
        else:
            self._channel.send(*self._answer(op, head, body))

    def _answer(self, op: str, head: dict[str, Any], body: bytes) -> tuple[dict[str, object], bytes]:
        """Serve a request about files. What goes wrong is the answer: it is the program's doing, not ours."""
        reply: dict[str, object] = {"ev": "reply", "id": head["id"]}
        data = b""
        try:
            if op == "put":
                self._files.put(head["name"], head["offset"], body)
            elif op == "get":
                reply["size"], data = self._files.get(head["name"], head["offset"], head["most"])
            elif op == "list":
                reply["cut"] = self._tell_files(head["id"], *self._files.everything())
            elif op != "ping":
                raise ValueError("unknown request " + repr(op))
        except OSError as error:
            reply["error"], reply["errno"] = error.strerror or str(error), error.errno or 0
        except ValueError as error:
            reply["error"], reply["errno"] = str(error), 0
        return reply, data

    def _tell_files(self, request: int, entries: list[Entry], cut: bool) -> bool:
        for start in range(0, len(entries), _ENTRIES_PER_FRAME):
            part = entries[start : start + _ENTRIES_PER_FRAME]
            self._channel.send({"ev": "files", "id": request, "files": part})
        return cut

    def _interrupt(self, request: int) -> None:
        if self._block is not None and self._block.id == request:
            self._stop(self._block, "interrupt")
            return
        for waiting in list(self._waiting):
            if waiting[0]["id"] == request:
                self._waiting.remove(waiting)
                block = Block(waiting[0], 0)
                block.stopping, block.exit_code = "interrupt", INTERRUPTED
                self._report(block, 0)

    # -- one block, from its start to its report

    def _start(self, request: dict[str, Any], code: bytes) -> None:
        self._blocks += 1
        block = Block(request, self._blocks)
        out, err = os.pipe(), os.pipe()
        block.captures = [Capture("stdout", out[0]), Capture("stderr", err[0])]
        source = os.memfd_create("code")
        try:
            os.write(source, code)
            if block.python:
                block.pid = self._worker.pid
                self._worker.send(block.nonce, block.number, [out[1], err[1], source])
            else:
                block.pid = start_shell(WORKSPACE, block.language, [out[1], err[1], source])
        except OSError:  # a dead worker, or no process left to fork: begin anew, with everything ended
            for capture in block.captures:
                capture.close()
            self._replace_worker()
            self._waiting.appendleft((request, code))
            self._blocks -= 1
            return
        finally:
            for descriptor in (out[1], err[1], source):
                os.close(descriptor)
        self._block = block

    def _read_output(self, readable: list[int]) -> None:
        block = self._block
        if block is None:
            return
        for capture in block.captures:
            if capture.pipe in readable:
                self._show(block, capture, _READ_ROUNDS)
        if block.printed > HARD_STOP:
            self._stop(block, "output")

    def _show(self, block: Block, capture: Capture, rounds: int) -> None:
        live = capture.read(rounds)
        if live:
            self._channel.send({"ev": "out", "id": block.id, "stream": capture.name}, live, live=True)

    def _hear_worker(self) -> None:
        message = self._worker.receive()
        block = self._block
        if message == READY and not self._worker.ready:
            self._worker.ready, self._failed_starts = True, 0
        elif block is not None and block.python and message[:16] == block.nonce and len(message) >= ANSWER.size:
            _, code, has_value, cut = ANSWER.unpack_from(message)
            block.exit_code = code & 0xFF
            if has_value:
                block.value, block.value_cut = message[ANSWER.size :], bool(cut)

    def _note_deaths(self) -> None:
        ended = processes.reap()
        block = self._block
        if block is not None and block.pid in ended and block.exit_code is None:
            block.exit_code = processes.exit_code(ended[block.pid])
            if block.python:
                self._show(block, block.captures[1], _READ_ROUNDS)
                block.captures[1].note(f"[the interpreter {processes.cause(ended[block.pid])}]\n")
        if self._worker.pid in ended:
            shell_runs = block is not None and block.exit_code is None
            self._replace_worker(end_all=not shell_runs)

    def _keep_time(self) -> None:
        block = self._block
        if block is None or block.exit_code is not None or time.monotonic() < block.deadline:
            return
        if not block.stopping:
            self._stop(block, "timeout")
        else:
            block.exit_code = KILLED_EXIT_CODE
            if block.python:
                self._replace_worker()
            else:
                processes.kill_strays(self._worker.pid)

    def _stop(self, block: Block, why: str) -> None:
        if block.stopping:
            return
        block.stopping = why
        block.deadline = time.monotonic() + GRACE_SECONDS
        try:
            if block.python:
                os.kill(block.pid, signal.SIGINT)
            else:
                os.killpg(block.pid, signal.SIGINT)
        except ProcessLookupError:
            pass

    def _replace_worker(self, end_all: bool = True) -> None:
        """Begin with a new interpreter, after ending everything else: variables are lost, files stay."""
        self._state_lost = True
        if not self._worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                sys.stderr.write("the interpreter cannot be started any more\n")
                sys.stderr.flush()
                os._exit(5)
        if end_all:
            processes.kill_everything()
        self._worker.socket.close()
        self._worker = Worker(WORKSPACE)

    def _finish(self, block: Block) -> None:
        strays = processes.kill_strays(self._worker.pid)
        for capture in block.captures:
            self._show(block, capture, _DRAIN_ROUNDS)
            capture.close()
        self._block = None
        self._report(block, strays)

    def _report(self, block: Block, strays: int) -> None:
        self._files.reopen()
        cut = self._tell_files(block.id, *self._files.changes())
        streams = [bytes(part) for c in block.captures for part in (c.head, c.tail)] or [b""] * 4
        value = b"" if block.value is None else block.value[: 4 * MAX_VALUE]
        done: dict[str, object] = {
            "ev": "done",
            "id": block.id,
            "exit_code": TIMEOUT_EXIT_CODE if block.stopping == "timeout" else block.exit_code,
            "stopped": block.stopping,
            "has_value": block.value is not None,
            "value_cut": block.value_cut,
            "parts": [len(part) for part in (*streams, value)],
            "totals": [c.total for c in block.captures] or [0, 0],
            "state_lost": self._state_lost,
            "oom": processes.oom_kills() > block.oom_before,
            "strays": strays,
            "cut": cut,
            "seconds": round(time.monotonic() - block.started, 6),
        }
        self._state_lost = False
        self._channel.send(done, b"".join((*streams, value)))


def _seed_matplotlib() -> None:
    """Copy the font cache that the image was built with to a place where it may be written (the root may not)."""
    target = os.environ.get("MPLCONFIGDIR")
    if not target or not os.path.isdir(_SEED):
        return
    try:
        os.mkdir(target)
        for name in os.listdir(_SEED):
            with open(os.path.join(_SEED, name), "rb") as source, open(os.path.join(target, name), "wb") as copy:
                copy.write(source.read())
    except OSError:
        pass  # matplotlib then makes its own, which only takes longer


def main() -> None:
    """Called by the injected program, once, as PID 1."""
    processes.set_dumpable(False)
    for name in ("SIGINT", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    wakeup, write_end = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _seed_matplotlib()
    channel = Channel(os.dup(0), os.dup(1))
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    try:
        Supervisor(channel, wakeup).run()
    except ConnectionError:
        pass  # the host is gone
    os._exit(0)
