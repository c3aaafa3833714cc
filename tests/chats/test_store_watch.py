"""How every store lets a run be followed."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.store import Store
from tests.journals import claimed, notes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chats.conftest import Mortal


async def followed(events: "AsyncIterator[Event]") -> list[str]:
    return [e.data.text for e in [e async for e in events] if isinstance(e.data, Warned)]


async def test_a_run_that_is_not_driven_is_given_whole_and_that_is_all(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a", "b", "c"), "paused")
    assert await followed(store.watch("r1")) == ["a", "b", "c"]
    assert await followed(store.watch("r1", 2)) == ["c"]
    assert await followed(store.watch("r1", 3)) == []


@pytest.mark.parametrize("status", ["paused", "waiting", "finished"])
async def test_who_watches_gets_every_event_once_and_ends_with_the_run(store: Store, status: str) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    async with aclosing(store.watch("r1")) as events:  # type: ignore[type-var]
        assert (await anext(events)).seq == 1
        coming = asyncio.ensure_future(followed(events))
        await store.load("r1")
        assert not coming.done()
        for head in range(1, 30):
            await store.append(claim, head, notes(head + 1, f"{head + 1}"))
        await store.append(claim, 30, notes(31, "last"), status)
        assert await coming == [*(f"{n}" for n in range(2, 31)), "last"]
    assert (await store.row("r1")).status == status
    assert not store._news  # type: ignore[attr-defined]


async def test_a_watch_ends_when_the_run_is_given_back_without_a_word(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    coming = asyncio.ensure_future(followed(store.watch("r1")))
    await store.load("r1")
    await store.release(claim)
    assert await coming == ["a"]


async def test_a_watch_goes_on_with_whoever_takes_the_run_over(store: Store) -> None:
    claim = await claimed(store)
    async with aclosing(store.watch("r1")) as events:  # type: ignore[type-var]
        await store.append(claim, 0, notes(1, "a"))
        assert (await anext(events)).seq == 1
        await store.append(claim, 1, notes(2, "b"), "paused")  # nobody looks meanwhile
        again = await store.claim("r1", new_owner())
        await store.append(again, 2, notes(3, "c"))
        assert [(await anext(events)).seq for _ in range(2)] == [2, 3]
        last = asyncio.ensure_future(followed(events))
        await store.append(again, 3, notes(4, "d"), "finished")
        assert await last == ["d"]


async def test_a_watch_ends_when_the_runs_process_has_died(store: Store, mortal: "Mortal") -> None:
    claim = await claimed(store, owner=mortal.owner)
    await store.append(claim, 0, notes(1, "a"))
    async with aclosing(store.watch("r1")) as events:  # type: ignore[type-var]
        assert (await anext(events)).seq == 1
        rest = asyncio.ensure_future(followed(events))
        await store.load("r1")
        assert not rest.done()
        mortal.kill()
        assert await rest == []
    assert not (await store.row("r1")).driven


async def test_who_stops_watching_leaves_nothing(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    async with aclosing(store.watch("r1")) as events:  # type: ignore[type-var]
        await anext(events)
    watching = asyncio.ensure_future(followed(store.watch("r1")))
    await store.load("r1")
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert not store._news  # type: ignore[attr-defined]
