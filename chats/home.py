"""Where runs are kept unless somebody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moot.chats.sqlite_store import SqliteStore
    from moot.chats.store import Store

DATABASE = "moot.db"


def home() -> Path:
    """`MOOT_HOME`, else `moot` in the user's data folder (XDG)."""
    if own := os.environ.get("MOOT_HOME"):
        return Path(own)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "moot"


def open_store(where: Store | Path | str | None = None) -> tuple[Store, bool]:
    """A store and whether it was opened here (and is to be closed here). A folder means its database file.

    Raises StoreError when the file cannot be used.
    """
    if where is None or isinstance(where, str | Path):
        return open_file(where), True
    return where, False


def open_file(where: Path | str | None = None) -> SqliteStore:
    """Journals in a file: the user's own where none is named. Raises StoreError when it cannot be used."""
    from moot.chats.sqlite_store import SqliteStore

    path = home() / DATABASE if where is None else Path(where)
    return SqliteStore(path / DATABASE if where is not None and path.is_dir() else path)
