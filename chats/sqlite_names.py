"""The runs of a database by name, for a shell that completes words: fast, and nothing is opened for writing or made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

_BUSY_SECONDS = 0.2
_RUNS = "SELECT name, chat, status FROM run WHERE head > 0 AND substr(name, 1, ?) = ? ORDER BY name DESC LIMIT ?"


class NamedRun(NamedTuple):
    """As much of a run as fits on a line of suggestions."""

    name: str
    chat: str
    status: str


def newest_runs(database: Path, prefix: str = "", *, limit: int = 100) -> list[NamedRun]:
    """Those whose ids begin like this, newest first; none where the file cannot be read as it is."""
    address = f"file:{quote(str(database.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as db:
            return [NamedRun(*row) for row in db.execute(_RUNS, (len(prefix), prefix, limit))]
    except sqlite3.Error:
        return []
