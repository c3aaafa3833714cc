"""The thread that owns a file of journals: every job is answered, in its order, and whoever reads waits for nobody."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from moot.chats.errors import StoreError
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore
from moot.chats.sqlite_writer import Job
from tests.journals import note


@contextmanager
def kept_busy(path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection writes, until it rolls back or the block ends."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield db


class Held:
    """A queue into which other threads than this one put nothing before they are let."""

    def __init__(self, inner: "queue.SimpleQueue[Job | None]") -> None:
        self._inner, self._own = inner, threading.current_thread()
        self.here, self.let = threading.Event(), threading.Event()

    def put(self, job: Job | None) -> None:
        if threading.current_thread() is not self._own:
            self.here.set()
            self.let.wait()
        self._inner.put(job)

    def get(self, block: bool = True, timeout: float | None = None) -> Job | None:
        return self._inner.get(block, timeout)

    def qsize(self) -> int:
        return self._inner.qsize()


async def test_a_job_that_another_thread_hands_in_while_the_store_is_closed_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF")
    await store.names()
    store._writer._jobs = held = Held(store._writer._jobs)  # type: ignore[assignment]
    other = asyncio.ensure_future(asyncio.to_thread(lambda: asyncio.run(asyncio.wait_for(store.names(), 60))))
    await asyncio.to_thread(held.here.wait)  # it saw an open store
    await store.close()
    held.let.set()
    with pytest.raises(StoreError, match="is closed"):
        await other


async def test_who_only_reads_is_not_held_up_by_who_waits_for_a_busy_file_in_the_same_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF", patience_seconds=600)
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    with kept_busy(store.path) as busy:
        written = [asyncio.ensure_future(store.append(claim, head, [note(head + 1)])) for head in range(3)]
        for _ in range(3):
            assert await store.load("r") == []
            written.append(asyncio.ensure_future(store.append(claim, len(written), [note(len(written) + 1)])))
        assert not any(one.done() for one in written)
        busy.execute("ROLLBACK")
        await asyncio.gather(*written)  # in the order in which they were handed in, or they would be refused
    assert [event.seq for event in await store.load("r")] == [1, 2, 3, 4, 5, 6]
    await store.close()


async def test_commands_of_others_are_heard_while_a_job_waits_for_a_busy_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF", patience_seconds=600)
    await store.create("r", "chat")
    knock = asyncio.ensure_future(store.knock("r"))
    while not store._news.commands:
        await store.names()
    await store.names()  # and it has looked
    with kept_busy(store.path) as busy:
        waiting = asyncio.ensure_future(store.create("s", "chat"))
        await store.names()
        busy.execute("INSERT INTO command(run, number, ts, command) VALUES(1, 1, 0, '{}')")
        busy.execute("COMMIT")
        busy.execute("BEGIN IMMEDIATE")
        await knock
        busy.execute("ROLLBACK")
        await waiting
    await store.close()


async def test_a_store_that_is_closed_while_its_file_is_busy_finishes_what_waits(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF", patience_seconds=600)
    await store.create("r", "chat")
    with kept_busy(store.path) as busy:
        waiting = asyncio.ensure_future(store.create("s", "chat"))
        await store.names()
        closing_it = asyncio.ensure_future(store.close())
        await asyncio.sleep(0)
        assert not waiting.done()
        busy.execute("ROLLBACK")
        await asyncio.gather(waiting, closing_it)


async def test_a_job_waits_for_a_busy_file_as_long_as_it_is_to_and_no_longer(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF", patience_seconds=0.2)
    await store.create("r", "chat")
    with kept_busy(store.path):
        waiting = [asyncio.ensure_future(store.create(run, "chat")) for run in ("s", "t")]
        assert await store.names() == []
        for one in waiting:
            with pytest.raises(StoreError, match="another process has kept it busy for too long"):
                await one
    await store.create("s", "chat")
    await store.close()
