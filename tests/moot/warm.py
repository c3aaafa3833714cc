"""Commands from a process that has imported everything: each is a process of its own, forked instead of started.

Starting Python and importing AutoGen is most of what a short command costs, and there are many in these tests. What a
command sees is the same: its arguments, streams, folder and environment, an exit as any interpreter exits, a number
that can be killed. Run as a program it is the one that forks, told through a socket on its stdin.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "autogen_agentchat.agents moot.chats.build moot.chats.sqlite_store moot.cli.app moot.cli.conduct "
    "moot.cli.display_plain moot.cli.driving moot.cli.failures rich.console rich.syntax rich.table"
).split()
"""What most commands import. Nothing here reads the environment at import, and nothing starts a thread."""
AT_START = ("PYTHON", "LC_", "LANG", "TYPER_")
"""Variables that begin like this are read when an interpreter starts: such a command is started, not forked."""
NUMBER = struct.Struct("i")


class Warm:
    """A process to fork commands from, started when the first one comes."""

    def __init__(self) -> None:
        self._forker: tuple[subprocess.Popen[bytes], socket.socket] | None = None

    @staticmethod
    def fits(env: Mapping[str, str]) -> bool:
        """Whether a command with that environment sees what it would see if it was started."""
        odd = {name for name in {*env, *os.environ} if name.startswith(AT_START)}
        return all(env.get(name) == os.environ.get(name) for name in odd)

    def run(self, args: Sequence[str], folder: Path, env: Mapping[str, str], *, seconds: float) -> tuple[int, str, str]:
        """`moot ARGS`: exit code (negative for a signal), stdout, stderr. Raises TimeoutError, the command killed."""
        mine, its = socket.socketpair()
        asked = json.dumps({"args": list(args), "folder": str(folder), "env": dict(env)}).encode()
        with mine, its, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            socket.send_fds(self._socket(), [b"."], [its.fileno(), out.fileno(), err.fileno()])
            its.close()
            mine.sendall(struct.pack("I", len(asked)) + asked)
            pid = NUMBER.unpack(_exactly(mine, NUMBER.size))[0]
            mine.settimeout(seconds)
            try:
                code = NUMBER.unpack(_exactly(mine, NUMBER.size))[0]
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
            return code, _text(out.fileno()), _text(err.fileno())

    def close(self) -> None:
        """End it; commands under way are not touched."""
        if self._forker is not None:
            process, mine = self._forker
            mine.close()
            process.wait()

    def _socket(self) -> socket.socket:
        if self._forker is None:
            mine, its = socket.socketpair()
            with its:
                command = [sys.executable, "-m", "tests.moot.warm"]
                process = subprocess.Popen(command, cwd=ROOT, stdin=its.fileno(), stdout=subprocess.DEVNULL)
            self._forker = (process, mine)
        return self._forker[1]


def _exactly(sock: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = sock.recv(size - len(parts))
        if not part:
            raise EOFError("the other side has gone")
        parts += part
    return parts


def _text(file: int) -> str:
    return os.pread(file, os.fstat(file).st_size, 0).decode()


def serve() -> None:
    """Fork a command for each that is asked for; returns in the commands, and when nobody can ask any more."""
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait for commands
    with socket.socket(fileno=os.dup(0)) as asked:
        while True:
            _, files, _, _ = socket.recv_fds(asked, 1, 3)
            if not files:
                raise SystemExit
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
    _become(files)


def _become(files: Sequence[int]) -> None:
    """In the child: wait for a child of its own, which returns from here as the command."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    reply = socket.socket(fileno=files[0])
    given = json.loads(_exactly(reply, struct.unpack("I", _exactly(reply, 4))[0]))
    pid = os.fork()
    if pid:
        _wait(pid, reply)
    reply.close()
    for stream, file in zip((0, 1, 2), (os.open(os.devnull, os.O_RDONLY), *files[1:]), strict=True):
        os.dup2(file, stream)
        os.close(file)
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["env"])
    time.tzset()
    sys.path[0] = given["folder"]
    sys.argv[:] = ["moot", *given["args"]]


def _wait(pid: int, reply: socket.socket) -> NoReturn:
    with contextlib.suppress(BrokenPipeError):  # a test that has ended waits no more
        reply.sendall(NUMBER.pack(pid))
        _, status = os.waitpid(pid, 0)
        reply.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


if __name__ == "__main__":
    serve()
    from moot.cli import main

    main()
