"""A run seen again from its journal alone: nothing is performed, nothing written, no chat or model is needed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from moot.chats.errors import UserError
from moot.chats.event_types import RunForked, RunResumed, RunStarted
from moot.chats.events import Event
from moot.chats.find import find_run
from moot.chats.home import open_store
from moot.chats.store import Store
from moot.chats.story import Story

Wait = Callable[[float], Awaitable[object]]
_AFTER_REST = RunStarted | RunResumed | RunForked
"""Before these the run lay still, perhaps for days."""


class Replay:
    """A recorded run, event by event: `async for event in replay`. Its `story` is what has been told so far."""

    def __init__(self, run: str, events: list[Event], speed: float | None, wait: Wait) -> None:
        self.run = run
        self.story = Story(run)
        self._events, self._speed, self._wait = events, speed, wait

    async def __aiter__(self) -> AsyncIterator[Event]:
        self.story = Story(self.run)
        before: Event | None = None
        for event in self._events:
            if before is not None and self._speed is not None and not isinstance(event.data, _AFTER_REST):
                await self._wait(max(0.0, event.ts - before.ts) / self._speed)
            before = event
            self.story.apply(event)
            yield event

    def to_end(self) -> Story:
        """The whole story at once."""
        return Story.of(self.run, self._events)


async def replay(
    run: str, *, speed: float | None = None, store: Store | Path | str | None = None, wait: Wait = asyncio.sleep
) -> Replay:
    """The run with that id, or the beginning of one, as far as it has come; also one that is driven by another process.

    `speed` 1.0 is as fast as it went, 2.0 twice as fast, None without waiting; time in which the run lay still is not
    waited for. Raises UserError for an unknown run or speed, StoreError for a journal that cannot be read.
    """
    if speed is not None and not (speed > 0 and math.isfinite(speed)):
        raise UserError(f"speed {speed}: give a number above 0, or none to wait for nothing")
    kept, opened = open_store(store)
    try:
        name = await find_run(kept, run)
        return Replay(name, await kept.load(name), speed, wait)
    finally:
        if opened:
            await kept.close()
