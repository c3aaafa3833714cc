"""What every store must do."""

import asyncio
import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.event_types import EffectCompleted, EffectIntended, RunFinished, RunPaused, Spent, TurnFinished, Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.store import LEASE_SECONDS, Claim, Store
from moot.termination.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chats.conftest import Clock, Mortal

DAY = 86400.0


def notes(first: int, *texts: str) -> list[Event]:
    return [Event("warning", 0, 0, "", Warned(text=t), "", seq, 100.0 + seq) for seq, t in enumerate(texts, first)]


async def claimed(store: Store, run: str = "r1", owner: str = "") -> Claim:
    await store.create(run, "chat")
    return await store.claim(run, owner or new_owner())


async def texts(store: Store, run: str = "r1", after: int = 0) -> list[str]:
    return [e.data.text for e in await store.load(run, after) if isinstance(e.data, Warned)]


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


@pytest.mark.parametrize("head", [0, 1, 3])
async def test_an_append_that_expects_another_head_writes_nothing(store: Store, head: int) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a", "b"))
    with pytest.raises(Fenced, match="run r1 is driven by another process"):
        await store.append(claim, head, notes(head + 1, "x", "y"))
    assert await texts(store) == ["a", "b"]


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


async def test_a_status_alone_writes_no_event(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    await store.append(claim, 1, [], "paused")
    assert await texts(store) == ["a"]
    assert (await store.runs())[0].status == "paused"


async def test_a_run_that_never_began_is_in_no_list(store: Store) -> None:
    await store.create("r1", "chat")
    assert (await store.runs(), await store.names()) == ([], [])
    assert await store.load("r1") == []


async def test_an_unknown_run_is_the_callers_mistake(store: Store) -> None:
    with pytest.raises(UserError, match="no run 'nobody'"):
        await store.claim("nobody", new_owner())
    with pytest.raises(UserError, match="no run 'nobody'"):
        await store.load("nobody")
    with pytest.raises(UserError, match="no run 'nobody'"):
        await store.chain("nobody")


async def test_two_runs_of_one_name_are_refused(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"))
    with pytest.raises(StoreError, match="there is a run 'r1' already"):
        await store.create("r1", "chat")
    assert await texts(store) == ["a"]


async def test_the_list_counts_what_counts(store: Store) -> None:
    claim = await claimed(store)
    spent = Spent(input_tokens=10, output_tokens=5, usd=0.25)
    finished = RunFinished(outcome=Outcome.LIMIT, rule="limits.turns", reason="1 turns taken", turn=1)
    models = (
        EffectIntended(key="model/0", kind="model", digest="d"),
        EffectCompleted(key="model/0", result=None, spent=spent),
        EffectCompleted(key="model/1", result=None, spent=spent),
        TurnFinished(reply=None),
        finished,
    )
    events = [Event(m.type, 1, 1, "a", m, "", n, 100.0 + n) for n, m in enumerate(models, 1)]
    await store.append(claim, 0, events, "finished")
    await store.create("r0", "other")
    await store.append(await store.claim("r0", new_owner()), 0, notes(1, "a"))
    newest, oldest = await store.runs()
    assert (newest.run, newest.chat, newest.status, newest.outcome) == ("r1", "chat", "finished", "limit")
    assert (newest.turns, newest.input_tokens, newest.output_tokens, newest.usd) == (1, 20, 10, 0.5)
    assert newest.started == 101.0
    assert (oldest.run, oldest.status, oldest.outcome, oldest.turns, oldest.usd) == ("r0", "created", None, 0, 0.0)


async def test_one_unpriced_call_leaves_a_run_without_a_price(store: Store) -> None:
    claim = await claimed(store)
    known, unknown = (
        EffectCompleted(key="k", result=None, spent=Spent(input_tokens=1, usd=usd)) for usd in (1.0, None)
    )
    await store.append(claim, 0, [Event(m.type, 1, 1, "a", m) for m in (known, unknown)])
    assert (await store.runs())[0].usd is None


async def test_a_run_that_went_on_after_its_end_has_no_outcome_yet(store: Store) -> None:
    claim = await claimed(store)
    ended = RunFinished(outcome=Outcome.FAILED, rule="sandbox", reason="no sandbox", turn=1, cause="sandbox")
    paused = RunPaused(reason="asked")
    await store.append(claim, 0, [Event(m.type, 0, 0, "", m) for m in (ended, paused)], "paused")
    assert (await store.runs())[0].outcome is None


async def test_runs_are_found_by_the_beginning_of_their_names(store: Store) -> None:
    for run in ("abc", "abd", "b%"):
        await store.append(await claimed(store, run), 0, notes(1, "a"))
    assert await store.names("ab") == ["abc", "abd"]
    assert await store.names("b%") == ["b%"]
    assert await store.names("%") == []
    assert await store.names() == ["abc", "abd", "b%"]


async def test_content_is_kept_by_its_digest(store: Store) -> None:
    digest = await store.blobs.put(b"plot")
    assert digest == hashlib.sha256(b"plot").hexdigest() == await store.blobs.put(b"plot")
    assert await store.blobs.get(digest) == b"plot"
    with pytest.raises(StoreError, match="is missing"):
        await store.blobs.get("0" * 64)


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


async def test_one_run_is_listed_as_it_is_among_all(store: Store, living_owner: str) -> None:
    await store.create("r0", "empty")
    claim = await claimed(store, "r1", living_owner)
    done = EffectCompleted(key="k", result=None, spent=Spent(input_tokens=3, output_tokens=2, usd=0.5))
    await store.append(claim, 0, [Event(m.type, 1, 1, "a", m, "", 0, 7.0) for m in (done, TurnFinished(reply=None))])
    assert [await store.row("r1")] == await store.runs()
    row = await store.row("r1")
    assert (row.turns, row.input_tokens, row.usd, row.driven, row.parent) == (1, 3, 0.5, True, "")
    empty = await store.row("r0")
    assert (empty.chat, empty.status, empty.turns, empty.started, empty.usd) == ("empty", "created", 0, 0.0, 0.0)


@pytest.mark.parametrize("usd", [0.25, None])
async def test_what_a_fork_took_over_is_not_what_it_spent(store: Store, usd: float | None) -> None:
    def turn(number: int, price: float | None) -> list[Event]:
        spent = Spent(input_tokens=10, output_tokens=5, usd=price)
        models = (EffectCompleted(key=f"k{number}", result=None, spent=spent), TurnFinished(reply=None))
        return [Event(m.type, number, 1, "a", m, "", 0, 100.0 + number) for m in models]

    await store.create("r1", "chat", parent="r0", base=4)
    claim = await store.claim("r1", new_owner())
    await store.append(claim, 0, [*turn(1, None), *turn(2, 1.0)])
    taken = await store.row("r1")
    assert (taken.turns, taken.input_tokens, taken.usd, taken.parent, taken.started) == (2, 0, 0.0, "r0", 101.0)
    await store.append(claim, 4, turn(3, usd))
    row = await store.row("r1")
    assert (row.turns, row.input_tokens, row.output_tokens, row.usd, row.started) == (3, 10, 5, usd, 103.0)
    assert await store.runs() == [row]


async def test_a_run_that_waits_is_listed_as_waiting_and_can_be_claimed(store: Store) -> None:
    claim = await claimed(store)
    await store.append(claim, 0, notes(1, "a"), "waiting")
    row = await store.row("r1")
    assert (row.status, row.driven) == ("waiting", False)
    assert (await store.claim("r1", new_owner())).epoch == 2


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
