"""How every store forgets a run, and content that no run names any more."""

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.store import Store
from tests.journals import DAY, claimed, notes, texts

if TYPE_CHECKING:
    from tests.chats.conftest import Clock


async def test_a_run_that_was_removed_is_gone_with_its_commands_and_no_other_is(store: Store) -> None:
    for run in ("r1", "r2"):
        await store.append(await claimed(store, run), 0, notes(1, "a"), "paused")
        await store.post(run, "stop")
    assert await store.remove("r1") >= len("stop")
    assert await store.names() == ["r2"]
    assert [p.command for p in await store.posted("r2")] == ["stop"]
    with pytest.raises(UserError, match="no run 'r1'"):
        await store.load("r1")
    await store.create("r1", "again")
    assert (await store.load("r1"), await store.posted("r1")) == ([], [])
    assert await store.post("r1", "x") == 1


async def test_a_run_that_a_living_process_drives_is_not_removed(store: Store, living_owner: str) -> None:
    claim = await claimed(store, owner=living_owner)
    await store.append(claim, 0, notes(1, "a"))
    pid = living_owner.split(":")[2]
    with pytest.raises(Fenced, match=rf"run r1 is driven by a process \(pid {pid}\): stop it"):
        await store.remove("r1")
    assert await texts(store) == ["a"]
    await store.append(claim, 1, notes(2, "b"), "paused")
    await store.remove("r1")
    assert await store.names() == []


async def test_the_run_of_a_dead_process_can_be_removed(store: Store, dead_owner: str) -> None:
    await store.append(await claimed(store, owner=dead_owner), 0, notes(1, "a"))
    await store.remove("r1")
    assert await store.names() == []


async def test_who_drove_a_removed_run_writes_nothing_into_another_of_its_number(store: Store) -> None:
    old = await claimed(store, "r1")
    await store.append(old, 0, notes(1, "a"))
    await store.release(old)
    await store.remove("r1")
    await store.append(await claimed(store, "r2"), 0, notes(1, "b"))
    with pytest.raises(Fenced):
        await store.append(old, 1, notes(2, "c"))
    with pytest.raises(Fenced):
        await store.renew(old)
    await store.release(old)
    assert await texts(store, "r2") == ["b"]


async def test_who_watches_a_run_that_is_removed_is_told(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    async with aclosing(store.watch("r1")) as events:  # type: ignore[type-var]
        await anext(events)
        await store.append(claim, 1, [], "paused")
        await store.remove("r1")
        with pytest.raises(UserError, match="no run 'r1'"):
            await anext(events)


def names_file(seq: int, digest: str) -> Event:
    return Event("warning", 0, 0, "", Warned(text="kept", facts={"sha256": digest}), "", seq, 100.0)


async def test_content_goes_with_the_last_run_that_names_it(store: Store, clock: "Clock") -> None:
    mine, shared = await store.blobs.put(b"mine"), await store.blobs.put(b"shared")
    for run, digests in (("r1", (mine, shared)), ("r2", (shared,))):
        await store.append(await claimed(store, run), 0, [names_file(n, d) for n, d in enumerate(digests, 1)], "paused")
    clock.ahead = DAY
    await store.remove("r1")
    with pytest.raises(StoreError, match="is missing"):
        await store.blobs.get(mine)
    assert await store.blobs.get(shared) == b"shared"
    await store.remove("r2")
    with pytest.raises(StoreError, match="is missing"):
        await store.blobs.get(shared)


async def test_content_that_a_command_names_is_kept(store: Store, clock: "Clock") -> None:
    digest = await store.blobs.put(b"for later")
    await store.append(await claimed(store, "r1"), 0, notes(1, "a"), "paused")
    await store.append(await claimed(store, "r2"), 0, notes(1, "a"), "paused")
    await store.post("r2", f'{{"file": "{digest}"}}')
    clock.ahead = DAY
    await store.remove("r1")
    assert await store.blobs.get(digest) == b"for later"


async def test_content_that_was_put_lately_stays_for_a_run_that_has_not_named_it_yet(
    store: Store, clock: "Clock"
) -> None:
    clock.ahead = -DAY
    digest = await store.blobs.put(b"shared")
    clock.ahead = 0
    await store.append(await claimed(store, "r1"), 0, [names_file(1, digest)], "paused")
    assert await store.blobs.put(b"shared") == digest  # by a run that is about to name it
    await store.remove("r1")
    assert await store.blobs.get(digest) == b"shared"
    await store.append(await claimed(store, "r2"), 0, [names_file(1, digest)], "paused")
    clock.ahead = DAY
    await store.append(await claimed(store, "r3"), 0, notes(1, "a"), "paused")
    await store.remove("r3")
    assert await store.blobs.get(digest) == b"shared"
    await store.remove("r2")
    with pytest.raises(StoreError, match="is missing"):
        await store.blobs.get(digest)
