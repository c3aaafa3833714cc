"""Where runs are kept unless somebody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from moot.chats.sqlite_store import SqliteStore

    if where is None:
        return SqliteStore(home() / DATABASE), True
    if isinstance(where, str | Path):
        path = Path(where)
        return SqliteStore(path / DATABASE if path.is_dir() else path), True
    return where, False
