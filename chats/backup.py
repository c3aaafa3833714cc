"""A copy of a store while runs are under way."""

from __future__ import annotations

import os
import shutil
import sqlite3
import uuid
from contextlib import ExitStack, closing
from pathlib import Path

from moot.chats.blobs import FileBlobs, sync_folder
from moot.chats.errors import StoreError, UserError
from moot.chats.home import DATABASE
from moot.chats.sqlite_faults import fault
from moot.chats.sqlite_schema import reading


def backup(database: Path, blobs: FileBlobs, target: Path) -> None:
    """Write beside the target and rename it, so that a folder of that name is a whole copy. Raises UserError where
    something is there already, StoreError.
    """
    if os.path.lexists(target):
        raise UserError(f"{target} is there already: name a folder that does not exist yet")
    beside = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        beside.mkdir(parents=True)
        with ExitStack() as while_copying:
            if blobs.folder.is_dir():
                while_copying.enter_context(blobs.steady())  # whatever the copied journals name stays till it is copied
            _copy_journals(database, beside / DATABASE)
            _copy_content(blobs, FileBlobs(beside / "blobs"))
        sync_folder(beside)
        beside.rename(target)
        sync_folder(target.parent)
    except sqlite3.Error as error:
        raise fault(database, error) from error
    except OSError as error:
        raise StoreError(f"cannot write the copy {target}: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # nothing is left of a copy that failed


def _copy_journals(database: Path, copy: Path) -> None:
    """In one read transaction: as the file is at one moment, and no writer waits."""
    with closing(reading(database)) as source, closing(sqlite3.connect(copy, isolation_level=None)) as db:
        source.backup(db)
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"{database} is damaged, and so would be its copy: {' '.join(str(found).split())}")
        db.execute("UPDATE run SET owner = NULL, until = 0, ticks = 0")  # nobody drives the copies
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy_content(blobs: FileBlobs, copy: FileBlobs) -> None:
    for path in blobs.files():
        beside = copy.folder / path.parent.name / path.name
        beside.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, beside.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())
    for folder in (*copy.folder.glob("??"), copy.folder) if copy.folder.is_dir() else ():
        sync_folder(folder)
