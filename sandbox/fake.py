"""A sandbox without Docker, for tests of whatever uses one. It runs nothing: a function of yours answers for the code.

box = Fake(lambda code, language: Execution(exit_code=0, stdout="4"))
"""

from __future__ import annotations

import asyncio
import builtins
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import KW_ONLY, dataclass, replace

from moot.sandbox.errors import FileRefused, SandboxError, SandboxGone
from moot.sandbox.execution import INTERRUPTED_EXIT_CODE, TIMEOUT_EXIT_CODE, Execution, File
from moot.sandbox.inputs import check_inputs, check_name
from moot.sandbox.spec import OnOutput, known_language

Answer = Callable[[str, str], Execution | Awaitable[Execution]]
"""Called with the code and its language."""


@dataclass(frozen=True)
class Fake:
    """A specification like `Docker`, whose boxes ask `answer` what the code has done."""

    answer: Answer = lambda code, language: Execution(exit_code=0)
    _: KW_ONLY
    workspace: str = "256m"
    timeout_seconds: float = 60.0
    error: SandboxError | None = None
    """What `check` and `open` raise, to play a sandbox that is not there."""

    def open(self, *, run: str = "", files: Mapping[str, bytes] | None = None) -> AbstractAsyncContextManager[FakeBox]:
        """A box with these files; no two share anything."""
        return self._opened(dict(files or {}))

    @asynccontextmanager
    async def _opened(self, files: dict[str, bytes]) -> AsyncIterator[FakeBox]:
        await self.check()
        check_inputs(files, self.workspace)
        box = FakeBox(self, files)
        try:
            yield box
        finally:
            await box.close()

    async def check(self) -> None:
        """Raise `error`, if there is one."""
        if self.error is not None:
            raise self.error


class FakeBox:
    """An open fake: files in memory, and what it has been asked to run."""

    def __init__(self, spec: Fake, files: dict[str, bytes]) -> None:
        self.spec = spec
        self.files = files
        self.blocks: builtins.list[tuple[str, str]] = []
        """(code, language) of every block so far."""
        self._closed = False
        self._running: asyncio.Future[Execution] | None = None

    async def run(
        self,
        code: str,
        language: str = "python",
        *,
        timeout_seconds: float | None = None,
        on_output: OnOutput | None = None,
    ) -> Execution:
        """What `answer` says; its output is shown, its artifacts are files from now on."""
        language = known_language(language)
        seconds = self.spec.timeout_seconds if timeout_seconds is None else timeout_seconds
        if not seconds > 0:
            raise ValueError(f"timeout_seconds={seconds!r} must be more than 0")
        self._need_open()
        self.blocks.append((code, language))
        said = self.spec.answer(code, language)
        if inspect.isawaitable(said):
            said = await self._in_time(said, seconds)
        self.files.update({artifact.name: artifact.data for artifact in said.artifacts})
        for stream, text in (("stdout", said.stdout), ("stderr", said.stderr)):
            if text and on_output is not None:
                on_output(stream, text)
        return replace(said)

    async def _in_time(self, answer: Awaitable[Execution], seconds: float) -> Execution:
        """The answer, unless its time is up or it is interrupted before."""
        self._running = asyncio.ensure_future(answer)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait({self._running})
            if self._running.cancelled():
                return Execution(exit_code=INTERRUPTED_EXIT_CODE, interrupted=True)
            return self._running.result()
        except TimeoutError:
            return Execution(exit_code=TIMEOUT_EXIT_CODE, timed_out=True, seconds=seconds)
        finally:
            self._running.cancel()
            self._running = None

    async def put(self, name: str, data: bytes) -> None:
        """Write a file."""
        self._need_open()
        check_inputs({name: data}, self.spec.workspace)
        self.files[name] = bytes(data)

    async def get(self, name: str) -> bytes:
        """Read a file; FileRefused if there is none."""
        self._need_open()
        check_name(name)
        if name not in self.files:
            raise FileRefused(f"{name!r} is refused: No such file or directory")
        return self.files[name]

    async def list(self) -> builtins.list[File]:
        """All files, by name."""
        self._need_open()
        return [File(name, len(data)) for name, data in sorted(self.files.items())]

    async def interrupt(self) -> None:
        """Cancel the answer that is being waited for."""
        if self._running is not None:
            self._running.cancel()

    async def close(self) -> None:
        """From now on everything but `close` raises SandboxGone."""
        self._closed = True

    def _need_open(self) -> None:
        if self._closed:
            raise SandboxGone("the fake sandbox has been closed; open a new one")
