"""A run that was left is driven on: by whom, from where, and what it tells of what was under way."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import LLMMessage

from moot.agents.executor import Executor, executor
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.events import Event
from moot.chats.find import find_run
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.sandbox.errors import EngineUnavailable
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake, FakeBox
from moot.sandbox.spec import Sandbox
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, DyingStore, Killed, Scripted, Words, call, contexts, data_of, lines

FOUR = Limits(turns=4)


def made(name: str, data: bytes) -> Execution:
    return Execution(exit_code=0, artifacts=(Artifact(name, len(data), hashlib.sha256(data).hexdigest(), data),))


class Opened(Fake):
    """Notes the files that each box begins with."""

    def open(self, *, run: str = "", files: Mapping[str, bytes] | None = None) -> AbstractAsyncContextManager[FakeBox]:
        BEGAN.append(dict(files or {}))
        return super().open(run=run, files=files)


BEGAN: list[dict[str, bytes]] = []


@pytest.fixture(autouse=True)
def nothing_began() -> None:
    BEGAN.clear()


async def killed(chat: Chat, store: Store, owner: str, at: int, *, after: bool = False) -> str:
    """Drive a chat whose process dies at that append; the id of the run."""
    dying = DyingStore(store, owner, at=at, after=after)
    run = await chat.start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    assert dying.fired
    return run.id


async def test_a_finished_run_is_not_resumed(store: Store) -> None:
    chat = Chat([Scripted("a")], limits=FOUR)
    run = await chat.run("go", store=store)
    expected = rf"run {run.id} is finished \(limit: 4 turns taken\); there is nothing to resume"
    with pytest.raises(UserError, match=expected):
        await open_run(run.id, chat=chat, store=store)
    (row,) = await store.runs()
    assert (row.status, row.outcome, row.driven) == ("finished", "limit", False)


async def test_an_unknown_run_names_the_newest(store: Store) -> None:
    with pytest.raises(UserError, match="no run begins with 'zzz'; there are no runs yet"):
        await open_run("zzz", store=store)
    run = await Chat([Scripted("a")], limits=FOUR).run("go", store=store)
    with pytest.raises(UserError, match=f"no run begins with 'zzz'; the newest are {run.id}"):
        await open_run("zzz", store=store)


async def test_the_beginning_of_an_id_is_enough_while_it_is_unique(store: Store) -> None:
    chat = Chat([Scripted("a")], limits=FOUR)
    one, other = await chat.run("go", store=store), await chat.run("go", store=store)
    shared = next(n for n in range(1, 18) if one.id[:n] != other.id[:n]) - 1
    assert await find_run(store, one.id[: shared + 1].upper()) == one.id
    with pytest.raises(UserError, match="is the beginning of 2 runs"):
        await find_run(store, one.id[:shared])


async def test_a_run_of_python_objects_needs_them_again(store: Store, dead_owner: str) -> None:
    chat = Chat([Scripted("a")], limits=FOUR, name="talk")
    run = await killed(chat, store, dead_owner, 3)
    with pytest.raises(UserError, match=r"run .* was made of Python objects .*open_run\(.*chat=\.\.\.\)"):
        await open_run(run, store=store)
    other = Chat([Scripted("b")], limits=FOUR)
    with pytest.raises(UserError, match="was made with a, not with b"):
        await open_run(run, chat=other, store=store)
    assert (await (await open_run(run, chat=chat, store=store)).finish()).turns == 4


async def test_a_run_that_is_driven_elsewhere_is_refused(sqlite: SqliteStore, living_owner: str) -> None:
    chat = Chat([Scripted("a")], limits=FOUR)
    run = await chat.run("go", store=sqlite)
    await sqlite.claim(run.id, living_owner)
    with pytest.raises(Fenced, match="is driven by another process"):
        await open_run(run.id, chat=chat, store=sqlite)


async def test_a_driver_that_was_taken_over_stops_and_writes_nothing_more(store: Store, dead_owner: str) -> None:
    began, released = asyncio.Event(), asyncio.Event()

    async def wait(number: int, _: object) -> str:
        if number == 2:
            began.set()
            await released.wait()
        return f"a {number}"

    frozen = DyingStore(store, dead_owner)  # its claim says that it is dead, as after a freeze past the lease
    old = await Chat([Scripted("a", wait)], limits=FOUR).start("go", store=frozen)
    await began.wait()
    new = await open_run(old.id, chat=Chat([Scripted("a")], limits=FOUR), store=store)
    await new.finish()
    events = await store.load(old.id)
    released.set()
    with pytest.raises(Fenced):
        await old.finish()
    assert await store.load(old.id) == events
    assert (new.turns, await verify_run(store, old.id)) == (4, [])


async def test_of_two_who_resume_a_run_at_once_one_drives_it(store: Store, dead_owner: str) -> None:
    chat = Chat([Scripted("a")], limits=FOUR)
    run_id = await killed(chat, store, dead_owner, 3)
    both = await asyncio.gather(
        *(open_run(run_id, chat=Chat([Scripted("a")], limits=FOUR), store=store) for _ in range(2)),
        return_exceptions=True,
    )
    drivers = [one for one in both if isinstance(one, Run)]
    assert [type(one) for one in both if not isinstance(one, Run)] == [Fenced]
    assert (await drivers[0].finish()).turns == 4
    assert await verify_run(store, run_id) == []


async def test_autogens_own_agents_go_on_with_what_they_knew(sqlite: SqliteStore) -> None:
    def chat() -> Chat:
        model = Counting()
        inner = RoundRobinGroupChat(
            [AssistantAgent("x", model), AssistantAgent("y", model)], termination_condition=MaxMessageTermination(3)
        )
        society = SocietyOfMindAgent("society", team=inner, model_client=model)
        person = UserProxyAgent("person", input_func=lambda prompt: "well done")
        return Chat([society, person], limits=FOUR)

    run = await chat().start("go", store=sqlite)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.started" and event.turn == 2:
            run.pause_after_turn()
    await run.finish()
    assert (run.status, run.turns) == ("paused", 2)
    again = await (await open_run(run.id, chat=chat(), store=sqlite)).finish()
    assert [turn.participant for turn in again.transcript.history] == ["society", "person"] * 2
    assert await verify_run(sqlite, run.id) == []


async def test_a_run_whose_process_died_before_its_first_event_is_damaged(store: Store) -> None:
    await store.create("r1", "chat")
    with pytest.raises(UserError, match="no run begins with 'r1'"):
        await open_run("r1", chat=Chat([Scripted("a")], limits=FOUR), store=store)


async def test_a_turn_that_was_under_way_is_taken_again_and_the_journal_says_so(store: Store, dead_owner: str) -> None:
    model = Counting()
    chat = Chat([AssistantAgent("a", model)], limits=FOUR)
    run_id = await killed(chat, store, dead_owner, 3, after=True)
    before = len(model.requests)
    run = await (await open_run(run_id, chat=chat, store=store)).finish()
    warned = [w.text for w in await data_of(store, run, ev.Warned)]
    assert warned == [
        "turn 2 of a was under way when its process ended; it is taken again",
        "a: model model/0 was cut off under way; it is made again",
    ]
    assert [(u.key, u.then) for u in await data_of(store, run, ev.EffectUnknown)] == [("model/0", "retry")]
    assert (before, len(model.requests)) == (1, 4)
    assert len(await data_of(store, run, ev.RunResumed)) == 1
    assert await verify_run(store, run.id) == []


def with_tool(model: Counting, tool: Callable[[], Awaitable[None]], *, told: str = "be kind") -> Chat:
    """An assistant whose one turn is two calls with a tool between them."""

    async def look() -> str:
        """Look something up."""
        await tool()
        return "found"

    agent = AssistantAgent("a", model, tools=[look], reflect_on_tool_use=True, system_message=told)
    return Chat([agent], limits=Limits(turns=1))


def looks_first(messages: Sequence[LLMMessage], number: int) -> Words:
    return "it is there" if "found" in str(messages[-1].content) else [call("look", {}, "c1")]


async def killed_in_the_middle_of_a_turn(store: Store, owner: str) -> str:
    """The first answer is recorded, the second call is not."""
    model, dying, recorded = Counting(looks_first), DyingStore(store, owner), asyncio.Event()

    async def tool() -> None:
        await recorded.wait()
        dying.at = dying.appends + 1

    run = await with_tool(model, tool).start("go", store=dying)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "effect.completed":
            recorded.set()
    with pytest.raises(Killed):
        await run.finish()
    assert (dying.fired, len(model.requests)) == (True, 1)
    assert [e.key for e in await data_of(store, run, ev.EffectCompleted)] == ["model/0"]
    return run.id


async def nothing() -> None:
    """A tool that only answers."""


async def test_an_answer_that_was_recorded_is_never_bought_again(store: Store, dead_owner: str) -> None:
    run_id = await killed_in_the_middle_of_a_turn(store, dead_owner)
    model = Counting(looks_first)
    run = await (await open_run(run_id, chat=with_tool(model, nothing), store=store)).finish()
    assert lines(run) == ["a: it is there"]
    assert len(model.requests) == 1
    assert [e.key for e in await data_of(store, run, ev.EffectUnknown)] == ["tool/c1"]  # the look was under way
    assert await verify_run(store, run.id) == []


async def test_who_asks_for_something_else_is_never_given_the_old_answer(store: Store, dead_owner: str) -> None:
    run_id = await killed_in_the_middle_of_a_turn(store, dead_owner)
    model = Counting(looks_first)
    rude = with_tool(model, nothing, told="be rude")
    run = await (await open_run(run_id, chat=rude, store=store)).finish()
    assert len(model.requests) == 2
    warned = [w.text for w in await data_of(store, run, ev.Warned)]
    assert warned[-1].startswith("a asked for something else than before the interruption (model/0)")
    keys = [e.key for e in await data_of(store, run, ev.EffectCompleted)]
    assert keys[-3:] == ["~model/0", "~tool/c1", "~model/1"]
    assert await verify_run(store, run.id) == []


async def test_a_run_that_failed_for_want_of_a_model_can_be_resumed(store: Store) -> None:
    up = False

    def answer(messages: object, number: int) -> str:
        if not up:
            raise ConnectionError("provider is down")
        return f"answer {number}"

    chat = Chat([AssistantAgent("a", Counting(answer))], limits=FOUR)
    run = await chat.run("go", store=store)
    assert (run.outcome, run.cause) == (Outcome.FAILED, "model")
    still = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (still.outcome, len(await data_of(store, run, ev.TurnFailed))) == (Outcome.FAILED, 4)
    up = True
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (again.outcome, again.turns, again.cause) == (Outcome.LIMIT, 4, "")
    assert len((await contexts(again))["a"]) == 5
    assert await verify_run(store, run.id) == []


def research(sandbox: Sandbox, code: Callable[[int, object], str] | None = None, turns: int = 4) -> Chat:
    coder = Scripted("coder", code or (lambda n, _: f"```python\nprint({n})\n```"))
    runner = executor("runner", sandbox)
    assert isinstance(runner, Executor)
    return Chat([coder, runner], limits=Limits(turns=turns))


async def test_a_run_that_failed_for_want_of_a_sandbox_can_be_resumed(store: Store) -> None:
    run = await research(Fake(error=EngineUnavailable("no Docker engine answers"))).run("go", store=store)
    assert run.stopped_by is not None
    assert (run.outcome, run.cause, run.turns) == (Outcome.FAILED, "sandbox", 2)
    assert (run.stopped_by.rule, run.stopped_by.reason) == ("sandbox", "no sandbox: no Docker engine answers")
    assert (run.result, run.usage.code_runs) == (None, 0)
    again = await (await open_run(run.id, chat=research(Fake()), store=store)).finish()
    assert (again.outcome, again.turns, again.usage.code_runs) == (Outcome.LIMIT, 4, 1)
    assert not [b for b in await data_of(store, run, ev.CodeFinished) if b.state_lost]
    assert await verify_run(store, run.id) == []


async def test_a_new_sandbox_has_all_files_and_its_first_block_says_that_variables_are_lost(
    store: Store, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(b"x,y")
    box = Opened(lambda code, _: made(f"out{code.strip()[-2]}.txt", code.encode()))
    coder = Scripted("coder", lambda n, _: f"```python\nprint({n})\n```")
    chat = Chat([coder, executor("runner", box, files=[table])], limits=Limits(turns=6))
    run = await chat.start("go", store=store)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.finished" and event.turn == 2:
            run.pause_after_turn()
    await run.finish()
    assert run.status == "paused"
    table.unlink()
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert BEGAN == [{"table.csv": b"x,y"}, {"table.csv": b"x,y", "out1.txt": b"print(1)\n"}]
    lost = [b.state_lost for b in await data_of(store, run, ev.CodeFinished)]
    assert lost[0] is False
    assert sum(lost) == 1
    assert again.turns == 6


async def test_a_block_that_ran_in_a_turn_that_was_cut_off_is_not_run_again(store: Store, dead_owner: str) -> None:
    ran: list[str] = []

    def answer(code: str, language: str) -> Execution:
        ran.append(code)
        if code == "second\n" and dying.at == 0:
            dying.at = dying.appends + 1
        return made("first.txt", b"1") if code == "first\n" else Execution(exit_code=0)

    def two(*_: object) -> str:
        return "```python\nfirst\n```\n```python\nsecond\n```"

    dying = DyingStore(store, dead_owner)
    chat = research(Opened(answer), two, turns=2)
    run = await chat.start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    assert (dying.fired, ran) == (True, ["first\n", "second\n"])
    again = await (await open_run(run.id, chat=research(Opened(answer), two, turns=2), store=store)).finish()
    assert ran == ["first\n", "second\n"]  # nor is the second: what the first had left it is lost
    assert BEGAN[-1] == {"first.txt": b"1"}
    finished = (await data_of(store, again, ev.CodeFinished))[-2:]
    assert [(b.key, b.state_lost, b.skipped is None) for b in finished] == [
        ("code/0", False, True),
        ("code/1", True, False),
    ]
    assert "variables of earlier blocks are lost" in again.transcript.history[-1].text
    assert [f.name for f in again.artifacts] == ["first.txt"]
    assert again.usage.code_runs == 2
    assert await verify_run(store, again.id) == []


async def test_code_that_differs_from_what_was_cut_off_is_told_under_its_own_key(store: Store, dead_owner: str) -> None:
    def answer(code: str, language: str) -> Execution:
        if dying.at == 0:
            dying.at = dying.appends + 1
        return Execution(exit_code=0)

    def talk(source: str) -> Chat:
        ann = Scripted("ann", lambda n, _: "```python\nann()\n```")
        ben = Scripted("ben", lambda n, _: "```python\nben()\n```")
        return Chat([ann, ben, executor("runner", Fake(answer), runs_code_from=[source])], limits=Limits(turns=3))

    dying = DyingStore(store, dead_owner)
    run = await talk("ann").start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    again = await (await open_run(run.id, chat=talk("ben"), store=store)).finish()
    assert dying.fired
    proposed = [(c.key, c.code) for c in await data_of(store, again, ev.CodeProposed)]
    assert proposed == [("code/0", "ann()\n"), ("~code/0", "ben()\n")]
    assert [c.key for c in await data_of(store, again, ev.CodeFinished)] == ["~code/0"]
    assert await verify_run(store, again.id) == []


async def test_missing_content_is_told_and_the_run_stays_as_it_was() -> None:
    store = MemoryStore()
    box = Opened(lambda code, _: made("out.txt", b"1"))
    chat = research(box)
    run = await chat.start("go", store=store)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.finished" and event.turn == 2:
            run.pause_after_turn()
    await run.finish()
    store.blobs._kept.clear()
    with pytest.raises(StoreError, match="is missing"):
        await open_run(run.id, chat=chat, store=store)
    (row,) = await store.runs()
    assert (row.status, row.driven) == ("paused", False)
