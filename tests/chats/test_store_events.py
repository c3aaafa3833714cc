"""What every store must do with events and content: keep them in their order, whole, and as they were."""

import hashlib

import pytest

from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.event_types import RunPaused, Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.store import Store
from tests.journals import claimed, notes, texts


async def test_events_come_back_in_order_numbered_without_a_gap(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a", "b"))
    await store.append(claim, 2, notes(3, "c"))
    events = await store.load("r1")
    assert [e.seq for e in events] == [1, 2, 3]
    assert events == notes(1, "a", "b", "c")


async def test_the_digest_of_what_was_appended_is_the_digest_of_what_is_there(store: Store) -> None:
    claim = await claimed(store)
    seen = [await store.chain("r1")]
    for head, batch in ((0, notes(1, "a", "b")), (2, notes(3, "c")), (3, [])):
        await store.append(claim, head, batch)
        seen.append(await store.chain("r1"))
    await store.append(claim, 3, [], "paused")
    await store.append(await store.claim("r1", new_owner()), 3, notes(4, "d"))
    seen.append(await store.chain("r1"))
    assert all(chain.recorded == chain.found for chain in seen)
    assert [len(chain.found) for chain in seen] == [0, 32, 32, 32, 32]
    assert len({chain.found for chain in seen}) == 4  # an append of nothing changes nothing


async def test_the_digest_is_of_the_events_alone_and_of_how_they_stand(store: Store) -> None:
    a, b = notes(1, "a", "b")
    journals = {
        "one by one": [[a], [b]],
        "together": [[a, b]],
        "said": [[a, b._replace(data=Warned(text="B"))]],
        "turned": [[a._replace(data=b.data), b._replace(data=a.data)]],
        "later": [[a, b._replace(ts=b.ts + 1)]],
        "moved": [[a, b._replace(participant="x")]],
        "spanned": [[a, b._replace(span="x")]],
        "retried": [[a, b._replace(attempt=1)]],
        "short": [[a]],
    }
    found = {}
    for run, batches in journals.items():
        claim, head = await claimed(store, run), 0
        for batch in batches:
            await store.append(claim, head, batch)
            head += len(batch)
        found[run] = (await store.chain(run)).found
    assert found.pop("one by one") == found["together"] == "f29f8df742cae118ad13e3736feb25aa"  # for good: files keep it
    assert len(set(found.values())) == len(found)


async def test_a_refused_append_leaves_the_digest(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    before = await store.chain("r1")
    with pytest.raises(Fenced):
        await store.append(claim, 5, notes(6, "x"))
    assert await store.chain("r1") == before


async def test_only_the_events_after_a_number_are_loaded(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a", "b", "c"))
    assert await texts(store, after=2) == ["c"]
    assert await texts(store, after=3) == []


async def test_only_the_events_of_the_named_types_are_loaded(store: Store) -> None:
    claim = await claimed(store)
    paused = Event("run.paused", 0, 0, "", RunPaused(reason="x"), "", 2, 100.0)
    await store.append(claim, 0, [*notes(1, "a"), paused, *notes(3, "b")])
    assert [e.seq for e in await store.load("r1", types=("warning",))] == [1, 3]
    assert [e.seq for e in await store.load("r1", 1, types=("warning", "run.paused"))] == [2, 3]
    assert await store.load("r1", types=("run.finished",)) == []
    with pytest.raises(UserError, match="no run 'r9'"):
        await store.load("r9", types=("warning",))


@pytest.mark.parametrize("head", [0, 1, 3])
async def test_an_append_that_expects_another_head_writes_nothing(store: Store, head: int) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a", "b"))
    with pytest.raises(Fenced, match="run r1 is driven by another process"):
        await store.append(claim, head, notes(head + 1, "x", "y"))
    assert await texts(store) == ["a", "b"]


async def test_a_status_alone_writes_no_event(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    await store.append(claim, 1, [], "paused")
    assert await texts(store) == ["a"]
    assert (await store.runs())[0].status == "paused"


async def test_content_is_kept_by_its_digest(store: Store) -> None:
    digest = await store.blobs.put(b"plot")
    assert digest == hashlib.sha256(b"plot").hexdigest() == await store.blobs.put(b"plot")
    assert await store.blobs.get(digest) == b"plot"
    with pytest.raises(StoreError, match="is missing"):
        await store.blobs.get("0" * 64)
