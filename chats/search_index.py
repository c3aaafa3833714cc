"""The index of what was said and of the code that was proposed: a file of its own beside the journals.

It holds nothing that is not in the journals. Deleted or damaged, it is made again; whoever searches brings it up to
date first, from where each run was left.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from moot.chats.errors import StoreError
from moot.chats.home import DATABASE
from moot.chats.sqlite_faults import fault
from moot.chats.sqlite_schema import reading
from moot.chats.story import text_of

T = TypeVar("T")
_OURS = 0x6D6F6F74
"""What marks a file as an index of Moot (`application_id`)."""
_VERSION = 1
_NOT_THE_INDEX = ("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_PERM")
"""Faults that making it again does not mend."""
_TABLES = """
CREATE TABLE run(name TEXT PRIMARY KEY, first INTEGER NOT NULL, head INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entry(id INTEGER PRIMARY KEY, run TEXT NOT NULL, seq INTEGER NOT NULL, turn INTEGER NOT NULL,
  participant TEXT NOT NULL, kind TEXT NOT NULL);
CREATE INDEX entry_run ON entry(run);
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = "unicode61 remove_diacritics 2");
"""
_RUNS = """
SELECT r.id, r.name, r.head, CASE WHEN p.id IS NULL THEN 0 ELSE r.base END
FROM run r LEFT JOIN run p ON p.name = r.parent WHERE r.head > 0
"""
"""What a fork took over is found in its parent, as long as there is one."""
_EVENTS = """
SELECT seq, turn, participant, type, data FROM event WHERE run = ? AND seq > ? AND seq <= ?
AND type IN ('message', 'turn.finished', 'human.message', 'code.proposed') ORDER BY seq
"""
_KINDS = {"message": "message", "turn.finished": "reply", "human.message": "person", "code.proposed": "code"}


def index_path(database: Path) -> Path:
    """Where the index of that file of journals is."""
    return database.with_name("search.db" if database.name == DATABASE else f"{database.name}.search.db")


def ask(database: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    """Put a question to the index, once everything that is in the journals now is in it. Raises StoreError where it
    cannot be written, where something else has its place, and for damaged journals.
    """
    path = index_path(database)
    try:
        try:
            return _asked(path, database, question)
        except sqlite3.Error as error:
            if error.sqlite_errorname.startswith(_NOT_THE_INDEX):
                raise
            _delete(path)
            return _asked(path, database, question)
    except sqlite3.Error as error:
        raise StoreError(f"cannot write the index {path}: {error}") from error


def forget(database: Path, run: str) -> None:
    """Take a run out of the index, if there is one. An index that is damaged is deleted."""
    path = index_path(database)
    if not path.exists():
        return
    try:
        with closing(_connected(path)) as db:
            db.execute("BEGIN IMMEDIATE")
            _forget(db, run)
            db.execute("COMMIT")
    except sqlite3.DatabaseError:
        _delete(path)  # better no index than one that remembers
    except StoreError:  # it is not ours
        return


def _asked(path: Path, database: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    with closing(_connected(path)) as db:
        with closing(_Journals(database)) as journals:
            _update(db, journals)
        return question(db)


class _Journals:
    """What is read of the journals: a fault there is none of the index."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._db = reading(database)

    def rows(self, sql: str, parameters: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._db.execute(sql, parameters)
        except sqlite3.Error as error:
            raise fault(self._database, error) from error

    def close(self) -> None:
        self._db.close()


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        db.execute("PRAGMA synchronous=OFF")  # lost or damaged, it is made again
        db.execute("BEGIN IMMEDIATE")
        (ours,), (version,) = (db.execute(f"PRAGMA {p}").fetchone() for p in ("application_id", "user_version"))
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        if tables and ours != _OURS:
            raise StoreError(f"{path} is in the place of the search index, and something else: move it away")
        if version != _VERSION:
            for table in ("words", "entry", "run"):
                db.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id={_OURS}")
            db.execute(f"PRAGMA user_version={_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


def _update(db: sqlite3.Connection, journals: _Journals) -> None:
    db.execute("BEGIN IMMEDIATE")
    known = {name: (first, head) for name, first, head in db.execute("SELECT name, first, head FROM run")}
    runs = {name: (number, first, head) for number, name, head, first in journals.rows(_RUNS)}
    for name, (first, head) in known.items():
        if name not in runs or runs[name][1] != first or runs[name][2] < head:
            _forget(db, name)
    for name, (number, first, head) in runs.items():
        begun, done = known.get(name, (first, 0))
        after = done if begun == first and done <= head else 0
        if after < head:
            _add(db, name, journals.rows(_EVENTS, (number, max(first, after), head)))
            db.execute("INSERT OR REPLACE INTO run VALUES(?, ?, ?)", (name, first, head))
    db.execute("COMMIT")


def _add(db: sqlite3.Connection, run: str, rows: Iterable[tuple[Any, ...]]) -> None:
    for seq, turn, participant, kind, data in rows:
        text = _text(kind, data)
        if text:
            sql = "INSERT INTO entry(run, seq, turn, participant, kind) VALUES(?, ?, ?, ?, ?) RETURNING id"
            ((number,),) = db.execute(sql, (run, seq, turn, participant, _KINDS[kind])).fetchall()
            db.execute("INSERT INTO words(rowid, text) VALUES(?, ?)", (number, text))


def _forget(db: sqlite3.Connection, run: str) -> None:
    db.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM entry WHERE run = ?)", (run,))
    db.execute("DELETE FROM entry WHERE run = ?", (run,))
    db.execute("DELETE FROM run WHERE name = ?", (run,))


def _text(kind: str, data: object) -> str:
    """What an event says; empty for a damaged one, which `verify` tells of."""
    try:
        said = json.loads(str(data))
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    if kind == "code.proposed":
        text = str(said.get("code", ""))
    else:
        message = said.get("reply" if kind == "turn.finished" else "message", said.get("text", ""))
        text = text_of(message) if message is not None else ""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", " ")


def _delete(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}-journal"), path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(OSError):
            each.unlink(missing_ok=True)
