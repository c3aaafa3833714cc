"""How every store lists its runs."""

import pytest

from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import EffectCompleted, EffectIntended, RunFinished, RunPaused, Spent, TurnFinished
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.store import Store
from moot.termination.outcome import Outcome
from tests.journals import claimed, notes, texts


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
