"""The journal: staged, committed together, and only then published."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from moot.chats.errors import Fenced, StoreError
from moot.chats.event_types import Warned
from moot.chats.events import Draft, Event
from moot.chats.journal import Journal, Published
from moot.chats.memory_store import MemoryStore
from moot.chats.owner import new_owner
from moot.chats.store import Claim

DRAFT = Draft(1, 1, "anna", "token", "wo")


class Slow(MemoryStore):
    """Commits when the test lets it; fails where the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.batches: list[list[int]] = []
        self.error: Exception | None = None
        self._asked = asyncio.Event()

    async def asked(self) -> None:
        """Wait for an append that nobody has waited for."""
        await self._asked.wait()
        self._asked.clear()

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        self.batches.append([e.seq for e in events])
        self._asked.set()
        return self._later(claim, expected_head, events, status)

    async def _later(self, claim: Claim, head: int, events: Sequence[Event], status: str | None) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        await super().append(claim, head, events, status)


async def journal_of(store: MemoryStore) -> Journal:
    await store.create("r", "chat")
    return Journal(store, await store.claim("r", new_owner()))


def drained(queue: asyncio.Queue[Published]) -> list[object]:
    items: list[object] = []
    while not queue.empty():
        item = queue.get_nowait()
        items.append(item.data.text if isinstance(item, Event) and isinstance(item.data, Warned) else item)
    return items


async def test_nothing_is_published_before_its_commit() -> None:
    store = Slow()
    journal = await journal_of(store)
    with journal.subscribe() as seen:
        journal.stage(Warned(text="a"))
        flush = asyncio.ensure_future(journal.flush())
        await store.asked()
        assert (store.batches, drained(seen)) == ([[1]], [])
        store.gate.set()
        await flush
        assert drained(seen) == ["a"]


async def test_what_is_staged_together_is_one_commit() -> None:
    store = Slow()
    store.gate.set()
    journal = await journal_of(store)
    for text in "abc":
        journal.stage(Warned(text=text))
    await journal.flush()
    await journal.flush()
    assert store.batches == [[1, 2, 3]]


async def test_what_is_to_come_soon_is_committed_by_the_next_flush() -> None:
    store = Slow()
    store.gate.set()
    journal = await journal_of(store)
    journal.stage(Warned(text="a"))
    journal.soon()
    journal.stage(Warned(text="b"))
    await journal.flush()
    assert store.batches == [[1, 2]]


async def test_what_is_to_come_soon_is_committed_by_itself_if_nothing_follows() -> None:
    store = MemoryStore()
    journal = await journal_of(store)
    with journal.subscribe() as seen:
        journal.stage(Warned(text="a"))
        journal.soon()
        assert isinstance(await seen.get(), Event)


async def test_a_subscriber_that_never_reads_holds_up_nobody() -> None:
    journal = await journal_of(MemoryStore())
    with journal.subscribe() as lazy, journal.subscribe() as eager:
        for number in range(1000):
            journal.stage(Warned(text=str(number)))
            await journal.flush()
            assert drained(eager) == [str(number)]
        assert lazy.qsize() == 1000


async def test_a_subscriber_that_left_gets_nothing_more() -> None:
    journal = await journal_of(MemoryStore())
    with journal.subscribe() as gone:
        pass
    journal.stage(Warned(text="a"))
    await journal.flush()
    journal.draft(DRAFT)
    assert drained(gone) == []


async def test_drafts_are_published_at_once_and_never_stored() -> None:
    store = MemoryStore()
    journal = await journal_of(store)
    with journal.subscribe() as seen:
        journal.draft(DRAFT)
        assert drained(seen) == [DRAFT]
    await journal.flush()
    assert await store.load("r") == []


async def test_a_cancelled_flush_leaves_its_commit_alone() -> None:
    store = Slow()
    journal = await journal_of(store)
    with journal.subscribe() as seen:
        journal.stage(Warned(text="a"))
        flush = asyncio.ensure_future(journal.flush())
        await store.asked()
        flush.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flush
        store.gate.set()
        journal.stage(Warned(text="b"))
        await journal.flush()
        assert drained(seen) == ["a", "b"]
    assert len(await store.load("r")) == 2


async def test_a_commit_that_failed_is_the_last_and_its_error_is_told_again() -> None:
    store = Slow()
    store.error = StoreError("disk is full")
    store.gate.set()
    journal = await journal_of(store)
    with journal.subscribe() as seen:
        journal.stage(Warned(text="a"))
        with pytest.raises(StoreError, match="disk is full"):
            await journal.flush()
        store.error = None
        journal.stage(Warned(text="b"))
        with pytest.raises(StoreError, match="disk is full"):
            await journal.flush()
        assert drained(seen) == []
    assert store.batches == [[1]]


async def test_the_first_failure_is_told_not_the_one_that_follows_from_it() -> None:
    store = Slow()
    journal = await journal_of(store)
    journal.stage(Warned(text="a"))
    first = asyncio.ensure_future(journal.flush())
    await store.asked()
    journal.stage(Warned(text="b"))
    second = asyncio.ensure_future(journal.flush())
    await store.asked()
    assert store.batches == [[1], [2]]
    store.error = StoreError("disk is full")
    store.gate.set()
    for flush in (first, second):
        with pytest.raises(StoreError, match="disk is full"):
            await flush


async def test_an_event_that_cannot_be_written_is_told_to_who_flushes() -> None:
    class Picky(MemoryStore):
        def append(self, *_: object) -> Awaitable[None]:
            raise StoreError("event 1 cannot be written")

    journal = await journal_of(Picky())
    journal.stage(Warned(text="a"))
    with pytest.raises(StoreError, match="event 1 cannot be written"):
        await journal.flush()


async def test_a_run_that_was_taken_over_is_fenced(dead_owner: str) -> None:
    store = MemoryStore()
    await store.create("r", "chat")
    journal = Journal(store, await store.claim("r", dead_owner))
    await store.claim("r", new_owner())
    journal.stage(Warned(text="a"))
    for _ in range(2):
        with pytest.raises(Fenced):
            await journal.flush()


async def test_the_end_is_told_to_who_subscribed_before_and_after() -> None:
    journal = await journal_of(MemoryStore())
    with journal.subscribe() as before:
        journal.close()
        with journal.subscribe() as after:
            assert (drained(before), drained(after)) == ([None], [None])
