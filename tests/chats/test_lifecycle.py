"""Whatever is cut off, whenever, a run is given back: nothing of it goes on, and it can be driven on."""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent

from moot.agents.executor import executor
from moot.chats.chat import Chat
from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import Warned
from moot.chats.memory_store import MemoryStore
from moot.chats.run import open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.verify import verify_run
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, OpenAIChatCompletionClient, Scripted, lines, steps

MANY = Limits(turns=40)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    kept = SqliteStore(tmp_path / "moot.db")
    yield kept
    await kept.close()


async def never(*_: object) -> str:
    await asyncio.Event().wait()
    raise AssertionError("nothing sets the event")


async def test_a_run_stopped_as_soon_as_it_was_started_is_paused_and_nobody_drives_it(store: SqliteStore) -> None:
    box = Fake(lambda code, language: Execution(exit_code=0))
    chat = Chat([Scripted("ann"), executor("runner", box)], limits=MANY)
    run = await chat.start("go", store=store)
    await run.stop_now()
    (row,) = await store.runs()
    assert (run.status, row.status, row.driven) == ("paused", "paused", False)
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    again = await open_run(run.id, chat=chat, store=store)
    await again.stop_now()


async def test_who_cancels_the_whole_run_leaves_it_paused_and_not_spending(store: SqliteStore) -> None:
    asked = asyncio.Event()

    async def answer(*_: object) -> str:
        asked.set()
        return await never()

    model = Counting(answer)
    task = asyncio.create_task(Chat([AssistantAgent("ann", model)], limits=MANY).run("go", store=store))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = await store.runs()
    assert (row.status, row.driven, len(model.requests)) == ("paused", False, 1)


@pytest.mark.parametrize("limits", [Limits(turns=3), Limits(rounds=1, turns=9)], ids=["turns", "rounds"])
async def test_a_step_that_would_overshoot_a_limit_is_not_taken(limits: Limits) -> None:
    agents = [Scripted(name) for name in "abc"]
    policy = steps("a", "b", "a c", "b")
    run = await Chat(agents, speakers=policy, limits=limits).run("go", store=MemoryStore())
    assert run.stopped_by is not None
    assert (run.turns, run.outcome) == (2, Outcome.LIMIT)
    assert run.stopped_by.rule in ("limits.turns", "limits.rounds")


async def test_what_was_said_in_a_step_that_a_limit_cut_off_is_not_lost(store: SqliteStore) -> None:
    large, said = Counting(usage=(900, 5)), asyncio.Event()

    async def wait(*_: object) -> str:
        said.set()
        return "an important answer"

    model = Counting()
    agents = [Scripted("ann", wait), AssistantAgent("ben", large), AssistantAgent("cat", model)]
    limits = Limits(tokens=1_000, turns=9)
    run = await Chat(agents, speakers=steps("ben", "ann cat"), limits=limits).run("go", store=store)
    assert said.is_set()
    assert model.requests == []
    assert run.stopped_by is not None
    assert (run.stopped_by.rule, run.turns) == ("limits.tokens", 2)
    assert lines(run)[-1] == "ann: an important answer"
    (row,) = await store.runs()
    assert row.turns == 2
    assert await verify_run(store, run.id) == []


@pytest.mark.parametrize(("tokens", "ends"), [(250, ("limits.tokens", 0)), (400, ("limits.turns", 1))])
async def test_a_call_that_was_cut_off_may_have_cost_all_that_was_held_for_it(
    store: SqliteStore, tokens: int, ends: tuple[str, int]
) -> None:
    asked = asyncio.Event()

    async def hang(*_: object) -> str:
        asked.set()
        return await never()

    def talk(instructions: str, model: Counting) -> Chat:
        return Chat([AssistantAgent("ann", model, system_message=instructions)], limits=Limits(tokens=tokens, turns=1))

    run = await talk("first", Counting(hang)).start("go", store=store)
    await asked.wait()
    await run.stop_now()
    again = await (await open_run(run.id, chat=talk("second", Counting()), store=store)).finish()
    assert again.stopped_by is not None
    assert (again.stopped_by.rule, again.turns) == ends


