"""How a driver hears what others ask of its run: commands are noticed as they come, and taken in between turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import BaseModel

from moot.chats.commands import End, Pause, read_command
from moot.chats.errors import StoreError
from moot.chats.event_types import CommandRefused, PauseAsked
from moot.chats.state import State
from moot.chats.store import Store
from moot.chats.taking import taken
from moot.termination.outcome import Outcome, Stop

AGAIN_SECONDS = 1.0
"""How long a store that cannot be read is left alone before somebody listens again."""


class Hearing:
    """Of one run that is driven here. `record` journals an event; `before` is the last command that was posted when
    nobody drove the run.
    """

    def __init__(self, store: Store, state: State, record: Callable[[BaseModel], None], *, before: int = 0) -> None:
        self._store, self._state, self._record, self._before = store, state, record, before
        self.knocked = True
        """Whether something may have been asked that has not been taken in."""
        self.pausing = ""
        """Why the run is to be left after this step, if it is."""

    async def take(self) -> None:
        """Journal what was asked since the last time, and what comes of it. Raises StoreError."""
        self.knocked = False
        try:
            waiting = await self._store.posted(self._state.run, self._state.commands)
        except BaseException:
            self.knocked = True  # nothing was taken: whoever is interrupted here, or comes next, looks again
            raise
        for posted in waiting:
            data = taken(self._state, posted.number, posted.command)
            if isinstance(data, PauseAsked) and posted.number <= self._before:
                data = CommandRefused(command=data.command, by=data.by, reason="nobody drove the run then")
            self._record(data)
            if isinstance(data, PauseAsked):
                self.pausing = f"asked to pause by {data.by or 'somebody'}"

    async def listen(self, interrupt: Callable[[], None]) -> None:
        """Notice what comes from now on, until cancelled. What is to be done `now` does not wait for the turn's end."""
        seen = self._state.commands
        while True:
            try:
                await self._store.knock(self._state.run, seen)
                posted = await self._store.posted(self._state.run, seen)
            except StoreError:
                self.knocked = True  # the driver looks for itself meanwhile
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            self.knocked = True
            seen = max((each.number for each in posted), default=seen)
            asked = [read_command(each.command) for each in posted]
            if any(isinstance(each, Pause | End) and each.now for each in asked):
                interrupt()

    def stop(self) -> Stop | None:
        """The run's end, where somebody asked for it."""
        asked = self._state.stop_asked
        if asked is None:
            return None
        reason = f": {asked.reason}" if asked.reason else ""
        return Stop("command.stop", f"stopped by {asked.by or 'somebody'}{reason}", Outcome.STOPPED, self._state.turns)
