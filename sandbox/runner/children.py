"""The two kinds of children that PID 1 starts: the interpreter, and a shell for one script."""

# The standard library alone, as lean as can be (see __init__.py): so no pathlib, contextlib or logging here.
# ruff: noqa: PTH208, SIM105, S606

from __future__ import annotations

import os
import signal
import socket
import time

from moot.sandbox.runner import processes
from moot.sandbox.runner.worker import REQUEST, work


class Worker:
    """The interpreter's process and the socket to it."""

    def __init__(self, workspace: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket = ours
        self.ready = False
        self.deaf = False  # it has closed its end of the socket (code may close any descriptor)
        self.pid = _fork()
        if self.pid == 0:
            try:
                _close_all_but(theirs.fileno())
                work(theirs, workspace)
            finally:
                os._exit(4)
        theirs.close()
        ours.setblocking(False)

    def send(self, nonce: bytes, number: int, descriptors: list[int]) -> None:
        """Have it run a block: its stdout, stderr and code. OSError when it cannot be told."""
        try:  # whatever waits there was not asked for: it is forged, or left over from an earlier block
            while self.socket.recv(1 << 17):
                pass
        except BlockingIOError:
            pass
        socket.send_fds(self.socket, [REQUEST.pack(nonce, number)], descriptors)

    def receive(self) -> bytes:
        """A datagram from it; empty when there is none. From its hanging up on it is `deaf`."""
        try:
            message = self.socket.recv(1 << 17)
        except BlockingIOError:
            return b""
        except OSError:
            message = b""
        self.deaf = not message
        return message


def _fork() -> int:
    # Right after a fork bomb was ended the last of its pids may still count against the container's limit.
    deadline = time.monotonic() + 2
    while True:
        try:
            return os.fork()
        except OSError:
            if time.monotonic() > deadline:
                raise
            processes.reap()
            time.sleep(0.001)


def _close_all_but(keep: int) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    for number in [int(name) for name in os.listdir("/proc/self/fd")]:
        if number > 2 and number != keep:
            try:
                os.close(number)
            except OSError:
                pass


def start_shell(workspace: str, language: str, descriptors: list[int]) -> int:
    """Run a script in a shell of its own; the script is read from descriptor 9, so that stdin stays empty."""
    out, err, source = descriptors
    os.lseek(source, 0, os.SEEK_SET)
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        processes.limit_file_size()
        processes.go_first()
        os.chdir(workspace)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(source, 9)
        os.set_inheritable(9, True)
        os.closerange(3, 9)
        os.closerange(10, 1024)
        for name in ("SIGINT", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGTERM", "SIGCHLD", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        os.execvp(language, [language, "/dev/fd/9"])
    except OSError as error:
        os.write(2, f"{language}: {error.strerror}\n".encode())
    finally:
        os._exit(127)
