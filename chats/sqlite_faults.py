"""What SQLite could not do, said with what to do about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from moot.chats.errors import StoreError

_WRITABLE = "set MOOT_HOME to a writable folder"
_ADVICE = {
    "SQLITE_FULL": "make room on that disk: what was recorded before is safe",
    "SQLITE_BUSY": "another process has kept it busy for too long: try again once that is done",
    "SQLITE_CORRUPT": "it is damaged: put a backup in its place (moot backup makes them)",
    "SQLITE_NOTADB": f"it is damaged, or no journal: put a backup in its place, or {_WRITABLE}",
    "SQLITE_READONLY": f"the file and its folder must be writable: {_WRITABLE}",
    "SQLITE_CANTOPEN": f"the file and its folder must be there and writable: {_WRITABLE}",
    "SQLITE_IOERR": "the disk is full, or failed: what was recorded before is safe",
}


def fault(path: Path, error: Exception) -> StoreError:
    """The error for whoever asked."""
    return error if isinstance(error, StoreError) else StoreError(f"{path}: {error}{_advice(error)}")


def is_busy(error: Exception) -> bool:
    """Whether another process keeps the file, for now."""
    return _code(error).startswith("SQLITE_BUSY")


def cannot_open(path: Path, error: Exception) -> StoreError:
    """The same while a file is opened."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError):
        return StoreError(f"cannot use {path.parent} for journals: {error.strerror}; {_WRITABLE}")
    if path.is_dir():
        return StoreError(f"cannot open {path}: it is a folder, and journals are kept in a file; {_WRITABLE}")
    return StoreError(f"cannot open {path}: {error}{_advice(error) or f'; {_WRITABLE}'}")


def _advice(error: Exception) -> str:
    return next((f"; {advice}" for code, advice in _ADVICE.items() if _code(error).startswith(code)), "")


def _code(error: Exception) -> str:
    return str(getattr(error, "sqlite_errorname", "")) if isinstance(error, sqlite3.Error) else ""
