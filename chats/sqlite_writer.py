"""The thread that owns a journal file's connection.

It takes every job that is waiting, does all of them in one transaction, and tells each caller how its own went (group
commit). While somebody waits for what another process writes, it also looks for that, ten times a second for all of
them together.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from moot.chats.errors import ChatError, StoreError
from moot.chats.sqlite_faults import fault
from moot.chats.sqlite_look import Looker

T = TypeVar("T")
LOOK_SECONDS = 0.1
"""How often the file is looked at for what other processes wrote, while somebody waits for that."""


class Job(NamedTuple):
    """Something to do with the connection."""

    work: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    appends: str
    """The run that gets events by it, or empty."""
    reads: bool
    """It changes nothing: another process that writes for long does not hold it up."""


_Told = tuple[asyncio.Future[Any], Any, Exception | None]


class Writer:
    """Does jobs in their order. `forget` is called in the thread whenever something was rolled back."""

    def __init__(self, db: sqlite3.Connection, path: Path, looker: Looker, forget: Callable[[], None]) -> None:
        self.news = looker.news
        self._db, self._path, self._looker, self._forget = db, path, looker, forget
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        self._looked = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True, name="moot-store")
        self._thread.start()

    def submit(
        self, work: Callable[[sqlite3.Connection], T], *, appends: str = "", reads: bool = False
    ) -> asyncio.Future[T]:
        """Do it with the next batch. Raises StoreError where it is awaited."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(StoreError(f"{self._path} is closed"))
        else:
            self._jobs.put(Job(work, future, appends, reads))
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
        while True:
            waiting = self._next()
            if waiting:
                jobs = [job for job in waiting if job is not None]
                if jobs:
                    self._do(jobs)
                if None in waiting:
                    return
            if self.news and time.monotonic() >= self._looked + LOOK_SECONDS:
                self._look()

    def _next(self) -> list[Job | None]:
        """All that wait; none when it is time to look."""
        patience = LOOK_SECONDS if self.news else None
        try:
            first = self._jobs.get(timeout=patience)
        except queue.Empty:
            return []
        return [first] + [self._jobs.get() for _ in range(self._jobs.qsize())]

    def _do(self, jobs: Sequence[Job]) -> None:
        _tell(self._together(jobs))
        if self.news.events:
            self.news.events.wake(job.appends for job in jobs if job.appends)

    def _together(self, jobs: Sequence[Job]) -> list[_Told]:
        begun, outcome = False, list[_Told]()
        try:
            self._db.execute("BEGIN" if all(job.reads for job in jobs) else "BEGIN IMMEDIATE")
            begun = True
            for job in jobs:
                try:
                    outcome.append((job.future, job.work(self._db), None))
                except ChatError as refused:  # it wrote nothing: the others may go on
                    outcome.append((job.future, None, refused))
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - never acknowledge what may not be on disk
            with contextlib.suppress(sqlite3.Error):
                self._db.rollback()
            self._forget()
            if begun and len(jobs) > 1:  # one that cannot be done must not take the others with it
                return [told for job in jobs for told in self._together([job])]
            failed = [job for job in jobs if begun or not job.reads] or jobs
            outcome = [(job.future, None, fault(self._path, error)) for job in failed]
            if len(failed) < len(jobs):  # the file is kept busy: that is nothing to those who only read
                outcome += self._together([job for job in jobs if job.reads])
        return outcome

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            self._looker.look(self._db)
        except Exception:  # noqa: BLE001 - whoever waits meets it when looking; this thread must not end by it
            self.news.wake_all()


def _tell(outcome: Sequence[_Told]) -> None:
    """Each loop hears in one call of the results of its own futures."""
    first = outcome[0][0].get_loop()
    if all(told[0].get_loop() is first for told in outcome):
        _call(first, outcome)
        return
    for loop in {future.get_loop() for future, _, _ in outcome}:
        _call(loop, [told for told in outcome if told[0].get_loop() is loop])


def _call(loop: asyncio.AbstractEventLoop, outcome: Sequence[_Told]) -> None:
    try:
        loop.call_soon_threadsafe(_settle, outcome)
    except RuntimeError:  # that loop is closed: nobody waits there any more
        return


def _settle(outcome: Sequence[_Told]) -> None:
    for future, value, error in outcome:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
