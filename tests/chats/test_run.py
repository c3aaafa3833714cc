"""A run is driven in the background: whoever watches, waits, leaves or stops changes nothing but what they ask for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent

from moot.agents.executor import executor
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.errors import StoreError, UserError
from moot.chats.events import Draft, Event
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Claim, Store
from moot.chats.verify import verify_run
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, Scripted, data_of, lines, types

FOUR = Limits(turns=4)


class Gate:
    """Holds a participant in its turn until the test lets it go on."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    def at(self, turn: int) -> Callable[..., Awaitable[str]]:
        async def reply(number: int, _: object) -> str:
            if number == turn and not self.opened.is_set():
                self.reached.set()
                await self.opened.wait()
            return f"a {number}"

        return reply


async def seen(run: Run, *, drafts: bool = False) -> list[Event | Draft]:
    return [event async for event in run.events(drafts=drafts)]


async def test_what_a_run_tells_of_itself(store: Store) -> None:
    run = await Chat([AssistantAgent("a", Counting())], limits=Limits(turns=2), name="talk").run("go", store=store)
    assert (run.status, run.outcome, run.turns, run.cause) == ("finished", Outcome.LIMIT, 2, "")
    assert run.result == run.transcript.history[-1].text
    assert (run.usage.tokens, run.usage.model_calls) == (30, 2)
    assert set(run.usage_by_participant) == {"a"}
    assert (run.created.chat, run.created.models, run.created.model_kind) == ("talk", {"a": "Counting"}, "real")
    assert run.artifacts == []
    (row,) = await store.runs()
    assert (row.run, row.status, row.outcome, row.turns, row.input_tokens) == (run.id, "finished", "limit", 2, 20)


async def test_a_viewer_sees_every_event_once_and_in_order_whenever_it_comes(store: Store) -> None:
    gate = Gate()
    run = await Chat([Scripted("a", gate.at(2))], limits=FOUR).start("go", store=store)
    from_the_start = asyncio.create_task(seen(run))
    await gate.reached.wait()
    from_the_middle = asyncio.create_task(seen(run))
    await asyncio.sleep(0)
    gate.opened.set()
    await run.finish()
    afterwards = await seen(run)
    numbers = [e.seq for e in afterwards if isinstance(e, Event)]
    assert numbers == list(range(1, len(numbers) + 1))
    told = [e.envelope("r") for e in afterwards if isinstance(e, Event)]
    for viewer in (from_the_start, from_the_middle):
        assert [e.envelope("r") for e in await viewer if isinstance(e, Event)] == told
    assert isinstance(afterwards[-1], Event)
    assert afterwards[-1].type == "run.finished"


async def test_text_is_shown_as_it_comes_to_who_asks_for_it() -> None:
    chat = Chat([AssistantAgent("a", Counting(lambda *_: "one two"), model_client_stream=True)], limits=Limits(turns=1))
    run = await chat.start("go", store=MemoryStore())
    plain, all_of_it = await asyncio.gather(seen(run), seen(run, drafts=True))
    assert [item.text for item in all_of_it if isinstance(item, Draft)] == ["one ", "two "]
    assert [item for item in all_of_it if isinstance(item, Event)] == plain


async def test_a_viewer_that_leaves_changes_nothing(store: Store) -> None:
    run = await Chat([Scripted("a")], limits=FOUR).start("go", store=store)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.started":
            break
    await run.finish()
    assert run.turns == 4


async def test_a_viewer_that_never_reads_holds_up_nobody(store: Store) -> None:
    run = await Chat([Scripted("a")], limits=FOUR).start("go", store=store)
    lazy = run.events()
    await anext(lazy)
    await run.finish()
    assert run.turns == 4
    assert len([event async for event in lazy]) == len(await store.load(run.id)) - 1


async def test_who_stops_waiting_does_not_stop_the_run(store: Store) -> None:
    gate = Gate()
    run = await Chat([Scripted("a", gate.at(1))], limits=FOUR).start("go", store=store)
    await gate.reached.wait()
    waiting = asyncio.create_task(run.finish())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.opened.set()
    await run.finish()
    assert (run.turns, run.outcome) == (4, Outcome.LIMIT)


async def test_a_pause_lets_the_turn_end_and_the_run_can_be_resumed(store: Store) -> None:
    gate = Gate()
    chat = Chat([Scripted("a", gate.at(2)), Scripted("b")], limits=FOUR)
    run = await chat.start("go", store=store)
    await gate.reached.wait()
    run.pause_after_turn("lunch")
    gate.opened.set()
    await run.finish()
    assert (run.status, run.turns, run.outcome, run.stopped_by) == ("paused", 3, None, None)
    assert [e.reason for e in await data_of(store, run, ev.RunPaused)] == ["lunch"]
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert lines(again) == ["a: a 1", "b: b 1", "a: a 2", "b: b 2"]
    assert await verify_run(store, run.id) == []


