"""Journals in one SQLite file.

WAL with `synchronous=FULL`: what was acknowledged survives a power cut. Everything goes through the thread that owns
the connection (`chats/sqlite_writer.py`), so a reader in this process always sees what was acknowledged.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from moot.chats.backup import backup
from moot.chats.blobs import FileBlobs
from moot.chats.chain import EMPTY, Row, chained
from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.events import Event
from moot.chats.owner import Hold, is_held, pid_of
from moot.chats.remove import compact, forget_unbegun, forgotten, sweep
from moot.chats.search_index import forget
from moot.chats.sqlite_look import Looker
from moot.chats.sqlite_rows import FIRST, ROWS, event_of, listed, rows_of, rows_of_types
from moot.chats.sqlite_schema import connect
from moot.chats.sqlite_writer import Writer
from moot.chats.store import LEASE_SECONDS, Chain, Claim, Posted, RunRow
from moot.chats.waiters import News

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
"""How long a file that another process keeps busy is waited for."""
_WRITTEN = "UPDATE run SET head = ?, chain = ? WHERE id = ? AND name = ? AND epoch = ? AND head = ?"
_GIVEN_BACK = (
    "UPDATE run SET head = ?, chain = ?, status = ?, owner = NULL WHERE id = ? AND name = ? AND epoch = ? AND head = ?"
)


class _Head(NamedTuple):
    """Where a run's journal ends."""

    number: int
    epoch: int
    head: int
    chain: bytes


