"""`Box`: an open Docker sandbox. One container, one interpreter, one workspace, for as long as it is open."""

from __future__ import annotations

import asyncio
import builtins
import errno
import math
from collections.abc import Mapping
from contextlib import suppress

from moot.sandbox.artifacts import Harvest
from moot.sandbox.docker import Docker
from moot.sandbox.engine import Attached, Engine, see_through
from moot.sandbox.errors import EngineUnavailable, FileRefused, ProtocolViolation, SandboxGone, WorkspaceFull
from moot.sandbox.execution import Execution, File
from moot.sandbox.inputs import check_inputs, check_name
from moot.sandbox.protocol import CHUNK, MAX_CODE, Done, Reply, split_body
from moot.sandbox.runner.capture import HARD_STOP
from moot.sandbox.runner.supervisor import GRACE_SECONDS
from moot.sandbox.sizes import parse_size, show_size
from moot.sandbox.spec import OnOutput, known_language
from moot.sandbox.wire import Answer, Entry, Wire

_START_SECONDS = 30.0
_FILE_SECONDS = 30.0
_PATIENCE_SECONDS = 15.0  # beyond a block's own time: for its end, the list of files, and a busy machine


class Box:
    """A live interpreter and a workspace in a container. Made by `Docker(...).open()`."""

    def __init__(self, spec: Docker, engine: Engine, attached: Attached) -> None:
        self.spec = spec
        self.name = attached.name
        """The container's name."""
        self.python = ""
        """The version of Python in it."""
        self._engine = engine
        self._wire = Wire(attached)
        self._harvest = Harvest(spec)
        self._wire.on_abandoned = self._note
        self._state_lost = False
        self._turn = asyncio.Lock()
        self._running: int | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, spec: Docker, *, run: str, files: Mapping[str, bytes]) -> Box:
        """Start a container and put the input files in. Whatever goes wrong, nothing of it is left."""
        check_inputs(files, spec.workspace)
        engine = Engine(spec.engine)
        try:
            attached = await engine.start(spec, run=run)
        except BaseException:
            await engine.close()
            raise
        box = cls(spec, engine, attached)
        try:
            await box._wire.open()
            box.python = (await box._wire.hello(_START_SECONDS)).python
            for name, data in files.items():
                await box.put(name, data)
        except BaseException:
            await box.close()
            raise
        return box

    async def run(
        self,
        code: str,
        language: str = "python",
        *,
        timeout_seconds: float | None = None,
        on_output: OnOutput | None = None,
    ) -> Execution:
        """Run one block and bring back what it printed, came to and made.

        A failing program is a result. SandboxError means that the sandbox failed, ValueError that the language is not
        supported. Cancelling interrupts the block; the box can then be used on.
        """
        language = known_language(language)
        timeout = self.spec.timeout_seconds if timeout_seconds is None else timeout_seconds
        if not (math.isfinite(timeout) and timeout > 0):
            raise ValueError(f"timeout_seconds={timeout!r} must be more than 0")
        source = code.encode("utf-8", "replace")
        if len(source) > MAX_CODE:
            why = f"the block has {show_size(len(source))} of code; at most {show_size(MAX_CODE)} are run"
            return Execution(exit_code=1, skipped=why)
        async with self._turn:
            answer = await self._execute(source, language, timeout, on_output)
            return await self._result(answer)

    async def _execute(self, source: bytes, language: str, seconds: float, on_output: OnOutput | None) -> Answer:
        number = self._running = self._wire.next_id()
        try:
            return await self._ask(
                {"op": "exec", "language": language, "timeout": seconds},
                source,
                timeout_seconds=seconds + GRACE_SECONDS + _PATIENCE_SECONDS,
                on_output=on_output,
                number=number,
            )
        except BaseException:  # cancelled, or a mistake in on_output: nobody waits for the block any more
            self._wire.tell({"op": "interrupt", "id": number})
            raise
        finally:
            self._running = None

    async def _result(self, answer: Answer) -> Execution:
        done = answer.event
        assert isinstance(done, Done)
        out_head, out_tail, err_head, err_tail, value = split_body(done, answer.body)
        self._note(done, answer.files)
        artifacts, not_kept = await self._harvest.gather(self._read, cut=done.cut)
        stdout, stderr = (
            _text(head, tail, total)
            for head, tail, total in ((out_head, out_tail, done.totals[0]), (err_head, err_tail, done.totals[1]))
        )
        if done.stopped == "output":
            stderr += f"\n[stopped: the block printed more than {show_size(HARD_STOP)}]\n"
        state_lost, self._state_lost = self._state_lost, False
        return Execution(
            exit_code=done.exit_code,
            stdout=stdout,
            stderr=stderr,
            value=value.decode("utf-8", "replace") if done.has_value else None,
            timed_out=done.stopped == "timeout",
            interrupted=done.stopped == "interrupt",
            oom=done.oom,
            state_lost=state_lost,
            truncated=done.value_cut or sum(done.totals) > sum(done.parts[:4]),
            strays_killed=done.strays,
            artifacts=artifacts,
            not_kept=not_kept,
            seconds=done.seconds,
        )

    def _note(self, done: Done, files: builtins.list[Entry]) -> None:
        """Keep what has to be told with the next result, which may be another block's if this one was cancelled."""
        self._state_lost |= done.state_lost
        self._harvest.note(files)

    async def put(self, name: str, data: bytes) -> None:
        """Write a file into the workspace, making its folders. It counts as an input until a block changes it.

        InputTooLarge before anything is sent, WorkspaceFull when there is no room left, FileRefused for a name that
        is not a relative path within the workspace.
        """
        check_inputs({name: data}, self.spec.workspace)
        for start in range(0, max(1, len(data)), CHUNK):
            piece = data[start : start + CHUNK]
            answer = await self._ask({"op": "put", "name": name, "offset": start}, piece)
            self._need_done(answer, name)
        self._harvest.input(name, data)

    async def get(self, name: str) -> bytes:
        """Read a regular file of the workspace. FileRefused if there is none, or the name leads out."""
        check_name(name)
        return await self._read(name, parse_size(self.spec.workspace, what="workspace"))

    async def _read(self, name: str, most: int) -> bytes:
        data = bytearray()
        while True:
            answer = await self._ask({"op": "get", "name": name, "offset": len(data), "most": CHUNK})
            total = self._need_done(answer, name).size
            data += answer.body
            if max(total, len(data)) > most:
                raise FileRefused(f"{name!r} has {show_size(total)}; at most {show_size(most)} are read")
            if not answer.body or len(data) >= total:
                return bytes(data)

    async def list(self) -> builtins.list[File]:
        """All regular files of the workspace, by name (at most 10,000)."""
        answer = await self._ask({"op": "list"})
        return sorted((File(name, size) for name, size, _ in answer.files), key=lambda file: file.name)

    async def interrupt(self) -> None:
        """Stop the block that is running, if one is; its `run` returns with `interrupted` set."""
        if self._running is not None:
            self._wire.tell({"op": "interrupt", "id": self._running})

    async def close(self) -> None:
        """Remove the container and let go of everything, also when cancelled meanwhile. Safe to call twice."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        try:
            await asyncio.shield(self._closing)
        except asyncio.CancelledError:
            await see_through(self._closing)
            raise

    async def _close(self) -> None:
        try:
            await self._wire.close()
            # Without an engine there is no removing. The stream has ended, so the container goes by itself; if the
            # engine died with it, `prune` finds what is left.
            with suppress(EngineUnavailable):
                await self._engine.remove(self.name)
        finally:
            await self._engine.close()

    async def _ask(
        self,
        head: dict[str, object],
        body: bytes = b"",
        *,
        timeout_seconds: float = _FILE_SECONDS,
        on_output: OnOutput | None = None,
        number: int | None = None,
    ) -> Answer:
        if self._closing is not None:
            raise SandboxGone(f"the sandbox {self.name} has been closed; open a new one")
        try:
            return await self._wire.ask(head, body, timeout_seconds=timeout_seconds, on_output=on_output, number=number)
        except (ProtocolViolation, SandboxGone):
            await self.close()  # neither a liar nor a container that does not answer may live on
            raise

    def _need_done(self, answer: Answer, name: str) -> Reply:
        reply = answer.event
        assert isinstance(reply, Reply)
        if reply.error is None:
            return reply
        if reply.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise WorkspaceFull(
                f"no room for {name!r}: the workspace of {self.spec.workspace} is full; give the sandbox a larger one"
            )
        if reply.errno == errno.ELOOP:
            raise FileRefused(f"{name!r} is refused: it is a symbolic link, or lies behind one")
        raise FileRefused(f"{name!r} is refused: {reply.error}")


def _text(head: bytes, tail: bytes, total: int) -> str:
    gap = total - len(head) - len(tail)
    if gap <= 0:
        return (head + tail).decode("utf-8", "replace")
    middle = f"\n[... {gap} bytes left out ...]\n"
    return head.decode("utf-8", "replace") + middle + tail.decode("utf-8", "replace")
