"""Hearing of what another process wrote: one look for all who wait, and none when nobody does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moot.chats.errors import StoreError
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore


def note(seq: int) -> Event:
    return Event("warning", 0, 0, "", Warned(text="x"), "", seq, 100.0)


@pytest.fixture
async def other(sqlite: SqliteStore) -> AsyncIterator[SqliteStore]:
    """Another connection to the same file, as another process has one."""
    store = SqliteStore(sqlite.path, "OFF")
    yield store
    await store.close()


class Statements:
    """What a store asks of its file from now on."""

    def __init__(self, store: SqliteStore) -> None:
        self.seen: list[str] = []
        store._writer._db.set_trace_callback(self.seen.append)

    def of(self, word: str) -> list[str]:
        return [sql for sql in self.seen if word in sql]


async def test_a_command_of_another_process_wakes_whom_it_is_for(sqlite: SqliteStore, other: SqliteStore) -> None:
    for run in ("a", "b"):
        await sqlite.create(run, "chat")
    await sqlite.post("b", "old")
    knocks = {run: asyncio.ensure_future(sqlite.knock(run, 1)) for run in ("a", "b")}
    await other.post("a", "first")
    await other.post("b", "x")
    await knocks["b"]
    assert not knocks["a"].done()
    await other.post("a", "second")
    await knocks["a"]
    assert [posted.number for posted in await sqlite.posted("a")] == [1, 2]


async def test_a_look_for_a_thousand_runs_is_one_question(sqlite: SqliteStore, other: SqliteStore) -> None:
    for number in range(1000):
        await sqlite.create(f"r{number}", "chat")
    knocks = [asyncio.ensure_future(sqlite.knock(f"r{number}")) for number in range(1000)]
    while len(sqlite._news.commands.all()) < 1000:
        await sqlite.names()
    await sqlite.names()  # and all of them have looked
    asked = Statements(sqlite)
    await other.post("r700", "x")
    await knocks[700]
    assert len(asked.of("data_version")) >= 1
    assert len(asked.of("command")) - len(asked.of("data_version")) <= 3  # what is new, and the one who was woken
    assert len(asked.seen) < 50
    for knock in knocks:
        knock.cancel()
    await asyncio.gather(*knocks, return_exceptions=True)


async def test_who_waits_for_commands_costs_a_turn_nothing(sqlite: SqliteStore) -> None:
    await sqlite.create("r", "chat")
    claim = await sqlite.claim("r", new_owner())
    knock = asyncio.ensure_future(sqlite.knock("r"))
    while not sqlite._news.commands:
        await sqlite.names()
    await sqlite.names()  # and it has looked
    asked = Statements(sqlite)
    for head in range(200):
        await sqlite.append(claim, head, [note(head + 1)])
    assert asked.of("command") == []  # whatever else it looks at: nobody else has written
    assert len(asked.of("INSERT INTO event")) == 200
    knock.cancel()


async def test_nobody_looks_when_nobody_waits(sqlite: SqliteStore, other: SqliteStore) -> None:
    await sqlite.create("r", "chat")
    await sqlite.post("r", "x")
    await sqlite.knock("r")
    asked = Statements(sqlite)
    await other.post("r", "y")
    assert [posted.command for posted in await sqlite.posted("r")] == ["x", "y"]
    assert asked.of("data_version") == []


async def test_what_another_process_writes_is_followed_in_order_and_once(
    sqlite: SqliteStore, other: SqliteStore
) -> None:
    await other.create("r", "chat")
    claim = await other.claim("r", new_owner())
    await other.append(claim, 0, [note(1)])

    async def follow() -> list[int]:
        return [event.seq async for event in sqlite.watch("r")]

    several = [asyncio.ensure_future(follow()) for _ in range(3)]
    await sqlite.names()
    for head in range(1, 60, 3):
        await other.append(claim, head, [note(head + n) for n in (1, 2, 3)])
        await sqlite.names()
    await other.append(claim, 61, [note(62)], "finished")
    assert await asyncio.gather(*several) == [list(range(1, 63))] * 3
    assert not sqlite._news


async def test_a_lease_that_another_process_renews_holds_for_who_watches_too(
    sqlite: SqliteStore, other: SqliteStore
) -> None:
    await other.create("r", "chat")
    claim = await other.claim("r", new_owner())
    await other.append(claim, 0, [note(1)])
    watch = sqlite.watch("r")
    assert (await anext(watch)).seq == 1
    following = asyncio.ensure_future(anext(watch))
    (waiter,) = sqlite._news.events.all()
    first = waiter.hold
    while waiter.hold == first:
        await other.renew(claim)
    assert waiter.hold.ticks > first.ticks
    assert not following.done()
    await other.append(claim, 1, [note(2)])
    assert (await following).seq == 2
    await other.release(claim)
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_who_waits_when_the_store_is_closed_is_told(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db")
    await store.create("r", "chat")
    await store.append(await store.claim("r", new_owner()), 0, [note(1)])
    watch = store.watch("r")
    await anext(watch)
    waiting = [asyncio.ensure_future(store.knock("r")), asyncio.ensure_future(anext(watch))]
    await store.names()
    await store.close()
    for error in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(error, StoreError)
        assert "is closed" in str(error)
