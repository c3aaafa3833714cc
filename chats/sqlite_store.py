"""Journals in one SQLite file.

One writer thread owns the connection. It takes every job that is waiting, does all of them in one `BEGIN IMMEDIATE`
transaction, and tells each caller how its own went (group commit). WAL with `synchronous=FULL`: what was acknowledged
survives a power cut. Reads go the same way, so a reader in this process always sees what was acknowledged.
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
from moot.chats.chain import EMPTY, Row, chained
from moot.chats.errors import ChatError, Fenced, StoreError, UserError
from moot.chats.events import Event, dumped, read
from moot.chats.owner import is_dead, pid_of
from moot.chats.store import LEASE_SECONDS, Chain, Claim, RunRow

T = TypeVar("T")
SCHEMA_VERSION = 2
_WITHOUT_CHAINS = 1
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS run(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, chat TEXT NOT NULL, head INTEGER NOT NULL DEFAULT 0,
  epoch INTEGER NOT NULL DEFAULT 0, owner TEXT, until REAL NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT
  'created', chain BLOB NOT NULL DEFAULT x'')""",
    """CREATE TABLE IF NOT EXISTS event(
  run INTEGER NOT NULL, seq INTEGER NOT NULL, ts REAL NOT NULL, turn INTEGER NOT NULL, attempt INTEGER NOT NULL,
  type TEXT NOT NULL, participant TEXT NOT NULL, span TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY(run, seq))
  WITHOUT ROWID""",
)
_ROWS = "SELECT seq, ts, turn, attempt, type, participant, span, data FROM event WHERE run = ? AND seq > ? ORDER BY seq"
_FIRST = float("-inf")
"""Rows that no store numbers, 0 and below, count too where changes are looked for."""
_LIST = """
SELECT r.name, r.chat, r.status, r.owner, r.until,
  (SELECT json_extract(data, '$.outcome') FROM event
    WHERE run = r.id AND seq = r.head AND type = 'run.finished' AND json_valid(data)),
  count(CASE WHEN e.type = 'turn.finished' THEN 1 END), min(e.ts),
  total(json_extract(e.done, '$.spent.input_tokens')),
  total(json_extract(e.done, '$.spent.output_tokens')),
  total(json_extract(e.done, '$.spent.usd')),
  count(CASE WHEN e.done IS NOT NULL AND json_extract(e.done, '$.spent.usd') IS NULL THEN 1 END)
FROM run r JOIN (
  SELECT run, ts, type, CASE WHEN type = 'effect.completed' AND json_valid(data) THEN data END AS done FROM event) e
  ON e.run = r.id GROUP BY r.id ORDER BY r.name DESC
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

        def job(db: sqlite3.Connection) -> None:
            sql = "INSERT INTO run(name, chat) VALUES(?, ?) ON CONFLICT DO NOTHING"
            if db.execute(sql, (run, chat)).rowcount != 1:
                raise StoreError(f"there is a run {run!r} already")

        await self._submit(job)

    async def claim(self, run: str, owner: str) -> Claim:
        """Take the run over, from a dead owner at once."""

        def job(db: sqlite3.Connection) -> Claim:
            number = self._number(db, run)
            holder, until = db.execute("SELECT owner, until FROM run WHERE id = ?", (number,)).fetchone()
            if holder is not None and holder != owner and until > time.time() and not is_dead(holder):
                raise Fenced(f"run {run} is driven by another process (pid {pid_of(holder)})")
            sql = "UPDATE run SET epoch = epoch + 1, owner = ?, until = ? WHERE id = ? RETURNING epoch, head"
            ((epoch, head),) = db.execute(sql, (owner, time.time() + LEASE_SECONDS, number)).fetchall()
            return Claim(run, epoch, head)

        return await self._submit(job)

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        """All or nothing, durable when it returns."""
        head = expected_head + len(events)
        rows: list[Row] = [
            (expected_head + i, float(e.ts), e.turn, e.attempt, e.type, e.participant, e.span, _written(claim.run, e))
            for i, e in enumerate(events, 1)
        ]

        def job(db: sqlite3.Connection) -> None:
            number = self._number(db, claim.run)
            # another process may have written since: only what this transaction sees can be continued
            before = db.execute("SELECT epoch, head, chain FROM run WHERE id = ?", (number,)).fetchone()
            if before is None or before[:2] != (claim.epoch, expected_head):
                raise Fenced(f"run {claim.run} is driven by another process; nothing was written")
            chain = chained(before[2], rows)
            if status is None:
                db.execute("UPDATE run SET head = ?, chain = ? WHERE id = ?", (head, chain, number))
            else:
                sql = "UPDATE run SET head = ?, chain = ?, status = ?, owner = NULL WHERE id = ?"
                db.execute(sql, (head, chain, status, number))
            db.executemany(f"INSERT INTO event VALUES({number:d},?,?,?,?,?,?,?,?)", rows)

        return self._submit(job)

    async def renew(self, claim: Claim) -> None:
        """Hold the claim for another lease."""

        def job(db: sqlite3.Connection) -> None:
            until = time.time() + LEASE_SECONDS
            sql = "UPDATE run SET until = ? WHERE name = ? AND epoch = ?"
            if db.execute(sql, (until, claim.run, claim.epoch)).rowcount != 1:
                raise Fenced(f"run {claim.run} is driven by another process")

        await self._submit(job)

    async def release(self, claim: Claim) -> None:
        """Give the claim back."""
        sql = "UPDATE run SET owner = NULL WHERE name = ? AND epoch = ?"
        await self._submit(lambda db: db.execute(sql, (claim.run, claim.epoch)))

    async def load(self, run: str, after: int = 0) -> list[Event]:
        """The events after that one. A row that cannot be read is a StoreError that names it."""
        rows = await self._submit(lambda db: db.execute(_ROWS, (self._number(db, run), after)).fetchall())
        return [_event(run, row) for row in rows]

    async def chain(self, run: str) -> Chain:
        """Both in one transaction, so that a run may be under way."""

        def job(db: sqlite3.Connection) -> Chain:
            number = self._number(db, run)
            (recorded,) = db.execute("SELECT chain FROM run WHERE id = ?", (number,)).fetchone()
            return Chain(bytes(recorded).hex(), chained(EMPTY, db.execute(_ROWS, (number, _FIRST))).hex())

        return await self._submit(job)

    async def runs(self) -> list[RunRow]:
        """Every run, newest first."""
        now = time.time()
        return [
            RunRow(
                name, chat, status, outcome, turns, started or 0.0, int(given), int(taken),
                None if unpriced else usd, owner is not None and until > now and not is_dead(owner),
            )
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

    def _number(self, db: sqlite3.Connection, run: str) -> int:
        """The run's number in this file. Called in the writer thread alone."""
        if run not in self._ids:
            row = db.execute("SELECT id FROM run WHERE name = ?", (run,)).fetchone()
            if row is None:
                raise UserError(f"no run {run!r} in {self.path}")
            self._ids[run] = row[0]
        return self._ids[run]

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
        except Exception as error:  # noqa: BLE001 - never acknowledge what may not be on disk
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if len(jobs) > 1:  # one that cannot be done must not take the others with it
                return [told for job in jobs for told in self._together([job])]
            outcome = [(future, None, StoreError(f"{self.path}: {error}")) for _, future in jobs]
        return outcome


