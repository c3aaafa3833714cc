"""Forgetting runs, and content that no run names any more."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from moot.chats.blobs import FileBlobs, digests_in
from moot.chats.errors import StoreError
from moot.chats.owner import Hold, is_held
from moot.chats.search_index import index_path
from moot.chats.sqlite_schema import reading

UNBEGUN_SECONDS = 86400.0
"""How long a run without events is kept after somebody meant to begin it."""
_Submit = Callable[[Callable[[sqlite3.Connection], int]], asyncio.Future[int]]
_HEADER = b"SQLite format 3\0"


class Scanned(NamedTuple):
    """How far the journals had been written when they were searched for names of content."""

    heads: dict[tuple[int, str], int]
    command: int


def forgotten(db: sqlite3.Connection, number: int) -> int:
    """Delete everything of a run; how many bytes of events and commands that were."""
    (events,) = db.execute("SELECT total(length(data)) FROM event WHERE run = ?", (number,)).fetchone()
    (commands,) = db.execute("SELECT total(length(command)) FROM command WHERE run = ?", (number,)).fetchone()
    for sql in ("DELETE FROM event WHERE run = ?", "DELETE FROM command WHERE run = ?", "DELETE FROM run WHERE id = ?"):
        db.execute(sql, (number,))
    return int(events + commands)


def forget_unbegun(db: sqlite3.Connection, now: float) -> int:
    """Delete what processes left that died before a run's first event: nobody sees it, so nobody can remove it. How
    many bytes that was; `now` is the time on the wall.
    """
    sql = "SELECT id, owner, until, ticks FROM run WHERE head = 0 AND until < ?"
    unbegun = db.execute(sql, (now - UNBEGUN_SECONDS,)).fetchall()
    return sum(forgotten(db, number) for number, *hold in unbegun if not is_held(Hold(*hold), now))


async def sweep(database: Path, blobs: FileBlobs, submit: _Submit) -> int:
    """Drop content that was put some time ago and that no journal names; how many bytes that was.

    Whatever goes wrong here leaves more than need be, for the next time, and never less.
    """
    try:
        old = await asyncio.to_thread(blobs.old)
        if not old or await asyncio.to_thread(_has_neighbours, database):
            return 0
        unnamed, scanned = await asyncio.to_thread(_unnamed, database, old)
        if not unnamed:
            return 0
        async with blobs.alone() as alone:
            # in the writer's transaction: nobody names anything until it is over
            return await submit(lambda db: blobs.drop(unnamed - _named_since(db, scanned))) if alone else 0
    except (OSError, sqlite3.Error, StoreError):
        return 0


def compact(database: Path) -> int:
    """Write the file anew without its empty pages if they are a quarter of it; how many bytes that gave back. A file
    that somebody uses, and a disk without room for a second copy, leave it as it is.
    """
    try:
        before = database.stat().st_size
        with closing(sqlite3.connect(database, isolation_level=None, timeout=1)) as db:
            (free,), (pages,) = (db.execute(f"PRAGMA {count}").fetchone() for count in ("freelist_count", "page_count"))
            if 4 * free < pages:
                return 0
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return max(0, before - database.stat().st_size)
    except (OSError, sqlite3.Error):
        return 0


def _has_neighbours(database: Path) -> bool:
    """Whether another database lies beside this one: its runs share the folder of content."""
    ours = (database, index_path(database))
    for path in database.parent.iterdir():
        if path.is_file() and not any(own.exists() and path.samefile(own) for own in ours):
            with path.open("rb") as file:
                if file.read(len(_HEADER)) == _HEADER:
                    return True
    return False


def _unnamed(database: Path, digests: set[str]) -> tuple[set[str], Scanned]:
    """Which of them no journal names, whatever the event: more may look like a name than is one. Holds up nobody."""
    left = set(digests)
    with closing(reading(database)) as db:
        db.text_factory = lambda text: text.decode("latin-1")  # also of a damaged row
        db.execute("BEGIN")
        heads = {(number, name): head for number, name, head in db.execute("SELECT id, name, head FROM run")}
        (command,) = db.execute("SELECT coalesce(max(id), 0) FROM command").fetchone()
        for sql in ("SELECT data FROM event", "SELECT command FROM command"):
            for (text,) in db.execute(sql):
                left.difference_update(digests_in(str(text)))
    return left, Scanned(heads, command)


def _named_since(db: sqlite3.Connection, scanned: Scanned) -> set[str]:
    """What was named after the journals were searched."""
    named = set[str]()
    for number, name, head in db.execute("SELECT id, name, head FROM run").fetchall():
        before = scanned.heads.get((number, name), 0)
        if head > before:
            for (text,) in db.execute("SELECT data FROM event WHERE run = ? AND seq > ?", (number, before)):
                named.update(digests_in(str(text)))
    for (text,) in db.execute("SELECT command FROM command WHERE id > ?", (scanned.command,)):
        named.update(digests_in(str(text)))
    return named
