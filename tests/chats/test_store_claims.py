"""Who drives a run, in every store: one at a time, as long as its process lives."""

from typing import TYPE_CHECKING

import pytest

from moot.chats.errors import Fenced
from moot.chats.owner import new_owner
from moot.chats.store import LEASE_SECONDS, Store
from tests.journals import DAY, claimed, notes, texts

if TYPE_CHECKING:
    from tests.chats.conftest import Clock


async def test_a_claim_that_was_taken_over_appends_and_renews_nothing(store: Store, dead_owner: str) -> None:
    old = await claimed(store, owner=dead_owner)
    new = await store.claim("r1", new_owner())
    assert new.epoch == old.epoch + 1
    with pytest.raises(Fenced):
        await store.append(old, 0, notes(1, "x"))
    with pytest.raises(Fenced):
        await store.renew(old)
    await store.append(new, 0, notes(1, "a"))
    await store.renew(new)
    assert await texts(store) == ["a"]


async def test_the_run_of_a_dead_process_is_taken_over_at_once(store: Store, dead_owner: str) -> None:
    claim = await claimed(store, owner=dead_owner)
    await store.append(claim, 0, notes(1, "a"))
    assert not (await store.runs())[0].driven
    assert (await store.claim("r1", new_owner())).head == 1


async def test_the_run_of_a_living_process_is_refused(store: Store, living_owner: str) -> None:
    claim = await claimed(store, owner=living_owner)
    await store.append(claim, 0, notes(1, "a"))
    assert (await store.runs())[0].driven
    with pytest.raises(Fenced, match="run r1 is driven by another process"):
        await store.claim("r1", new_owner())
    await store.append(claim, 1, notes(2, "b"))


async def test_another_driver_in_the_same_process_is_refused_too(store: Store) -> None:
    await claimed(store, owner=new_owner())
    with pytest.raises(Fenced):
        await store.claim("r1", new_owner())


async def test_a_status_gives_the_claim_back(store: Store, living_owner: str) -> None:
    claim = await claimed(store, owner=living_owner)
    await store.append(claim, 0, notes(1, "a"), "paused")
    (row,) = await store.runs()
    assert (row.status, row.driven) == ("paused", False)
    assert (await store.claim("r1", new_owner())).head == 1


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_clock_that_jumps_takes_no_run_from_a_driver_that_lives(
    store: Store, clock: "Clock", living_owner: str, jump: float
) -> None:
    claim = await claimed(store, owner=living_owner)
    await store.append(claim, 0, notes(1, "a"))
    clock.ahead = jump
    with pytest.raises(Fenced, match="driven by another process"):
        await store.claim("r1", new_owner())
    assert (await store.row("r1")).driven
    await store.renew(claim)
    clock.ahead = 0
    with pytest.raises(Fenced, match="driven by another process"):
        await store.claim("r1", new_owner())
    await store.append(claim, 1, notes(2, "b"))
    assert [event.seq for event in await store.load("r1")] == [1, 2]


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_a_clock_that_jumps_does_not_keep_the_run_of_a_dead_driver(
    store: Store, clock: "Clock", dead_owner: str, jump: float
) -> None:
    await claimed(store, owner=dead_owner)
    clock.ahead = jump
    assert (await store.claim("r1", new_owner())).epoch == 2


async def test_the_lease_of_another_machine_goes_by_the_clock_on_the_wall(store: Store, clock: "Clock") -> None:
    elsewhere = f"another-boot:{new_owner().partition(':')[2]}"
    await claimed(store, owner=elsewhere)
    with pytest.raises(Fenced):
        await store.claim("r1", new_owner())
    clock.ahead = 2 * LEASE_SECONDS
    assert (await store.claim("r1", new_owner())).epoch == 2
