"""What an attempt has under way: when its driver is to look, and who has to leave when it ends.

An attempt is quiet when nothing of it is under way but questions to people. What cannot go on does not raise: an
exception could be swallowed by the agent's own code. It waits, and the driver is told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import NoReturn

GRACE_STEPS = 20
"""Steps of the event loop: so long a branch may take from one effect to its next before the turn counts as quiet."""


class UnderWay:
    """Of one attempt at one turn."""

    def __init__(self) -> None:
        self._wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolved when the driver is to look: the participant is done, waits for a person, or cannot go on."""
        self._error: BaseException | None = None
        """Why it cannot go on."""
        self._spoken = False
        """Whether the participant has said its last word."""
        self.waiting: dict[str, None] = {}
        """The keys of the questions that are waited for."""
        self.running = 0
        """Effects, and other things outside, that are under way."""
        self.closed = False
        self._refused: BaseException | None = None
        self._blocked: list[asyncio.Future[NoReturn]] = []
        self._tasks: set[asyncio.Task[object]] = set()
        """Those that perform something now."""
        self._owned: set[asyncio.Task[object]] = set()

    async def spoke(self) -> bool:
        """Wait until the participant has said its last word (True), or nothing but questions is under way (False).
        Raises what ended the attempt.
        """
        await self._wake
        while not self._spoken and self._error is None:
            if await self._quiet():
                return False
        if self._error is not None:
            raise self._error
        return True

    async def _quiet(self) -> bool:
        for _ in range(GRACE_STEPS):
            await asyncio.sleep(0)
            if self._spoken or self._error is not None:
                return False
        if not self.running:
            return True
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake
        return False

    def said(self) -> None:
        """The participant has said its last word."""
        self._spoken = True
        self._awaken()

    def begin(self) -> asyncio.Task[object] | None:
        """Something begins in this task; to be given to `end`."""
        self.running += 1
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        return task

    def end(self, task: asyncio.Task[object] | None) -> None:
        """It is over, however it ended."""
        if task is not None:
            self._tasks.discard(task)
        self.running -= 1
        if not self.running:
            if self._refused is not None:
                self.broken(self._refused)
            elif self.waiting:
                self._awaken()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """The turn is not quiet meanwhile."""
        task = self.begin()
        try:
            yield
        finally:
            self.end(task)

    def own(self, task: asyncio.Task[object]) -> None:
        """End that task with the attempt."""
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)

    async def wait_for(self, key: str) -> NoReturn:
        """A person has to decide first: the attempt ends as soon as nothing else is under way."""
        self.waiting[key] = None
        if not self.running:
            self._awaken()
        await self._never()

    async def fail(self, error: BaseException) -> NoReturn:
        """End the attempt here."""
        self.broken(error)
        await self._never()

    async def refuse(self, limit: BaseException, *, inside: bool) -> NoReturn:
        """End the attempt once what is under way has ended: it is paid for. What is refused `inside` of something that
        is under way would be waited for by it: then the attempt ends here.
        """
        self._refused = self._refused or limit
        if inside or not self.running:
            self.broken(self._refused)
        await self._never()

    def broken(self, error: BaseException) -> None:
        """The attempt cannot go on; the first reason counts."""
        self._error = self._error or error
        self._awaken()

    def _awaken(self) -> None:
        if not self._wake.done():
            self._wake.set_result(None)

    def close(self) -> set[asyncio.Task[object]]:
        """End every branch that is stuck or still running; tasks an agent made do not die with its turn. Those that
        have yet to leave.
        """
        self.closed = True
        for future in self._blocked:
            future.cancel()
        working = {task for task in self._tasks | self._owned if not task.done()}
        for task in working:
            if not task.cancelling():  # a second cancel would cut off how it cleans up
                task.cancel()
        return working

    async def _never(self) -> NoReturn:
        stuck: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._blocked.append(stuck)
        await stuck
        raise AssertionError("unreachable")
