"""The live interpreter: a child of PID 1 that keeps one namespace from block to block.

From its first block on nothing here can be trusted: the code it runs shares the process. It is told what to run by
datagrams on a socket pair (a nonce and the block's number, with three descriptors: stdout, stderr, the code) and says
with the same nonce that it is done. How long that took, what was printed, and how the process died is PID 1's to say.
"""

# The standard library alone, as lean as can be (see __init__.py): so no pathlib, contextlib or logging here.
# ruff: noqa: PTH118, SIM105, S102, S110, S307, BLE001, T201, B905

from __future__ import annotations

import ast
import builtins
import fcntl
import io
import linecache
import os
import signal
import socket
import struct
import sys
import traceback
import types

from moot.sandbox.runner.processes import go_first, limit_file_size, set_dumpable

REQUEST = struct.Struct(">16sI")  # nonce, block number
ANSWER = struct.Struct(">16siBB")  # nonce, exit code, whether a value follows, whether it was cut
READY = b"ready"
MAX_VALUE = 8192
"""Characters of the last expression's repr."""
INTERRUPTED = 130


class Answer:
    """What a block came to, as the interpreter itself says."""

    def __init__(self, exit_code: int = 0, value: str | None = None) -> None:
        self.exit_code = exit_code
        self.value = value

    def pack(self, nonce: bytes) -> bytes:
        """The datagram for PID 1."""
        text = (self.value or "")[:MAX_VALUE].encode("utf-8", "replace")
        cut = len(self.value or "") > MAX_VALUE
        return ANSWER.pack(nonce, self.exit_code, self.value is not None, cut) + text


def work(channel: socket.socket, workspace: str) -> None:
    """Run blocks until PID 1 hangs up."""
    _become_ordinary(workspace)
    interpreter = Interpreter(workspace)
    channel.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, REQUEST.size, 3)
        if len(message) != REQUEST.size:
            os._exit(0)
        nonce, number = REQUEST.unpack(message)
        code = _take_over(descriptors)
        answer = interpreter.run(number, code)
        _let_go()
        channel.send(answer.pack(nonce))


def _become_ordinary(workspace: str) -> None:
    """Shed what PID 1 has set up for itself, so that code meets the process it expects."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _not_now)
    os.setsid()
    set_dumpable(True)
    limit_file_size()
    go_first()
    os.chdir(workspace)
    sys.path.insert(0, workspace)
    sys.argv = [""]
    sys.dont_write_bytecode = True
    for name in [name for name in sys.modules if name.partition(".")[0] == "moot"]:
        del sys.modules[name]


def _not_now(number: int, frame: types.FrameType | None) -> None:
    """An interrupt between two blocks has nothing to interrupt."""


def _take_over(descriptors: list[int]) -> str:
    """Put the block's pipes in place of 1 and 2; returns the code from the third descriptor."""
    # Code may have closed 1 and 2, and then these very numbers arrive here: move out of the way first.
    out, err, code = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in descriptors]
    for each in descriptors:
        os.close(each)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    with os.fdopen(code, "rb") as file:
        file.seek(0)
        return file.read().decode("utf-8", "replace")


def _let_go() -> None:
    """Close the block's pipes, so that PID 1 sees their end; what prints between blocks goes nowhere."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        if number != null:
            os.dup2(null, number)
    if null > 2:
        os.close(null)


class Interpreter:
    """A namespace called `__main__`, and the streams that stay the same objects from block to block.

    (A logging handler made in one block keeps the stream it was given; it must still work in the next.)
    """

    def __init__(self, workspace: str) -> None:
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        self._names = main.__dict__
        self._names["__builtins__"] = builtins
        self._workspace = workspace
        self._pid = os.getpid()
        self._streams: tuple[io.TextIOWrapper, ...] = ()

    def run(self, number: int, code: str) -> Answer:
        """Run one block; whatever it raises has become an exit code and a traceback on stderr."""
        answer = Answer()
        try:
            self._renew_streams()
            # An earlier block may have changed how signals are met; this one must be interruptible again.
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            signal.signal(signal.SIGINT, signal.default_int_handler)
            answer = self._evaluate(f"<block {number}>", code)
            if os.getpid() != self._pid:  # a forked child fell out of the user's code: it must not speak for us
                self._flush()
                os._exit(answer.exit_code & 0xFF)
            if not _save_figures(self._workspace, number):
                answer.exit_code = answer.exit_code or 1
        except KeyboardInterrupt:
            answer.exit_code = INTERRUPTED
        finally:
            signal.signal(signal.SIGINT, _not_now)
        self._flush()
        return answer

    def _renew_streams(self) -> None:
        if not self._streams or any(stream.closed for stream in self._streams):
            self._streams = tuple(_open_stream(number) for number in range(3))
        sys.stdin, sys.stdout, sys.stderr = self._streams
        for name, stream in zip(("__stdin__", "__stdout__", "__stderr__"), self._streams):
            setattr(sys, name, stream)

    def _flush(self) -> None:
        for stream in self._streams[1:]:
            try:
                stream.flush()
            except BaseException:  # closed by the code, or a pipe that is gone: nothing is lost that could be kept
                pass

    def _evaluate(self, name: str, code: str) -> Answer:
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        try:
            tree = ast.parse(code, name)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec"), self._names)
            if not isinstance(last, ast.Expr):
                return Answer()
            value = eval(compile(ast.Expression(last.value), name, "eval"), self._names)
            if value is None:
                return Answer()
            self._names["_"] = value
            return Answer(value=repr(value))
        except SystemExit as leaving:
            return Answer(_exit_code(leaving.code))
        except BaseException as error:
            _show(error, name)
            return Answer(INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)


def _open_stream(number: int) -> io.TextIOWrapper:
    if number == 0:
        return io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "rb", closefd=False)), "utf-8", "replace")
    buffer = io.BufferedWriter(io.FileIO(number, "wb", closefd=False))
    return io.TextIOWrapper(buffer, "utf-8", "replace", line_buffering=True)


def _exit_code(code: object) -> int:
    """What `sys.exit(code)` means, as python itself has it."""
    if code is None or isinstance(code, int):
        return int(code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


def _show(error: BaseException, name: str) -> None:
    """The traceback, beginning where the user's own code does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace, file=sys.stderr)


def _save_figures(folder: str, number: int) -> bool:
    """Save the open matplotlib figures as figure-<block>-<n>.png and close them; False if one could not be."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return True
    saved = True
    for figure in pyplot.get_fignums():
        name = f"figure-{number}-{figure}.png"
        try:
            pyplot.figure(figure).savefig(os.path.join(folder, name))
        except Exception as error:
            print(f"{name} could not be saved: {type(error).__name__}: {error}", file=sys.stderr)
            saved = False
    pyplot.close("all")
    return saved
