"""What a driver writes: events are staged, committed together, and only then published to subscribers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from pydantic import BaseModel

from moot.chats.errors import Fenced, StoreError
from moot.chats.events import Draft, Event
from moot.chats.store import Claim, Store

SOON_SECONDS = 0.001
"""A turn's end waits this long for the next intent, to share its commit,"""
SOON_STEPS = 4
"""and then for as many steps of the event loop: so long it takes from a turn's end to the next intent."""
Published = Event | Draft | None
"""What a subscriber gets; None: the run is not driven here any more."""


class Journal:
    """The journal of one claimed run. Subscribers have queues of their own: a slow one holds up nobody."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store, self.claim = store, claim
        self._held_until = time.monotonic() + store.lease_seconds
        """Until then nobody else drives the run."""
        self._committed_head = self._head = claim.head
        self._staged: list[Event] = []
        self._timer: asyncio.Handle | None = None
        self._due: float | None = None
        """When what was staged is to be committed at the latest, by the loop's clock."""
        self._last: asyncio.Future[None] | None = None
        """The last commit that was begun."""
        self._waiting: list[asyncio.Future[None]] = []
        """Of those who wait for it."""
        self._failed: BaseException | None = None
        self._closed = False
        self.on_failure: set[Callable[[BaseException], None]] = set()
        """Called once when nothing can be written any more: whoever waits for something else must not go on waiting."""
        self._subscribers: set[asyncio.Queue[Published]] = set()

    def stage(
        self, data: BaseModel, turn: int = 0, attempt: int = 0, participant: str = "", *, span: str = ""
    ) -> Event:
        """Add to the next commit."""
        self._head += 1
        event = Event(str(type(data).type), turn, attempt, participant, data, span, self._head, time.time())  # type: ignore[attr-defined]
        self._staged.append(event)
        return event

    def soon(self) -> None:
        """Commit shortly, unless something commits before."""
        if self._due is None:
            loop = asyncio.get_running_loop()
            self._due = loop.time() + SOON_SECONDS
            if self._timer is None:  # one that runs already looks again when it finds that it came too early
                self._timer = loop.call_at(self._due, self._expired, loop, SOON_STEPS)

    async def flush(self, status: str | None = None) -> None:
        """Everything staged so far is durable and published when this returns. Raises StoreError, `Fenced`."""
        self._start(status)
        if self._last is not None:
            # a future of its own: a cancelled caller does not take the commit with it
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        if self._failed is not None:
            raise self._failed

    async def hold(self) -> None:
        """The run is driven here and nowhere else when this returns: asked of the store only where the lease is over,
        as in a process that was frozen. Raises StoreError, `Fenced`.
        """
        if time.monotonic() >= self._held_until:
            await self.renew()

    async def renew(self) -> None:
        """Hold the claim for another lease. Raises StoreError, `Fenced`."""
        began, claim = time.monotonic(), self.claim
        try:
            await self.store.renew(claim)
        except Fenced as lost:
            if claim is not self.claim:  # given back and taken anew meanwhile
                return
            self.fail(lost)
            raise
        self._held_until = began + self.store.lease_seconds

    def draft(self, item: Draft) -> None:
        """Publish what is never stored."""
        for subscriber in self._subscribers:
            subscriber.put_nowait(item)

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Published]]:
        """A queue of everything published from now on."""
        queue: asyncio.Queue[Published] = asyncio.Queue()
        self._subscribers.add(queue)
        if self._closed:
            queue.put_nowait(None)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)

    def close(self) -> None:
        """Tell the subscribers that nothing more will come."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for subscriber in self._subscribers:
            subscriber.put_nowait(None)

    def _expired(self, loop: asyncio.AbstractEventLoop, steps: int) -> None:
        self._timer = None
        if self._due is None:
            return
        if loop.time() < self._due:
            self._timer = loop.call_at(self._due, self._expired, loop, SOON_STEPS)
        elif steps:  # a loop that is busy with many runs is late with the next intent, too
            self._timer = loop.call_soon(self._expired, loop, steps - 1)
        else:
            self._start(None)

    def _start(self, status: str | None) -> None:
        self._due = None
        if (self._staged or status) and self._failed is None:
            batch, self._staged = self._staged, []
            expected, self._committed_head = self._committed_head, self._committed_head + len(batch)
            try:
                commit = asyncio.ensure_future(self.store.append(self.claim, expected, batch, status))
            except Exception as error:  # noqa: BLE001 - an event that cannot be written: nothing may follow it
                self.fail(error if isinstance(error, StoreError) else StoreError(f"{type(error).__name__}: {error}"))
            else:
                self._follow(batch, commit)

    def _follow(self, batch: list[Event], commit: asyncio.Future[None]) -> None:
        if commit.done():
            self._committed(batch, commit)
        else:
            waiting: list[asyncio.Future[None]] = []
            self._last, self._waiting = commit, waiting
            commit.add_done_callback(lambda done: self._committed(batch, done, waiting))

    def fail(self, error: BaseException) -> None:
        """Nothing more is written; every later flush raises this."""
        if self._failed is None:
            self._failed = error
            for tell in tuple(self.on_failure):
                tell(error)

    def _committed(
        self, batch: list[Event], done: asyncio.Future[None], waiting: Sequence[asyncio.Future[None]] = ()
    ) -> None:
        """Called in the order of the commits. The first failure is final: what follows would not fit the head."""
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is not None:
            self.fail(error)
        for subscriber in self._subscribers if error is None else ():
            for event in batch:
                subscriber.put_nowait(event)
        if done is self._last:
            self._last = None
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