async def test_a_store_that_cannot_keep_a_file_pauses_the_run_and_gives_it_back(store: SqliteStore) -> None:
    file = Artifact("a.txt", 2, "f" * 64, b"hi")
    box = Fake(lambda code, language: Execution(exit_code=0, artifacts=(file,)))
    chat = Chat([Scripted("ann", lambda *_: "```python\n1\n```"), executor("runner", box)], limits=Limits(turns=2))
    run = await chat.start("go", store=store)
    folder = store.path.parent / "blobs"
    folder.write_text("a file where the folder should be")
    with pytest.raises(StoreError):
        await run.finish()
    (row,) = await store.runs()
    assert (row.status, row.driven) == ("paused", False)
    folder.unlink()
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert again.turns == 2
    assert [a.name for a in again.artifacts] == ["a.txt"]


async def test_a_damaged_row_of_one_run_does_not_hide_the_others(store: SqliteStore) -> None:
    chat = Chat([AssistantAgent("ann", Counting())], limits=Limits(turns=1))
    damaged, healthy = [await chat.run("go", store=store) for _ in range(2)]
    with sqlite3.connect(store.path) as other:
        cut = "UPDATE event SET data = substr(data, 1, 20) WHERE type = 'effect.completed' AND run = 1"
        assert other.execute(cut).rowcount == 1
    assert {row.run for row in await store.runs()} == {damaged.id, healthy.id}
    with pytest.raises(UserError, match="is finished"):
        await open_run(healthy.id, chat=chat, store=store)
    with pytest.raises(StoreError, match="damaged"):
        await open_run(damaged.id, chat=chat, store=store)


async def test_turns_side_by_side_count_as_long_as_the_longest(store: SqliteStore) -> None:
    run = await Chat([Scripted(n) for n in "abc"], speakers=steps("a b c"), limits=Limits(turns=3)).run(
        "go", store=store
    )
    taken = [e.data.seconds for e in await store.load(run.id) if e.type == "turn.finished"]  # type: ignore[attr-defined]
    assert len(taken) == 3
    assert run._table.state.ledger.seconds == pytest.approx(max(taken))


async def test_files_of_one_name_from_two_executors_are_both_kept(store: SqliteStore) -> None:
    def box(content: bytes) -> Fake:
        file = Artifact("out.txt", len(content), hashlib.sha256(content).hexdigest(), content)
        return Fake(lambda code, language: Execution(exit_code=0, artifacts=(file,)))

    coder = Scripted("ann", lambda *_: "```python\n1\n```")
    runners = [executor(name, box(name.encode()), runs_code_from=["ann"]) for name in ("one", "two")]
    run = await Chat([coder, *runners], limits=Limits(turns=3)).run("go", store=store)
    assert [(a.name, await a.read()) for a in run.artifacts] == [("out.txt", b"one"), ("out.txt", b"two")]
    assert await verify_run(store, run.id) == []


async def test_a_run_that_goes_on_keeps_its_own_limits_and_says_so(store: SqliteStore) -> None:
    def talk(limits: Limits) -> Chat:
        return Chat([AssistantAgent("ann", Counting())], limits=limits)

    run = await talk(Limits(turns=2)).start("go", store=store)
    await run.stop_now()
    again = await (await open_run(run.id, chat=talk(Limits(turns=30)), store=store)).finish()
    assert again.turns == 2
    told = [e.data for e in await store.load(run.id) if isinstance(e.data, Warned)]
    assert any("other limits than the run" in warned.text and "2 turns" in warned.text for warned in told)


async def test_a_run_does_not_go_on_with_a_chat_that_its_limits_could_not_end(store: SqliteStore) -> None:
    run = await Chat([AssistantAgent("ann", OpenAIChatCompletionClient())], limits=Limits(usd=5)).start(
        "go", store=store
    )
    await run.stop_now()
    unpriced = Chat([AssistantAgent("ann", Counting())], limits=Limits(turns=2))
    with pytest.raises(UserError, match="price"):
        await open_run(run.id, chat=unpriced, store=store)
    (row,) = await store.runs()
    assert not row.driven


async def test_an_agent_with_one_memory_takes_part_in_one_run_at_a_time(store: SqliteStore) -> None:
    chat = Chat([Scripted("ann", never)], limits=MANY)
    run = await chat.start("go", store=store)
    with pytest.raises(UserError, match="'ann' is an agent that another run holds"):
        await chat.start("go", store=store)
    await run.stop_now()
    again = await open_run(run.id, chat=chat, store=store)
    await again.stop_now()
    assert [row.run for row in await store.runs()] == [run.id]
