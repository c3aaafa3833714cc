"""A run is told again from its journal alone."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import pytest
from autogen_agentchat.agents import AssistantAgent

from moot.agents.assistant import assistant
from moot.agents.errors import ModelError
from moot.chats import event_types as ev
from moot.chats.build import load_chat
from moot.chats.chat import Chat
from moot.chats.errors import StoreError, UserError
from moot.chats.events import Event
from moot.chats.fork import fork
from moot.chats.memory_store import MemoryStore
from moot.chats.replay import replay
from moot.chats.run import open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Store
from moot.chats.story import Story
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, DyingStore, Killed, Scripted

FOUR = Limits(turns=4)


class ReadOnly(MemoryStore):
    """Whoever writes is found out."""

    def __init__(self, kept: MemoryStore) -> None:
        super().__init__()
        self.__dict__.update(kept.__dict__)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError("written to")

    create = claim = append = renew = release = post = remove = _refuse


def waits() -> tuple[list[float], Callable[[float], Awaitable[None]]]:
    """How long was waited, and what to wait with."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    return waited, wait


async def test_every_event_comes_again_in_order_and_nothing_is_asked_or_written() -> None:
    store, model = MemoryStore(), Counting()
    run = await Chat([AssistantAgent("a", model), Scripted("b")], limits=FOUR).run("go", store=store)
    calls = len(model.requests)
    again = await replay(run.id[:-1], store=ReadOnly(store))
    assert [event async for event in again] == await store.load(run.id)
    assert len(model.requests) == calls
    told = again.story
    assert told.finished is not None
    assert (told.finished.outcome, told.finished.result, told.count) == (run.outcome, run.result, 4)
    assert again.to_end().turns == told.turns


async def test_no_key_no_model_and_no_sandbox_are_needed(tmp_path: Path) -> None:
    """The chat of the journal could not even be built here."""
    (tmp_path / "chat.yaml").write_text(
        "version: 1\nname: far\ntask: go\nlimits: {turns: 2}\n"
        "model: {base_url: 'http://127.0.0.1:1/v1', model: far, api_key: '${env:MOOT_TEST_A_KEY_NOBODY_HAS}'}\n"
        "participants: {ann: {role: assistant, goal: talk}, run: {role: executor, runs_code_from: [ann]}}\n"
    )
    source = load_chat(tmp_path / "chat.yaml").chat.source
    store = MemoryStore()
    run = await Chat([Scripted("ann"), Scripted("run")], limits=Limits(turns=2), source=source).run("go", store=store)
    with pytest.raises(ModelError, match="MOOT_TEST_A_KEY_NOBODY_HAS"):
        await fork(run.id, store=store)
    again = await replay(run.id, store=ReadOnly(store))
    assert [event.type async for event in again][-1] == "run.finished"
    assert again.story.count == 2


async def test_a_run_is_told_as_far_as_it_has_come(store: Store, dead_owner: str) -> None:
    dying = DyingStore(store, dead_owner, at=3, after=True)
    run = await Chat([assistant("a", "Talk.")], limits=FOUR, model=Counting()).start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    assert dying.fired
    again = await replay(run.id, store=store)
    assert [event.type async for event in again][-1] == "effect.intended"
    assert (again.story.count, again.story.finished) == (1, None)


async def test_a_run_that_another_process_drives_is_told(sqlite: SqliteStore, living_owner: str) -> None:
    run = await Chat([Scripted("a")], limits=FOUR).run("go", store=sqlite)
    await sqlite.claim(run.id, living_owner)
    again = await replay(run.id, store=sqlite)
    assert len([event async for event in again]) == len(await sqlite.load(run.id))


async def test_it_can_be_told_twice(store: Store) -> None:
    run = await Chat([Scripted("a")], limits=FOUR).run("go", store=store)
    again = await replay(run.id, store=store)
    first, second = [[e async for e in again], again.story.usage], [[e async for e in again], again.story.usage]
    assert first == second


def at(seq: int, ts: float, data: ev.Data, turn: int = 0) -> Event:
    return Event(data.type, turn, 1 if turn else 0, "a" if turn else "", data, "", seq, ts)


async def test_time_between_events_is_waited_for_but_not_time_in_which_the_run_lay_still() -> None:
    store = MemoryStore()
    await store.create("r1", "chat")
    chosen = ev.SpeakerSelected(policy="p", candidates=("a",), chosen=("a",), reason="why", step=1)
    reply = {"type": "TextMessage", "source": "a", "content": "hi"}
    events = [
        at(1, 100.0, ev.RunCreated(chat="chat", participants=("a",), limits={"turns": 1.0})),
        at(2, 101.0, ev.RunStarted()),
        at(3, 102.0, ev.RunPaused(reason="enough")),
        at(4, 90_000.0, ev.RunResumed()),
        at(5, 90_001.0, chosen, 1),
        at(6, 90_000.5, ev.TurnStarted(), 1),
        at(7, 90_004.5, ev.TurnFinished(reply=reply), 1),
    ]
    await store.append(await store.claim("r1", "me"), 0, events)
    waited, wait = waits()
    again = await replay("r1", speed=2.0, store=store, wait=wait)
    assert len([event async for event in again]) == 7
    assert waited == [0.5, 0.5, 0.0, 2.0]
    waited.clear()
    assert len([event async for event in await replay("r1", store=store, wait=wait)]) == 7
    assert waited == []


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
async def test_a_speed_that_is_none_is_refused(store: Store, speed: float) -> None:
    with pytest.raises(UserError, match="give a number above 0"):
        await replay("x", speed=speed, store=store)


async def test_what_is_not_there_or_cannot_be_read_is_told(store: Store) -> None:
    with pytest.raises(UserError, match="no run begins with 'zzz'"):
        await replay("zzz", store=store)
    with pytest.raises(StoreError):
        await replay("zzz", store=Path("/proc/none/moot.db"))


async def test_a_fork_is_told_with_its_beginning_and_its_own_cost(store: Store) -> None:
    chat = Chat([assistant("a", "Talk.")], limits=FOUR, model=Counting())
    run = await chat.run("go", store=store)
    new = await (await open_run(await fork(run.id, turn=3, chat=chat, store=store), chat=chat, store=store)).finish()
    again = await replay(new.id, store=store)
    _ = [event async for event in again]
    story: Story = again.story
    assert (story.count, story.usage.tokens) == (4, 15)
    assert story.forked is not None
    assert (story.forked.parent, story.forked.turn) == (run.id, 3)
    assert new.outcome is Outcome.LIMIT
