"""What a removal leaves in a file of journals, and in the folder of content beside it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from moot.chats.blobs import FileBlobs
from moot.chats.errors import StoreError
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.search import search
from moot.chats.search_index import index_path
from moot.chats.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from tests.chats.conftest import Clock

DAY = 86400.0


def note(seq: int, **facts: object) -> Event:
    return Event("warning", 0, 0, "", Warned(text="x", facts=facts), "", seq, 100.0)


async def kept(store: SqliteStore, run: str, *contents: bytes) -> list[str]:
    """A run that names these contents."""
    digests = [await store.blobs.put(content) for content in contents]
    await store.create(run, "chat")
    claim = await store.claim(run, new_owner())
    await store.append(claim, 0, [note(n, file={"sha256": d}) for n, d in enumerate(digests, 1)], "paused")
    return digests


def there(store: SqliteStore, *digests: str) -> list[bool]:
    return [store.blobs.path(digest).exists() for digest in digests]


async def test_no_row_of_a_removed_run_is_left(sqlite: SqliteStore) -> None:
    await kept(sqlite, "r1", b"a", b"b")
    await sqlite.post("r1", "{}")
    with closing(sqlite3.connect(sqlite.path)) as db:
        tables = ("run", "event", "command")
        assert [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables] == [1, 2, 1]
        size = await sqlite.remove("r1")
        assert [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables] == [0, 0, 0]
    assert size > 128  # two events with a digest each; their content is young


async def test_bytes_of_content_are_counted_when_they_go(sqlite: SqliteStore, clock: "Clock") -> None:
    await kept(sqlite, "r1", b"x" * 5_000_000)
    clock.ahead = DAY
    assert await sqlite.remove("r1") > 5_000_000


async def test_content_that_stayed_because_it_was_young_goes_with_the_next_removal(
    sqlite: SqliteStore, clock: "Clock"
) -> None:
    (young,) = await kept(sqlite, "r1", b"young")
    (named,) = await kept(sqlite, "r2", b"named")
    await kept(sqlite, "r3")
    await sqlite.remove("r1")
    assert there(sqlite, young, named) == [True, True]
    clock.ahead = DAY
    await sqlite.remove("r3")
    assert there(sqlite, young, named) == [False, True]


async def test_content_of_journals_in_the_same_folder_is_nobody_elses_to_drop(
    sqlite: SqliteStore, clock: "Clock"
) -> None:
    neighbour = SqliteStore(sqlite.path.with_name("other.db"), "OFF", clock=clock)
    (mine,) = await kept(sqlite, "r1", b"mine")
    (theirs,) = await kept(neighbour, "r1", b"theirs")
    clock.ahead = DAY
    await sqlite.remove("r1")
    assert there(sqlite, mine, theirs) == [True, True]
    await neighbour.close()


async def test_the_search_index_is_no_neighbour(sqlite: SqliteStore, clock: "Clock") -> None:
    (mine,) = await kept(sqlite, "r1", b"mine")
    await search(sqlite.path, "anything")
    assert index_path(sqlite.path).exists()
    clock.ahead = DAY
    await sqlite.remove("r1")
    assert there(sqlite, mine) == [False]


class Overtaken(FileBlobs):
    """Content that a fork takes over, without putting it, while somebody looks for what is not named any more."""

    def __init__(self, store: SqliteStore, clock: "Clock", when: str) -> None:
        super().__init__(store.blobs.folder, clock)
        self._path, self._when, self.digest, self.fired = store.path, when, "", False

    def old(self) -> set[str]:
        found = super().old()
        self._name("old")
        return found

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        self._name("alone")
        async with super().alone() as alone:
            yield alone

    def _name(self, when: str) -> None:
        if when == self._when:
            self.fired = True
            with closing(sqlite3.connect(self._path)) as db, db:
                db.execute("UPDATE run SET head = 1 WHERE name = 'fork'")
                data = f'{{"sha256":"{self.digest}"}}'
                db.execute("INSERT INTO event SELECT id, 1, 1, 0, 0, 'warning', '', '', ? FROM run", (data,))


@pytest.mark.parametrize("when", ["old", "alone"])
async def test_what_a_fork_takes_over_meanwhile_is_kept(sqlite: SqliteStore, clock: "Clock", when: str) -> None:
    sqlite.blobs = blobs = Overtaken(sqlite, clock, when)
    (mine,) = await kept(sqlite, "r1", b"mine")
    await sqlite.create("fork", "chat", parent="r1", base=1)
    clock.ahead, blobs.digest = DAY / 2, mine
    await sqlite.remove("r1")
    assert blobs.fired
    assert there(sqlite, mine) == [True]


async def test_content_is_kept_where_a_row_that_may_name_it_cannot_be_read(sqlite: SqliteStore, clock: "Clock") -> None:
    await kept(sqlite, "r1", b"mine")
    (theirs,) = await kept(sqlite, "r2", b"theirs")
    with closing(sqlite3.connect(sqlite.path)) as db, db:
        db.execute("UPDATE event SET data = CAST(replace(data, '{', x'ff') AS BLOB) WHERE run = 2")
    with pytest.raises(StoreError, match="its row is damaged"):
        await sqlite.load("r2")
    clock.ahead = DAY
    await sqlite.remove("r1")
    assert there(sqlite, theirs) == [True]


async def test_the_file_gets_smaller_once_nobody_drives_a_run(sqlite: SqliteStore) -> None:
    for run in ("r1", "r2", "r3"):
        await kept(sqlite, run)
        claim = await sqlite.claim(run, new_owner())
        await sqlite.append(claim, 0, [note(seq, text="x" * 2000) for seq in range(1, 501)], "paused")
    assert await sqlite.compact() == 0  # nothing to gain
    await sqlite.remove("r1")
    claim = await sqlite.claim("r3", new_owner())
    assert await sqlite.compact() == 0
    await sqlite.release(claim)
    before = await sqlite.chain("r2")
    assert await sqlite.compact() > 500_000
    assert await sqlite.chain("r2") == before
    assert (before.found, len(await sqlite.load("r2"))) == (before.recorded, 500)
    await kept(sqlite, "r4", b"more")
    with closing(sqlite3.connect(sqlite.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_damaged_run_can_be_removed(sqlite: SqliteStore) -> None:
    await kept(sqlite, "r1", b"a")
    with closing(sqlite3.connect(sqlite.path)) as db, db:
        db.execute("UPDATE event SET data = x'ff00'")
    await sqlite.remove("r1")
    assert await sqlite.names() == []


async def test_a_removal_that_fails_removes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF", patience_seconds=0.05)
    digests = await kept(store, "r1", b"a")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await store.remove("r1")
    assert len(await store.load("r1")) == 1
    assert there(store, *digests) == [True]
    await store.close()


async def test_what_is_left_of_starts_that_failed_goes_with_a_later_removal(
    sqlite: SqliteStore, clock: "Clock", dead_owner: str
) -> None:
    def runs() -> list[str]:
        with closing(sqlite3.connect(sqlite.path)) as db:
            return [name for (name,) in db.execute("SELECT name FROM run ORDER BY name")]

    for run in ("created", "died", "given-back", "driven"):
        await sqlite.create(run, "chat")
    await sqlite.claim("died", dead_owner)
    await sqlite.release(await sqlite.claim("given-back", new_owner()))
    await sqlite.post("given-back", "{}")
    driven = await sqlite.claim("driven", new_owner())
    await kept(sqlite, "r1")
    await sqlite.sweep()
    assert runs() == ["created", "died", "driven", "given-back", "r1"]  # they may be about to begin
    clock.ahead = DAY + 3600
    await sqlite.create("young", "chat")
    await sqlite.remove("r1")
    assert runs() == ["driven", "young"]
    with closing(sqlite3.connect(sqlite.path)) as db:
        assert db.execute("SELECT count(*) FROM command").fetchone() == (0,)
    await sqlite.append(driven, 0, [note(1)], "paused")
