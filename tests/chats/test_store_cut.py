"""A file of journals that was cut, or whose log was: every test proves that its fault fired, and that what was
acknowledged is there.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from moot.chats.errors import StoreError
from moot.chats.sqlite_store import SqliteStore
from tests.journals import first_run, note, unharmed


def small_pages(path: Path) -> None:
    """A file in which a transaction takes few bytes, so that a log can be cut at each of them."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA page_size=512")
        db.execute("VACUUM")


async def test_a_log_that_is_cut_at_any_byte_of_its_last_transactions_holds_a_beginning(
    tmp_path: Path, dead_owner: str
) -> None:
    path, copy = tmp_path / "moot.db", tmp_path / "copy.db"
    small_pages(path)
    store = SqliteStore(path, "OFF")
    await store.create("r", "chat")
    claim = await store.claim("r", dead_owner)
    ends = []
    for head in range(20):
        await store.append(claim, head, [note(head + 1, f"{head + 1}")])
        ends.append((tmp_path / "moot.db-wal").stat().st_size)
    main, wal = path.read_bytes(), (tmp_path / "moot.db-wal").read_bytes()
    await store.close()
    assert ends[-1] == len(wal)
    found = {}
    for cut in range(ends[-4], len(wal) + 1):
        copy.write_bytes(main)
        copy.with_name("copy.db-wal").write_bytes(wal[:cut])
        copy.with_name("copy.db-shm").unlink(missing_ok=True)
        with closing(sqlite3.connect(copy)) as db:
            rows = db.execute("SELECT seq, data FROM event ORDER BY seq").fetchall()
            head = db.execute("SELECT head FROM run").fetchone()[0]
        assert rows == [(n, f'{{"text":"{n}","facts":{{}}}}') for n in range(1, head + 1)]
        found[cut] = head
    # a transaction is there as soon as its last byte is, and not before
    assert found == {cut: sum(end <= cut for end in ends) for cut in found}
    assert set(found.values()) == {17, 18, 19, 20}
    for cut in (ends[-3] - 1, ends[-3], ends[-3] + 1, len(wal) - 1):
        copy.write_bytes(main)
        copy.with_name("copy.db-wal").write_bytes(wal[:cut])
        await unharmed(copy, found[cut])


async def why_damaged(path: Path) -> str:
    """What is said when the file is opened, or else when the run is read."""
    with pytest.raises(StoreError) as raised:  # noqa: PT012 - either may find it
        store = SqliteStore(path)
        try:
            await store.load("r")
        finally:
            await store.close()
    return str(raised.value)


async def test_a_file_that_was_cut_anywhere_is_told_as_damaged_and_not_touched(tmp_path: Path) -> None:
    path, copy = tmp_path / "moot.db", tmp_path / "copy" / "moot.db"
    await first_run(path, 200)
    whole = path.read_bytes()
    for cut in (*range(2, len(whole), 1531), 100, 512, 4095, 4096, 4097, len(whole) - 1):
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        copy.write_bytes(whole[:cut])
        assert "damaged" in await why_damaged(copy), cut
        assert copy.read_bytes() == whole[:cut]
    await unharmed(path, 200)