class SqliteStore:
    """A `Store` in a file; `blobs` beside it in a folder. Raises StoreError when the file cannot be opened.

    `clock` is the time on the wall in seconds since the epoch.
    """

    def __init__(
        self,
        path: Path,
        synchronous: str = "FULL",
        *,
        lease_seconds: float = LEASE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path, self.lease_seconds = path, lease_seconds
        self.blobs = FileBlobs(path.parent / "blobs", clock)
        self._clock = clock
        self._heads: dict[str, _Head] = {}
        """Of the runs that are driven here, as they were last written. Used in the writer's thread alone."""
        self._news = News()
        self._looker = Looker(self._news, clock)
        db = connect(path, synchronous, patience_seconds)
        self._writer = Writer(db, path, self._looker, forget=self._heads.clear, patience_seconds=patience_seconds)

    async def create(self, run: str, chat: str, *, parent: str = "", base: int = 0) -> None:
        """A new run with an empty journal."""

        def job(db: sqlite3.Connection) -> None:
            sql = "INSERT INTO run(name, chat, parent, base, until) VALUES(?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            if db.execute(sql, (run, chat, parent, base, self._clock())).rowcount != 1:  # held by nobody, but young
                raise StoreError(f"there is a run {run!r} already")

        await self._writer.submit(job)

    async def claim(self, run: str, owner: str) -> Claim:
        """Take the run over, from a dead owner at once."""

        def job(db: sqlite3.Connection) -> Claim:
            number, hold = self._held(db, run)
            if hold.owner != owner and is_held(hold, self._clock()):
                raise Fenced(f"run {run} is driven by another process (pid {pid_of(hold.owner)})")
            sql = "UPDATE run SET epoch = epoch + 1, owner = ?, until = ?, ticks = ? WHERE id = ? RETURNING epoch, head"
            ((epoch, head),) = db.execute(sql, (owner, *self._lease(), number)).fetchall()
            return Claim(run, epoch, head)

        return await self._writer.submit(job)

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        """All or nothing, durable when it returns."""
        rows = rows_of(claim.run, expected_head, events)

        def job(db: sqlite3.Connection) -> None:
            kept = self._head(db, claim, expected_head)
            head = expected_head + len(rows)
            last = _Head(kept.number, claim.epoch, head, chained(kept.chain, rows))
            where = (kept.number, claim.run, claim.epoch, expected_head)
            if status is None:
                changed = db.execute(_WRITTEN, (head, last.chain, *where))
            else:
                changed = db.execute(_GIVEN_BACK, (head, last.chain, status, *where))
            if changed.rowcount != 1:  # another process has written since this one looked
                raise _fenced(db, claim)
            number = kept.number
            db.executemany("INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?)", [(number, *row) for row in rows])
            if status is None:
                self._heads[claim.run] = last

        return self._writer.submit(job, appends=claim.run)

    async def renew(self, claim: Claim) -> None:
        """Hold the claim for another lease."""

        def job(db: sqlite3.Connection) -> None:
            sql = "UPDATE run SET until = ?, ticks = ? WHERE name = ? AND epoch = ?"
            if db.execute(sql, (*self._lease(), claim.run, claim.epoch)).rowcount != 1:
                raise _fenced(db, claim)

        await self._writer.submit(job)

    async def release(self, claim: Claim) -> None:
        """Give the claim back."""

        def job(db: sqlite3.Connection) -> None:
            self._heads.pop(claim.run, None)
            db.execute("UPDATE run SET owner = NULL WHERE name = ? AND epoch = ?", (claim.run, claim.epoch))

        await self._writer.submit(job, appends=claim.run)

    async def load(self, run: str, after: int = 0, *, types: Collection[str] = ()) -> list[Event]:
        """The events after that one. A row that cannot be read is a StoreError that names it."""
        sql = rows_of_types(len(types)) if types else ROWS
        rows = await self._read(lambda db: db.execute(sql, (self._number(db, run), after, *types)).fetchall())
        return [event_of(run, row) for row in rows]

    async def chain(self, run: str) -> Chain:
        """Both in one transaction, so that a run may be under way."""

        def job(db: sqlite3.Connection) -> Chain:
            number = self._number(db, run)
            (recorded,) = db.execute("SELECT chain FROM run WHERE id = ?", (number,)).fetchone()
            return Chain(bytes(recorded).hex(), chained(EMPTY, db.execute(ROWS, (number, FIRST))).hex())

        return await self._read(job)

    async def post(self, run: str, command: str) -> int:
        """Leave a command for the run."""

        def job(db: sqlite3.Connection) -> int:
            number = self._number(db, run)
            sql = "SELECT coalesce(max(number), 0) + 1 FROM command WHERE run = ?"
            (following,) = db.execute(sql, (number,)).fetchone()
            sql = "INSERT INTO command(run, number, ts, command) VALUES(?, ?, ?, ?)"
            db.execute(sql, (number, following, self._clock(), command))
            return int(following)

        posted = await self._writer.submit(job)
        self._news.commands.wake([run])
        return posted

    async def posted(self, run: str, after: int = 0) -> list[Posted]:
        """The commands after that one."""
        sql = "SELECT number, ts, command FROM command WHERE run = ? AND number > ? ORDER BY number"
        rows = await self._read(lambda db: db.execute(sql, (self._number(db, run), after)).fetchall())
        return [Posted(*row) for row in rows]

    async def knock(self, run: str, after: int = 0) -> None:
        """Wait for a command after that one."""

        def job(db: sqlite3.Connection) -> bool:
            self._looker.begin(db)
            sql = "SELECT 1 FROM command WHERE run = ? AND number > ?"
            return db.execute(sql, (self._number(db, run), after)).fetchone() is not None

        with self._news.commands.one(run) as waiter:
            while not await self._read(job):
                await waiter.came()

    async def watch(self, run: str, after: int = 0) -> AsyncIterator[Event]:
        """Follow a run, whoever drives it."""
        with self._news.events.one(run) as waiter:

            def job(db: sqlite3.Connection) -> tuple[list[Row], bool]:
                number, waiter.hold = self._held(db, run)
                waiter.seen = db.execute("SELECT epoch, head, owner FROM run WHERE id = ?", (number,)).fetchone()
                return db.execute(ROWS, (number, after)).fetchall(), is_held(waiter.hold, self._clock())

            while True:
                rows, driven = await self._read(job)
                for row in rows:
                    event = event_of(run, row)
                    after = event.seq
                    yield event
                if not driven:
                    return
                await waiter.came()

    async def row(self, run: str) -> RunRow:
        """One run."""

        def job(db: sqlite3.Connection) -> RunRow:
            self._number(db, run)
            return listed(db, self._clock(), run)[0]

        return await self._read(job)

    async def runs(self) -> list[RunRow]:
        """Every run, newest first."""
        return await self._read(lambda db: listed(db, self._clock()))

    async def names(self, prefix: str = "") -> list[str]:
        """The ids that begin like this."""
        sql = "SELECT name FROM run WHERE head > 0 AND substr(name, 1, ?) = ? ORDER BY name"
        rows = await self._read(lambda db: db.execute(sql, (len(prefix), prefix)).fetchall())
        return [name for (name,) in rows]

    async def remove(self, run: str, *, sweeps: bool = True) -> int:
        """Forget the run. Whoever removes many may `sweep` once, after all of them."""

        def job(db: sqlite3.Connection) -> int:
            number, hold = self._held(db, run)
            if is_held(hold, self._clock()):
                who = f"a process (pid {pid_of(hold.owner)})"
                raise Fenced(f"run {run} is driven by {who}: stop it before it is removed")
            return forgotten(db, number)

        size = await self._writer.submit(job, appends=run)
        await asyncio.to_thread(forget, self.path, run)
        return size + (await self.sweep() if sweeps else 0)

    async def sweep(self) -> int:
        """Drop content that no run names and that was put some time ago, and runs that never began; how many bytes
        that was.
        """
        unbegun = await self._writer.submit(lambda db: forget_unbegun(db, self._clock()))
        return unbegun + await sweep(self.path, self.blobs, self._writer.submit)

    async def compact(self) -> int:
        """Give the room that removed runs have left in the file back to the system, where that is worth it and nobody
        drives a run; how many bytes.
        """
        if any(row.driven for row in await self.runs()):
            return 0
        return await asyncio.to_thread(compact, self.path)

    async def backup(self, path: Path) -> None:
        """Copy every journal and all content into a new folder, while runs are under way: what is there at this moment.
        The copy is a store of its own (`moot.db` and `blobs`), in which nobody drives a run.

        Raises UserError where something is there already, StoreError.
        """
        await asyncio.to_thread(backup, self.path, self.blobs, path)

    async def close(self) -> None:
        """Finish what waits, then give back the file and the thread."""
        await self._writer.close()

    def _read(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        return self._writer.submit(job, reads=True)

    def _lease(self) -> tuple[float, float]:
        """Until when a claim made now holds, by both clocks."""
        return self._clock() + self.lease_seconds, time.monotonic() + self.lease_seconds

    # What follows is called in the writer's thread alone.

    def _number(self, db: sqlite3.Connection, run: str) -> int:
        """The run's number in this file."""
        return self._held(db, run)[0]

    def _held(self, db: sqlite3.Connection, run: str) -> tuple[int, Hold]:
        """The run's number, and who has it."""
        row = db.execute("SELECT id, owner, until, ticks FROM run WHERE name = ?", (run,)).fetchone()
        if row is None:
            raise UserError(f"no run {run!r} in {self.path}")
        return row[0], Hold(*row[1:])

    def _head(self, db: sqlite3.Connection, claim: Claim, expected: int) -> _Head:
        """Where the journal ends, if that is where the claim's owner left it: nobody else has written under its epoch.
        Raises `Fenced`.
        """
        kept = self._heads.pop(claim.run, None)
        if kept is None or kept[1:3] != (claim.epoch, expected):
            row = db.execute("SELECT id, epoch, head, chain FROM run WHERE name = ?", (claim.run,)).fetchone()
            if row is None or row[1:3] != (claim.epoch, expected):
                raise _fenced(db, claim)
            kept = _Head(*row)
        return kept


def _fenced(db: sqlite3.Connection, claim: Claim) -> Fenced:
    row = db.execute("SELECT owner FROM run WHERE name = ?", (claim.run,)).fetchone()
    if row is None:
        return Fenced(f"run {claim.run} was removed; nothing was written")
    who = "" if row[0] is None else f" (pid {pid_of(row[0])})"
    return Fenced(f"run {claim.run} is driven by another process{who}; nothing was written")
