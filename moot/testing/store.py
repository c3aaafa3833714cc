"""A store that dies: the process that drives a run, as far as the run can tell, is no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace

from moot.chats.errors import StoreError
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.store import Blobs, Chain, Claim, Posted, RunRow, Store
from moot.sandbox.owner import this_process


class Killed(StoreError):
    """The process is no more."""


class DyingStore:
    """Any store, up to the n-th append (`at`, from 1; 0: never). It dies before that is committed, or `after` it and
    before anybody hears of it; from then on nothing works. Runs that it claims are held by a process that is dead, so
    that the next one gets them at once.
    """

    def __init__(self, inner: Store, owner: str = "", *, at: int = 0, after: bool = False) -> None:
        self._inner, self._owner, self._after = inner, owner or dead_owner(), after
        self.at = at
        self.blobs: Blobs = inner.blobs
        self.lease_seconds = inner.lease_seconds
        self.appends = 0
        """How many there were."""
        self.fired = False
        """Whether it died."""
        self.last: tuple[str, ...] = ()
        """The types of the events that it died with."""

    async def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> None:
        """Append, or die."""
        self.appends += 1
        dies = self.appends == self.at
        if dies:
            self.last = tuple(event.type for event in events)
        if self.fired or (dies and not self._after):
            self.fired = True
            raise Killed("killed before its commit")
        await self._inner.append(claim, expected_head, events, status)
        if dies:
            self.fired = True
            raise Killed("killed after its commit")

    async def claim(self, run: str, owner: str) -> Claim:
        """Take the run over, in the name of a dead process."""
        return await self._inner.claim(run, self._owner)

    async def release(self, claim: Claim) -> None:
        """The dead give nothing back."""
        if not self.fired:
            await self._inner.release(claim)

    async def create(self, run: str, chat: str, *, parent: str = "", base: int = 0) -> None:
        """The inner store's, as all that follows."""
        await self._inner.create(run, chat, parent=parent, base=base)

    async def renew(self, claim: Claim) -> None:
        """Hold the claim."""
        await self._inner.renew(claim)

    async def load(self, run: str, after: int = 0, *, types: Collection[str] = ()) -> list[Event]:
        """The events of a run."""
        return await self._inner.load(run, after, types=types)

    async def chain(self, run: str) -> Chain:
        """The digests of a run's rows."""
        return await self._inner.chain(run)

    async def post(self, run: str, command: str) -> int:
        """Leave a command."""
        return await self._inner.post(run, command)

    async def posted(self, run: str, after: int = 0) -> list[Posted]:
        """The commands that were left."""
        return await self._inner.posted(run, after)

    async def knock(self, run: str, after: int = 0) -> None:
        """Wait for a command."""
        await self._inner.knock(run, after)

    def watch(self, run: str, after: int = 0) -> AsyncIterator[Event]:
        """Follow a run."""
        return self._inner.watch(run, after)

    async def row(self, run: str) -> RunRow:
        """One run."""
        return await self._inner.row(run)

    async def runs(self) -> list[RunRow]:
        """Every run."""
        return await self._inner.runs()

    async def remove(self, run: str) -> int:
        """Forget a run."""
        return await self._inner.remove(run)

    async def names(self, prefix: str = "") -> list[str]:
        """The ids of the runs."""
        return await self._inner.names(prefix)

    async def close(self) -> None:
        """Close the inner store."""
        await self._inner.close()


def dead_owner() -> str:
    """A driver whose process is gone: this one's pid, used before by another process."""
    nonce = new_owner().rpartition(":")[2]
    return f"{replace(this_process(), started='0')}:{nonce}"
