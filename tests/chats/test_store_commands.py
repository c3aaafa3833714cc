"""What every store does with commands, and with those who wait for them."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from moot.chats.errors import UserError
from moot.chats.store import Store
from tests.journals import claimed, notes

if TYPE_CHECKING:
    from tests.chats.conftest import Clock


async def test_an_unknown_run_can_neither_be_told_nor_followed_nor_removed(store: Store) -> None:
    for asked in (
        store.post("nobody", "{}"),
        store.posted("nobody"),
        store.knock("nobody"),
        store.row("nobody"),
        store.remove("nobody"),
        anext(aiter(store.watch("nobody"))),
    ):
        with pytest.raises(UserError, match="no run 'nobody'"):
            await asked


async def test_commands_are_numbered_by_run_and_kept_as_they_were_posted(store: Store, clock: "Clock") -> None:
    await claimed(store, "r1")
    await store.create("r2", "chat")  # driven by nobody: that is nothing to whoever posts
    assert [await store.post(run, text) for run, text in (("r1", "a"), ("r2", "x"), ("r1", '{"é": 1}'))] == [1, 1, 2]
    found = await store.posted("r1")
    assert [(p.number, p.command) for p in found] == [(1, "a"), (2, '{"é": 1}')]
    assert all(abs(p.ts - clock()) < 60 for p in found)
    assert await store.posted("r1", 1) == found[1:]
    assert await store.posted("r1", 2) == []
    assert [p.command for p in await store.posted("r2")] == ["x"]


async def test_commands_that_are_posted_together_all_get_a_number_of_their_own(store: Store) -> None:
    await claimed(store)
    numbers = await asyncio.gather(*(store.post("r1", f"{n}") for n in range(50)))
    assert sorted(numbers) == list(range(1, 51))
    assert {p.number: p.command for p in await store.posted("r1")} == {n: f"{i}" for i, n in enumerate(numbers)}


async def test_commands_need_no_claim_and_change_no_journal(store: Store, living_owner: str) -> None:
    claim = await claimed(store, owner=living_owner)
    await store.append(claim, 0, notes(1, "a"))
    before = await store.chain("r1")
    await store.post("r1", "stop")
    assert await store.chain("r1") == before
    await store.append(claim, 1, notes(2, "b"))


async def test_a_knock_is_heard_at_once_when_the_command_is_there_already(store: Store) -> None:
    await claimed(store)
    await store.post("r1", "a")
    await store.knock("r1")
    await store.post("r1", "b")
    await store.knock("r1", 1)


async def test_a_knock_is_heard_when_the_command_comes_and_not_before(store: Store) -> None:
    await claimed(store, "r1")
    await claimed(store, "r2")
    heard = {
        name: asyncio.ensure_future(store.knock(run, after))
        for name, run, after in (("next", "r1", 0), ("later", "r1", 1), ("other", "r2", 0))
    }
    await store.posted("r1")  # a round trip
    assert not any(task.done() for task in heard.values())
    await store.post("r1", "a")
    await heard["next"]
    await store.posted("r1")
    assert not any(heard[name].done() for name in ("later", "other"))
    await store.post("r2", "b")
    await heard["other"]
    await store.post("r1", "c")
    await heard["later"]


async def test_who_stops_waiting_for_a_knock_leaves_nothing(store: Store) -> None:
    await claimed(store)
    waiting = [asyncio.ensure_future(store.knock("r1")) for _ in range(20)]
    await store.posted("r1")
    for task in waiting:
        task.cancel()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in done} == {asyncio.CancelledError}
    assert not store._news  # type: ignore[attr-defined]
    await store.post("r1", "a")
    await store.knock("r1")


async def test_a_thousand_runs_wait_and_only_the_one_that_is_meant_wakes(store: Store) -> None:
    for number in range(1000):
        await store.create(f"r{number}", "chat")
    waiting = [asyncio.ensure_future(store.knock(f"r{number}")) for number in range(1000)]
    await store.post("r500", "a")
    await waiting[500]
    assert [n for n, task in enumerate(waiting) if task.done()] == [500]
    await asyncio.gather(*(store.post(f"r{number}", "a") for number in range(1000)))
    await asyncio.gather(*waiting)