def _connect(path: Path, synchronous: str) -> sqlite3.Connection:
    db = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        _prepare(db, path, synchronous)
    except OSError as error:
        advice = "set MOOT_HOME to a writable folder"
        raise StoreError(f"cannot use {path.parent} for journals: {error.strerror}; {advice}") from error
    except (sqlite3.Error, StoreError) as error:
        if db is not None:
            db.close()
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"cannot open {path}: {error}; set MOOT_HOME to a writable folder") from error
    return db


def _prepare(db: sqlite3.Connection, path: Path, synchronous: str) -> None:
    """Make the tables of a new file, carry an older one over; refuse what is not ours or what a newer Moot wrote."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        newer = f"schema {version}, this one knows {SCHEMA_VERSION}"
        raise StoreError(f"{path} was written by a newer Moot ({newer}): upgrade Moot")
    _write_ahead(db)
    db.execute(f"PRAGMA synchronous={synchronous}")
    if version == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")  # two processes may meet at a new file
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == _WITHOUT_CHAINS:
        _add_chains(db)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables <= {"run", "event"}:
        db.execute("ROLLBACK")
        raise StoreError(f"{path} is a database of something else: name another file for journals")
    for statement in _SCHEMA:
        db.execute(statement)
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    db.execute("COMMIT")


def _add_chains(db: sqlite3.Connection) -> None:
    """Give every run of an older file the digest of its rows as they are."""
    db.execute("ALTER TABLE run ADD COLUMN chain BLOB NOT NULL DEFAULT x''")
    for (number,) in db.execute("SELECT id FROM run").fetchall():
        chain = chained(EMPTY, db.execute(_ROWS, (number, _FIRST)))
        db.execute("UPDATE run SET chain = ? WHERE id = ?", (chain, number))


def _write_ahead(db: sqlite3.Connection) -> None:
    """SQLite's own patience (`timeout`) does not cover this switch: processes that meet at a new file are told
    `locked`.
    """
    for last in (*(False,) * 200, True):
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if last or "locked" not in str(error):
                raise
            time.sleep(0.01)
        else:
            return


def _written(run: str, event: Event) -> str:
    try:
        return dumped(event.data)
    except ValueError as error:
        who = f" of {event.participant}" if event.participant else ""
        raise StoreError(f"event {event.seq} of run {run} ({event.type}{who}) cannot be written: {error}") from error


def _event(run: str, row: tuple[Any, ...]) -> Event:
    seq, ts, turn, attempt, kind, participant, span, data = row
    try:
        return Event(kind, turn, attempt, participant, read(kind, data), span, seq, ts)
    except (ValidationError, ValueError, TypeError):
        raise StoreError(f"event {seq} of run {run} ({kind}) cannot be read: its row is damaged") from None


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
