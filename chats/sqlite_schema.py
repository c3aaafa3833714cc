"""The tables of a journal file, and how files of earlier versions are carried over."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from moot.chats.chain import EMPTY, chained
from moot.chats.errors import StoreError
from moot.chats.sqlite_faults import cannot_open
from moot.chats.sqlite_rows import FIRST, ROWS

SCHEMA_VERSION = 3
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS run(
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, chat TEXT NOT NULL, head INTEGER NOT NULL DEFAULT 0,
  epoch INTEGER NOT NULL DEFAULT 0, owner TEXT, until REAL NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT
  'created', chain BLOB NOT NULL DEFAULT x'', ticks REAL NOT NULL DEFAULT 0, parent TEXT NOT NULL DEFAULT '',
  base INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS event(
  run INTEGER NOT NULL, seq INTEGER NOT NULL, ts REAL NOT NULL, turn INTEGER NOT NULL, attempt INTEGER NOT NULL,
  type TEXT NOT NULL, participant TEXT NOT NULL, span TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY(run, seq))
  WITHOUT ROWID""",
    # ids are never used twice: who waits for commands asks for those above the last one seen, of whatever run
    """CREATE TABLE IF NOT EXISTS command(
  id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, number INTEGER NOT NULL, ts REAL NOT NULL,
  command TEXT NOT NULL, UNIQUE(run, number))""",
)
_TABLES = {"run", "event", "command", "sqlite_sequence"}


def connect(path: Path, synchronous: str, patience_seconds: float) -> sqlite3.Connection:
    """A connection to a file that is up to date, made where there is none. Raises StoreError."""
    db = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=patience_seconds)
        _prepare(db, path, synchronous)
    except (OSError, sqlite3.Error, StoreError) as error:
        if db is not None:
            db.close()
        raise cannot_open(path, error) from error
    return db


def reading(path: Path) -> sqlite3.Connection:
    """A connection of its own that changes nothing and holds up nobody. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30)


def _prepare(db: sqlite3.Connection, path: Path, synchronous: str) -> None:
    """Make the tables of a new file, carry an older one over; refuse what is not ours or what a newer Moot wrote."""
    version = _version(db, path)
    _write_ahead(db)
    db.execute(f"PRAGMA synchronous={synchronous}")
    if version == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")  # two processes may meet at a new file, or at an old one
    try:
        version = _version(db, path)
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables <= _TABLES:
            raise StoreError(f"{path} is a database of something else: name another file for journals")
        for step in _STEPS[version:] if version else ():
            step(db)
        for statement in _SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        newer = f"schema {version}, this one knows {SCHEMA_VERSION}"
        raise StoreError(f"{path} was written by a newer Moot ({newer}): upgrade Moot")
    return version


def _nothing(db: sqlite3.Connection) -> None:
    """Version 0 is a file without a table."""


def _add_chains(db: sqlite3.Connection) -> None:
    """1 to 2: give every run the digest of its rows as they are."""
    db.execute("ALTER TABLE run ADD COLUMN chain BLOB NOT NULL DEFAULT x''")
    for (number,) in db.execute("SELECT id FROM run").fetchall():
        chain = chained(EMPTY, db.execute(ROWS, (number, FIRST)))
        db.execute("UPDATE run SET chain = ? WHERE id = ?", (chain, number))


def _add_forks(db: sqlite3.Connection) -> None:
    """2 to 3: leases by the machine's own clock, and where a fork comes from. Commands are a table of their own."""
    db.execute("ALTER TABLE run ADD COLUMN ticks REAL NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE run ADD COLUMN parent TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE run ADD COLUMN base INTEGER NOT NULL DEFAULT 0")


_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_nothing, _add_chains, _add_forks)
"""What leads from each version to the next."""


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
