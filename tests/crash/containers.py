"""A chat whose code runs in a real container, driven in a process that is killed: `containers.py FOLDER [AT WHAT]`."""

from __future__ import annotations

import asyncio
import builtins
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from moot.agents.executor import executor
from moot.chats.chat import Chat, Participant
from moot.sandbox.docker import Docker
from moot.sandbox.execution import Execution, File
from moot.sandbox.spec import OnOutput, OpenBox
from moot.termination.limits import Limits
from tests.crash.driving import drive
from tests.crash.fate import Death, Fate
from tests.crash.scenario import Outside
from tests.fakes import Scripted

CODE = """```python
from pathlib import Path
print('begun', flush=True)
Path('sum.txt').write_text(str(6 * 7))
print(6 * 7)
```"""
HEARD = "code heard"
"""The boundary at which a block under way is first heard of."""


def chat(folder: Path, fate: Fate) -> Chat:
    """One writes code, one runs it, one reads what came of it."""
    outside = Outside(folder, fate)

    def speaker(name: str, words: str) -> Scripted:
        async def said(number: int, messages: object) -> str:
            outside.reached("turn", name)
            return words

        return Scripted(name, said)

    sandbox = _Seen(outside, fate)
    people: list[Participant] = [
        speaker("coder", CODE),
        executor("runner", sandbox, runs_code_from=["coder"]),
        speaker("reader", "read"),
    ]
    return Chat(people, limits=Limits(turns=3), name="containers")


@dataclass(frozen=True)
class _Seen:
    """A real sandbox; the world is told of every block, since from inside of one nobody can."""

    outside: Outside
    fate: Fate

    def open(self, *, run: str = "", files: Mapping[str, bytes] | None = None) -> AbstractAsyncContextManager[OpenBox]:
        return self._opened(run, dict(files or {}))

    @asynccontextmanager
    async def _opened(self, run: str, files: Mapping[str, bytes]) -> AsyncIterator[OpenBox]:
        async with Docker(timeout_seconds=30.0).open(run=run, files=files) as box:
            yield _SeenBox(box, self.outside, self.fate)

    async def check(self) -> None:
        await Docker().check()


class _SeenBox:
    def __init__(self, box: OpenBox, outside: Outside, fate: Fate) -> None:
        self._box, self._outside, self._fate = box, outside, fate

    async def run(
        self,
        code: str,
        language: str = "python",
        *,
        timeout_seconds: float | None = None,
        on_output: OnOutput | None = None,
    ) -> Execution:
        self._outside.reached("code", "runner")

        def heard(stream: str, text: str) -> None:
            self._fate.cross(HEARD)
            if on_output is not None:
                on_output(stream, text)

        done = await self._box.run(code, language, timeout_seconds=timeout_seconds, on_output=heard)
        self._fate.cross("code done")
        return replace(done, seconds=0.0)  # the only thing in it that is never the same

    async def put(self, name: str, data: bytes) -> None:
        await self._box.put(name, data)

    async def get(self, name: str) -> bytes:
        return await self._box.get(name)

    async def list(self) -> builtins.list[File]:
        return await self._box.list()

    async def interrupt(self) -> None:
        await self._box.interrupt()

    async def close(self) -> None:
        await self._box.close()


if __name__ == "__main__":
    at, what = (*sys.argv[2:], "", "")[:2]
    death = Death(at, what) if at else None
    sys.exit(asyncio.run(partial(drive, make=chat)(Path(sys.argv[1]), death)))
