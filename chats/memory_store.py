"""Journals in memory: for tests, benchmarks and runs that nobody wants to keep."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from moot.chats.blobs import MemoryBlobs, digests_in
from moot.chats.chain import EMPTY, chained
from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.events import Event, dumped
from moot.chats.owner import NOBODY, Hold, is_held, pid_of
from moot.chats.rows import row_of
from moot.chats.store import LEASE_SECONDS, Chain, Claim, Posted, RunRow
from moot.chats.waiters import News

LOOK_SECONDS = 0.1
"""How often somebody who watches a run looks whether its driver still lives."""


@dataclass(slots=True)
class _Kept:
    chat: str
    parent: str
    base: int
    events: list[Event] = field(default_factory=list)
    commands: list[Posted] = field(default_factory=list)
    epoch: int = 0
    hold: Hold = NOBODY
    status: str = "created"


class MemoryStore:
    """A `Store` that forgets. Nothing is serialised, so it shows what the loop itself costs. `clock` is the time on the
    wall.
    """

    def __init__(self, *, lease_seconds: float = LEASE_SECONDS, clock: Callable[[], float] = time.time) -> None:
        self.lease_seconds = lease_seconds
        self.blobs = MemoryBlobs(clock)
        self._clock = clock
        self._runs: dict[str, _Kept] = {}
        self._news = News()

    async def create(self, run: str, chat: str, *, parent: str = "", base: int = 0) -> None:
        """A new run with an empty journal."""
        if run in self._runs:
            raise StoreError(f"there is a run {run!r} already")
        self._runs[run] = _Kept(chat, parent, base)

    async def claim(self, run: str, owner: str) -> Claim:
        """Take the run over."""
        kept = self._of(run)
        if kept.hold.owner != owner and self._is_driven(kept):
            raise Fenced(f"run {run} is driven by another process (pid {pid_of(kept.hold.owner)})")
        kept.epoch += 1
        kept.hold = self._lease(owner)
        return Claim(run, kept.epoch, len(kept.events))

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        """All or nothing."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        kept = self._runs.get(claim.run)
        if kept is None or kept.epoch != claim.epoch or len(kept.events) != expected_head:
            done.set_exception(Fenced(f"run {claim.run} is driven by another process; nothing was written"))
            return done
        kept.events.extend(events)
        if status is not None:
            kept.status, kept.hold = status, NOBODY
        done.set_result(None)
        self._news.events.wake([claim.run])
        return done

    async def renew(self, claim: Claim) -> None:
        """Hold the claim for another lease."""
        kept = self._runs.get(claim.run)
        if kept is None or kept.epoch != claim.epoch:
            raise Fenced(f"run {claim.run} is driven by another process")
        kept.hold = self._lease(kept.hold.owner)

    async def release(self, claim: Claim) -> None:
        """Give the claim back."""
        kept = self._runs.get(claim.run)
        if kept is not None and kept.epoch == claim.epoch:
            kept.hold = NOBODY
            self._news.events.wake([claim.run])

    async def load(self, run: str, after: int = 0, *, types: Collection[str] = ()) -> list[Event]:
        """The events after that one."""
        events = self._of(run).events[after:]
        return [event for event in events if event.type in types] if types else events

    async def chain(self, run: str) -> Chain:
        """Made when it is asked for, from the events themselves: nobody gets at them behind this store's back, so what
        is found counts as recorded.
        """
        rows = (
            (e.seq, float(e.ts), e.turn, e.attempt, e.type, e.participant, e.span, dumped(e.data))
            for e in self._of(run).events
        )
        found = chained(EMPTY, rows).hex()
        return Chain(found, found)

    async def post(self, run: str, command: str) -> int:
        """Leave a command for the run."""
        commands = self._of(run).commands
        commands.append(Posted(len(commands) + 1, self._clock(), command))
        self._news.commands.wake([run])
        return len(commands)

    async def posted(self, run: str, after: int = 0) -> list[Posted]:
        """The commands after that one."""
        return self._of(run).commands[after:]

    async def knock(self, run: str, after: int = 0) -> None:
        """Wait for a command after that one."""
        with self._news.commands.one(run) as waiter:
            while len(self._of(run).commands) <= after:
                await waiter.came()

    async def watch(self, run: str, after: int = 0) -> AsyncIterator[Event]:
        """Follow a run, whoever drives it."""
        with self._news.events.one(run) as waiter:
            while True:
                kept = self._of(run)
                new, driven = kept.events[after:], self._is_driven(kept)
                for event in new:
                    after += 1
                    yield event
                if not driven:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiter.came(), LOOK_SECONDS)

    async def row(self, run: str) -> RunRow:
        """One run."""
        return self._row(run, self._of(run))

    async def runs(self) -> list[RunRow]:
        """Every run, newest first."""
        return [self._row(run, kept) for run, kept in sorted(self._runs.items(), reverse=True) if kept.events]

    async def names(self, prefix: str = "") -> list[str]:
        """The ids that begin like this."""
        return sorted(r for r, kept in self._runs.items() if kept.events and r.startswith(prefix))

    async def remove(self, run: str) -> int:
        """Forget the run."""
        kept = self._of(run)
        if self._is_driven(kept):
            raise Fenced(
                f"run {run} is driven by a process (pid {pid_of(kept.hold.owner)}): stop it before it is removed"
            )
        del self._runs[run]
        self._news.wake_all()
        size = sum(len(text) for text in _texts(kept))
        if old := self.blobs.old():
            old.difference_update(d for other in self._runs.values() for t in _texts(other) for d in digests_in(t))
            size += self.blobs.drop(old)
        return size

    async def close(self) -> None:
        """Nothing to give back."""

    def _of(self, run: str) -> _Kept:
        try:
            return self._runs[run]
        except KeyError:
            raise UserError(f"no run {run!r} in this store") from None

    def _lease(self, owner: str | None) -> Hold:
        return Hold(owner, self._clock() + self.lease_seconds, time.monotonic() + self.lease_seconds)

    def _is_driven(self, kept: _Kept) -> bool:
        return is_held(kept.hold, self._clock())

    def _row(self, run: str, kept: _Kept) -> RunRow:
        row = row_of(run, kept.chat, kept.status, kept.events, base=kept.base)
        return replace(row, driven=self._is_driven(kept), parent=kept.parent)


def _texts(kept: _Kept) -> list[str]:
    return [*(dumped(event.data) for event in kept.events), *(posted.command for posted in kept.commands)]
