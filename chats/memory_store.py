"""Journals in memory: for tests, benchmarks and runs that nobody wants to keep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

from moot.chats.blobs import MemoryBlobs
from moot.chats.chain import EMPTY, chained
from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.events import Event, dumped
from moot.chats.owner import is_dead
from moot.chats.rows import row_of
from moot.chats.store import LEASE_SECONDS, Chain, Claim, RunRow


@dataclass(slots=True)
class _Kept:
    chat: str
    events: list[Event] = field(default_factory=list)
    epoch: int = 0
    owner: str | None = None
    until: float = 0.0
    status: str = "created"


class MemoryStore:
    """A `Store` that forgets. Nothing is serialised, so it shows what the loop itself costs."""

    def __init__(self) -> None:
        self.blobs = MemoryBlobs()
        self._runs: dict[str, _Kept] = {}

    async def create(self, run: str, chat: str) -> None:
        """A new run with an empty journal."""
        if run in self._runs:
            raise StoreError(f"there is a run {run!r} already")
        self._runs[run] = _Kept(chat)

    async def claim(self, run: str, owner: str) -> Claim:
        """Take the run over."""
        kept = self._of(run)
        if kept.owner is not None and kept.owner != owner and kept.until > time.time() and not is_dead(kept.owner):
            raise Fenced(f"run {run} is driven by another process")
        kept.owner, kept.epoch, kept.until = owner, kept.epoch + 1, time.time() + LEASE_SECONDS
        return Claim(run, kept.epoch, len(kept.events))

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        """All or nothing."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        kept = self._of(claim.run)
        if kept.epoch != claim.epoch or len(kept.events) != expected_head:
            done.set_exception(Fenced(f"run {claim.run} is driven by another process"))
            return done
        kept.events.extend(events)
        if status is not None:
            kept.status, kept.owner = status, None
        done.set_result(None)
        return done

    async def renew(self, claim: Claim) -> None:
        """Hold the claim for another lease."""
        kept = self._of(claim.run)
        if kept.epoch != claim.epoch:
            raise Fenced(f"run {claim.run} is driven by another process")
        kept.until = time.time() + LEASE_SECONDS

    async def release(self, claim: Claim) -> None:
        """Give the claim back."""
        kept = self._of(claim.run)
        if kept.epoch == claim.epoch:
            kept.owner = None

    async def load(self, run: str, after: int = 0) -> list[Event]:
        """The events after that one."""
        return self._of(run).events[after:]

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

    async def runs(self) -> list[RunRow]:
        """Every run, newest first."""
        return [
            row_of(
                run,
                k.chat,
                k.status,
                k.events,
                driven=k.owner is not None and k.until > time.time() and not is_dead(k.owner),
            )
            for run, k in sorted(self._runs.items(), reverse=True)
            if k.events
        ]

    async def names(self, prefix: str = "") -> list[str]:
        """The ids that begin like this."""
        return sorted(r for r, kept in self._runs.items() if kept.events and r.startswith(prefix))

    async def close(self) -> None:
        """Nothing to give back."""

    def _of(self, run: str) -> _Kept:
        try:
            return self._runs[run]
        except KeyError:
            raise UserError(f"no run {run!r} in this store") from None
