"""The thread that owns a journal file's connection.

It takes every job that is waiting, does all of them in one transaction, and tells each caller how its own went (group
commit). While another process keeps the file busy, jobs that only read are done nevertheless. While somebody waits for
what another process writes, it also looks for that, ten times a second for all of them together.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from moot.chats.errors import ChatError, StoreError
from moot.chats.sqlite_faults import fault, is_busy
from moot.chats.sqlite_look import Looker

T = TypeVar("T")
LOOK_SECONDS = 0.1
"""How often the file is looked at for what other processes wrote, while somebody waits for that."""
SLICE_SECONDS = 0.05
"""How long a file that is kept busy is waited for at a stretch: so long a reader may have to wait for a writer."""


class Job(NamedTuple):
    """Something to do with the connection."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    appends: str
    """The run that gets events by it, or empty."""
    reads: bool
    """It changes nothing: another process that writes for long does not hold it up."""
    until: float
    """How long a busy file is waited for, by the machine's own clock."""


_Told = tuple[Job, Any, Exception | None]


class Writer:
    """Does jobs in their order, but that reads go before what waits for a busy file. `forget` is called in the thread
    whenever something was rolled back.
    """

    def __init__(
        self, db: sqlite3.Connection, path: Path, looker: Looker, *, forget: Callable[[], None], patience_seconds: float
    ) -> None:
        self.news = looker.news
        self._db, self._path, self._looker, self._forget = db, path, looker, forget
        self._patience_seconds = patience_seconds
        db.execute(f"PRAGMA busy_timeout={int(1000 * min(SLICE_SECONDS, patience_seconds))}")
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._blocked: list[Job] = []
        """What is tried again because the file was busy, in its order. Used in the thread alone."""
        self._closed = self._ended = False
        self._looked = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True, name="moot-store")
        self._thread.start()

    def submit(
        self, work: Callable[[sqlite3.Connection], T], *, appends: str = "", reads: bool = False
    ) -> asyncio.Future[T]:
        """Do it with the next batch. Raises StoreError where it is awaited."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(self._is_closed())
        else:
            self._jobs.put(Job(work, future, appends, reads, time.monotonic() + self._patience_seconds))
            if self._ended:  # closed by another thread since it was looked at
                self._refuse_left()
        return future

    async def close(self) -> None:
        """Finish what waits, then give back the file and the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self.news.wake_all()  # they are told when they look
            await asyncio.to_thread(self._thread.join)
            self._db.close()

    def _work(self) -> None:
        goes_on = True
        while goes_on or self._blocked:
            waiting = self._next()
            goes_on = goes_on and None not in waiting
            self._do([job for job in waiting if job is not None])
            if self.news and time.monotonic() >= self._looked + LOOK_SECONDS:
                self._look()
        self._ended = (
            True  # whoever puts something after this line looks at it and refuses that; what is before is here
        )
        self._refuse_left()

    def _next(self) -> list[Job | None]:
        """All that came; none when it is time to look, or to try again."""
        patience = LOOK_SECONDS if self.news else None
        try:
            first = self._jobs.get(block=not self._blocked, timeout=patience)
        except queue.Empty:
            return []
        return [first] + [self._jobs.get() for _ in range(self._jobs.qsize())]

    def _do(self, jobs: Sequence[Job]) -> None:
        blocked, self._blocked = self._blocked, []
        if blocked:
            jobs = [*blocked, *jobs]
            self._tell(self._together([job for job in jobs if job.reads]))
            jobs = [*self._blocked, *(job for job in jobs if not job.reads)]
            self._blocked = []
        self._tell(self._together(jobs))

    def _together(self, jobs: Sequence[Job]) -> list[_Told]:
        if not jobs:
            return []
        begun, outcome = False, list[_Told]()
        try:
            self._db.execute("BEGIN" if all(job.reads for job in jobs) else "BEGIN IMMEDIATE")
            begun = True
            for job in jobs:
                try:
                    outcome.append((job, job.work(self._db), None))
                except ChatError as refused:  # it wrote nothing: the others may go on
                    outcome.append((job, None, refused))
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - never acknowledge what may not be on disk
            with contextlib.suppress(sqlite3.Error):
                self._db.rollback()
            self._forget()
            if begun and len(jobs) > 1:  # one that cannot be done must not take the others with it
                return self._one_by_one(jobs)
            failed = [job for job in jobs if begun or not job.reads] or jobs
            outcome = self._failed(failed, error)
            if len(failed) < len(jobs):  # the file is kept busy: that is nothing to those who only read
                outcome += self._together([job for job in jobs if job.reads])
        return outcome

    def _one_by_one(self, jobs: Sequence[Job]) -> list[_Told]:
        outcome = list[_Told]()
        for job in jobs:
            if self._blocked and not job.reads:  # nothing overtakes what was to be written before it
                self._blocked.append(job)
            else:
                outcome += self._together([job])
        return outcome

    def _failed(self, jobs: Sequence[Job], error: Exception) -> list[_Told]:
        """What becomes of jobs that could not be done: as long as the file is only busy, they are tried again."""
        now = time.monotonic() if is_busy(error) else math.inf
        self._blocked += [job for job in jobs if now < job.until]
        return [(job, None, fault(self._path, error)) for job in jobs if now >= job.until]

    def _tell(self, outcome: Sequence[_Told]) -> None:
        """Each loop hears in one call of the results of its own futures, and whoever watches hears of what is new."""
        for loop in {job.future.get_loop() for job, _, _ in outcome}:
            _call(loop, [told for told in outcome if told[0].future.get_loop() is loop])
        if self.news.events:
            self.news.events.wake(job.appends for job, _, _ in outcome if job.appends)

    def _refuse_left(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                if (job := self._jobs.get(block=False)) is not None:
                    _call(job.future.get_loop(), [(job, None, self._is_closed())])

    def _is_closed(self) -> StoreError:
        return StoreError(f"{self._path} is closed")

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            self._looker.look(self._db)
        except Exception:  # noqa: BLE001 - whoever waits meets it when looking; this thread must not end by it
            self.news.wake_all()


def _call(loop: asyncio.AbstractEventLoop, outcome: Sequence[_Told]) -> None:
    try:
        loop.call_soon_threadsafe(_settle, outcome)
    except RuntimeError:  # that loop is closed: nobody waits there any more
        return


def _settle(outcome: Sequence[_Told]) -> None:
    for job, value, error in outcome:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)