async def test_a_run_that_is_stopped_at_once_leaves_a_turn_that_is_taken_again(store: Store) -> None:
    gate = Gate()
    chat = Chat([Scripted("a", gate.at(2)), Scripted("b")], limits=FOUR)
    run = await chat.start("go", store=store)
    await gate.reached.wait()
    waiting = asyncio.create_task(run.finish())
    await run.stop_now("enough")
    assert await waiting is run
    assert (run.status, run.turns) == ("paused", 2)
    assert (await types(store, run))[-2:] == ["turn.abandoned", "run.paused"]
    gate.opened.set()
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert lines(again) == ["a: a 1", "b: b 1", "a: a 2", "b: b 2"]
    assert again._table.seats["a"].agent.told == ["user: go", "b: b 1"]  # type: ignore[attr-defined]
    assert await verify_run(store, run.id) == []


async def test_an_agent_that_will_not_stop_is_left_behind(store: Store) -> None:
    began, let_go = asyncio.Event(), asyncio.Event()

    async def stubborn(*_: object) -> str:
        began.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return ""

    run = await Chat([Scripted("a", stubborn)], limits=FOUR).start("go", store=store)
    await began.wait()
    await run.stop_now()
    assert run.status == "paused"
    let_go.set()


async def test_stopping_a_run_that_is_over_changes_nothing(store: Store) -> None:
    run = await Chat([Scripted("a")], limits=FOUR).run("go", store=store)
    run.pause_after_turn()
    await run.stop_now()
    assert (run.status, run.outcome) == ("finished", Outcome.LIMIT)
    assert (await types(store, run))[-1] == "run.finished"


class Late(MemoryStore):
    """Holds back the commit of a run's last word."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        if status is None:
            return super().append(claim, expected_head, events)
        return self._last(claim, expected_head, events, status)

    async def _last(self, claim: Claim, expected_head: int, events: Sequence[Event], status: str) -> None:
        self._gate.reached.set()
        await self._gate.opened.wait()
        await super().append(claim, expected_head, events, status)


@pytest.mark.parametrize("cancel", [False, True])
async def test_a_stop_that_comes_with_the_last_word_does_not_unsay_it(cancel: bool) -> None:
    gate = Gate()
    store = Late(gate)
    run = await Chat([Scripted("a")], limits=FOUR).start("go", store=store)
    await gate.reached.wait()
    stopping = asyncio.create_task(run.stop_now())
    await asyncio.sleep(0)
    if cancel:
        run._task.cancel()
        await asyncio.sleep(0)
    gate.opened.set()
    await stopping
    assert (await types(store, run))[-1] == "run.finished"
    assert (await store.runs())[0].status == "finished"
    assert run.outcome == Outcome.LIMIT


async def test_a_loop_that_ends_leaves_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"

    async def forgetful() -> str:
        gate = Gate()
        run = await Chat([Scripted("a", gate.at(2))], limits=FOUR).start("go", store=path)
        await gate.reached.wait()
        return run.id

    run_id = await asyncio.to_thread(lambda: asyncio.run(forgetful()))
    store = SqliteStore(path)
    assert [e.type for e in await store.load(run_id)][-1] == "run.paused"
    await store.close()


async def test_events_and_files_can_be_read_after_the_run_closed_its_store(tmp_path: Path) -> None:
    run = await Chat([Scripted("a")], limits=FOUR).run("go", store=tmp_path / "moot.db")
    assert [e.type for e in await seen(run) if isinstance(e, Event)][-1] == "run.finished"


async def test_an_empty_task_is_refused_before_anything_is_kept() -> None:
    store = MemoryStore()
    with pytest.raises(UserError, match="the task is empty"):
        await Chat([Scripted("a")], limits=FOUR).start(" \n", store=store)
    assert store._runs == {}


async def test_a_missing_input_file_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    store = MemoryStore()
    runner = executor("runner", Fake(), files=[tmp_path / "no.csv"])
    with pytest.raises(UserError, match=r"no\.csv"):
        await Chat([Scripted("a"), runner], limits=FOUR).start("go", store=store)
    assert store._runs == {}


def test_a_place_where_nothing_can_be_kept_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="set MOOT_HOME to a writable folder"):
        Chat([Scripted("a")], limits=FOUR).run_sync("go", store="/dev/null/moot.db")


def test_a_script_without_a_loop_can_run_a_chat(tmp_path: Path) -> None:
    run = Chat([Scripted("a")], limits=FOUR).run_sync("go", store=tmp_path / "moot.db")
    assert (run.turns, run.outcome) == (4, Outcome.LIMIT)


async def test_many_runs_side_by_side_know_nothing_of_each_other(sqlite: SqliteStore) -> None:
    chats = [Chat([Scripted(f"a{n}"), Scripted("b")], limits=FOUR) for n in range(20)]
    runs = await asyncio.gather(*(chat.run(f"task {n}", store=sqlite) for n, chat in enumerate(chats)))
    for n, run in enumerate(runs):
        assert lines(run) == [f"a{n}: a{n} 1", "b: b 1", f"a{n}: a{n} 2", "b: b 2"]
        assert await verify_run(sqlite, run.id) == []
