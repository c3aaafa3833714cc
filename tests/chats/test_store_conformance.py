"""What every store must do."""

import hashlib

import pytest

from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.events import (
    EffectCompleted,
    EffectIntended,
    Event,
    RunFinished,
    RunPaused,
    Spent,
    TurnFinished,
    Warned,
)
from moot.chats.owner import new_owner
from moot.chats.store import Claim, Store
from moot.termination.outcome import Outcome


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
