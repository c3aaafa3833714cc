"""Journals in one SQLite file.

One writer thread owns the connection. It takes every job that is waiting, does all of them in one `BEGIN IMMEDIATE`
transaction, and tells each caller how its own went (group commit). WAL with `synchronous=FULL`: what was acknowledged survives
a power cut. Reads go the same way, so a reader in this process always sees what was acknowledged.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from moot.chats.blobs import FileBlobs
from moot.chats.errors import ChatError, Fenced, StoreError, UserError
from moot.chats.events import Event, dumped, read
from moot.chats.owner import is_dead, pid_of
from moot.chats.store import LEASE_SECONDS, Claim, RunRow

T = TypeVar("T")
SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS run(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, chat TEXT NOT NULL, head INTEGER NOT NULL DEFAULT 0,
  epoch INTEGER NOT NULL DEFAULT 0, owner TEXT, until REAL NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT 'created');
CREATE TABLE IF NOT EXISTS event(
  run INTEGER NOT NULL, seq INTEGER NOT NULL, ts REAL NOT NULL, turn INTEGER NOT NULL, attempt INTEGER NOT NULL,
  type TEXT NOT NULL, participant TEXT NOT NULL, span TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY(run, seq)) WITHOUT ROWID;
"""
_LIST = """
SELECT r.name, r.chat, r.status, r.owner, r.until,
  (SELECT json_extract(data, '$.outcome') FROM event WHERE run = r.id AND seq = r.head AND type = 'run.finished'),
  count(CASE WHEN e.type = 'turn.finished' THEN 1 END), min(e.ts),
  total(CASE WHEN e.type = 'effect.completed' THEN json_extract(e.data, '$.spent.input_tokens') END),
  total(CASE WHEN e.type = 'effect.completed' THEN json_extract(e.data, '$.spent.output_tokens') END),
  total(CASE WHEN e.type = 'effect.completed' THEN json_extract(e.data, '$.spent.usd') END),
  count(CASE WHEN e.type = 'effect.completed' AND json_extract(e.data, '$.spent.usd') IS NULL THEN 1 END)
FROM run r JOIN event e ON e.run = r.id GROUP BY r.id ORDER BY r.name DESC
"""
_Job = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class SqliteStore:
    """A `Store` in a file; `blobs` beside it in a folder. Raises StoreError when the file cannot be opened."""

    def __init__(self, path: Path, synchronous: str = "FULL") -> None:
        self.path = path
        self.blobs = FileBlobs(path.parent / "blobs")
        self._db = _connect(path, synchronous)
        self._ids: dict[str, int] = {}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="moot-store")
        self._thread.start()

    async def create(self, run: str, chat: str) -> None:
        """A new run with an empty journal."""
        await self._submit(lambda db: db.execute("INSERT INTO run(name, chat) VALUES(?, ?)", (run, chat)))

    async def claim(self, run: str, owner: str) -> Claim:
        """Take the run over, from a dead owner at once."""

        def job(db: sqlite3.Connection) -> Claim:
            row = db.execute("SELECT id, owner, until FROM run WHERE name = ?", (run,)).fetchone()
            if row is None:
                raise UserError(f"no run {run!r} in {self.path}")
            number, holder, until = row
            if holder is not None and holder != owner and until > time.time() and not is_dead(holder):
                raise Fenced(f"run {run} is driven by another process (pid {pid_of(holder)})")
            sql = "UPDATE run SET epoch = epoch + 1, owner = ?, until = ? WHERE id = ? RETURNING epoch, head"
            ((epoch, head),) = db.execute(sql, (owner, time.time() + LEASE_SECONDS, number)).fetchall()
            self._ids[run] = number
            return Claim(run, epoch, head)

        return await self._submit(job)

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        """All or nothing, durable when it returns."""
        number, head = self._ids[claim.run], expected_head + len(events)
        rows = [
            (number, expected_head + i, e.ts, e.turn, e.attempt, e.type, e.participant, e.span, dumped(e.data))
            for i, e in enumerate(events, 1)
        ]

        def job(db: sqlite3.Connection) -> None:
            sql = "UPDATE run SET head = ?{} WHERE id = ? AND epoch = ? AND head = ?"
            if status is None:
                done = db.execute(sql.format(""), (head, number, claim.epoch, expected_head))
            else:
                done = db.execute(sql.format(", status = ?, owner = NULL"), (head, status, number, claim.epoch, expected_head))
            if done.rowcount != 1:
                raise Fenced(f"run {claim.run} is driven by another process; nothing was written")
            db.executemany("INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?)", rows)

        return self._submit(job)

    async def renew(self, claim: Claim) -> None:
        """Hold the claim for another lease."""

        def job(db: sqlite3.Connection) -> None:
            until = time.time() + LEASE_SECONDS
            sql = "UPDATE run SET until = ? WHERE name = ? AND epoch = ?"
            if db.execute(sql, (until, claim.run, claim.epoch)).rowcount != 1:
                raise Fenced(f"run {claim.run} is driven by another process")

        await self._submit(job)

    async def load(self, run: str, after: int = 0) -> list[Event]:
        """The events after that one. A row that cannot be read is a StoreError that names it."""
        sql = (
            "SELECT seq, ts, turn, attempt, type, participant, span, data FROM event"
            " WHERE run = (SELECT id FROM run WHERE name = ?) AND seq > ? ORDER BY seq"
        )
        rows = await self._submit(lambda db: db.execute(sql, (run, after)).fetchall())
        return [_event(run, row) for row in rows]

    async def runs(self) -> list[RunRow]:
        """Every run, newest first."""
        now = time.time()
        return [
            RunRow(name, chat, status, outcome, turns, started or 0.0, int(given), int(taken), None if unpriced else usd,
                   owner is not None and until > now and not is_dead(owner))
            for name, chat, status, owner, until, outcome, turns, started, given, taken, usd, unpriced
            in await self._submit(lambda db: db.execute(_LIST).fetchall())
        ]  # fmt: skip

    async def names(self, prefix: str = "") -> list[str]:
        """The ids that begin like this."""
        sql = "SELECT name FROM run WHERE head > 0 AND substr(name, 1, ?) = ? ORDER BY name"
        rows = await self._submit(lambda db: db.execute(sql, (len(prefix), prefix)).fetchall())
        return [name for (name,) in rows]

    async def close(self) -> None:
        """Finish what waits, then give back the file and the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._db.close()

    def _submit(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(StoreError(f"{self.path} is closed"))
        else:
            self._jobs.put((job, future))
        return future

    def _work(self) -> None:
        while True:
            first = self._jobs.get()
            jobs = [first] + [self._jobs.get() for _ in range(self._jobs.qsize())]
            waiting = [job for job in jobs if job is not None]
            if waiting:
                _tell(self._together(waiting))
            if None in jobs:
                return

    def _together(self, jobs: Sequence[_Job]) -> list[tuple[asyncio.Future[Any], Any, Exception | None]]:
        outcome: list[tuple[asyncio.Future[Any], Any, Exception | None]] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for job, future in jobs:
                try:
                    outcome.append((future, job(self._db), None))
                except ChatError as refused:  # it wrote nothing: the others may go on
                    outcome.append((future, None, refused))
            self._db.execute("COMMIT")
        except Exception as error:  # never acknowledge what may not be on disk
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            outcome = [(future, None, StoreError(f"{self.path}: {error}")) for _, future in jobs]
        return outcome


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreError(f"{path} was written by a newer Moot (schema {version}, this one knows {SCHEMA_VERSION}): upgrade Moot")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={synchronous}")
        db.executescript(_SCHEMA)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    except OSError as error:
        raise StoreError(f"cannot use {path.parent} for journals: {error.strerror}; set MOOT_HOME to a writable folder") from error
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}; set MOOT_HOME to a writable folder") from error
    return db


def _event(run: str, row: tuple[Any, ...]) -> Event:
    seq, ts, turn, attempt, type, participant, span, data = row
    try:
        return Event(type, turn, attempt, participant, read(type, data), span, seq, ts)
    except (ValidationError, ValueError, TypeError):
        raise StoreError(f"event {seq} of run {run} ({type}) cannot be read: its row is damaged") from None


def _tell(outcome: Sequence[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    """Each loop hears in one call of the results of its own futures."""
    for loop in {future.get_loop() for future, _, _ in outcome}:
        mine = [o for o in outcome if o[0].get_loop() is loop]
        try:
            loop.call_soon_threadsafe(_settle, mine)
        except RuntimeError:  # that loop is closed: nobody waits there any more
            continue


def _settle(outcome: Sequence[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, value, error in outcome:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
