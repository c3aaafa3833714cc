"""Several speakers in one step: nobody's words are lost, and the order is the policy's."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest
from autogen_agentchat.agents import AssistantAgent

from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.graph import graph
from moot.chats.memory_store import MemoryStore
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.termination.rules import says
from moot.termination.transcript import Transcript
from tests.fakes import Counting, DyingStore, Killed, Scripted, contexts, data_of, lines, steps

MANY = Limits(turns=50)


class Order:
    """Lets agents answer in an order of the test's choosing, whoever was asked first."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)
        self._moved = asyncio.Condition()

    def reply(self, name: str) -> Callable[..., Awaitable[str]]:
        async def answer(*_: object) -> str:
            async with self._moved:
                await self._moved.wait_for(lambda: self._names[0] == name)
                self._names.pop(0)
                self._moved.notify_all()
            return f"from {name}"

        return answer


@pytest.mark.parametrize("order", ["bcd", "dcb", "cdb"])
async def test_who_answers_first_changes_nothing(order: str, store: Store) -> None:
    turns = Order(*order, "a")
    agents = [Scripted(name, turns.reply(name)) for name in "abcd"]
    run = await Chat(agents, speakers=steps("b c d", "a"), limits=MANY).run("go", store=store)
    assert lines(run) == ["b: from b", "c: from c", "d: from d", "a: from a"]
    assert [t.number for t in run.transcript.history] == [1, 2, 3, 4]
    assert [t.step for t in run.transcript.history] == [1, 1, 1, 2]
    assert agents[0].told == ["user: go", "b: from b", "c: from c", "d: from d"]
    assert await verify_run(store, run.id) == []


async def test_what_parallel_speakers_say_is_heard_by_each_other_in_the_next_step(store: Store) -> None:
    agents = [Scripted(name) for name in "ab"]
    await Chat(agents, speakers=steps("a b", "a b"), limits=MANY).run("go", store=store)
    assert agents[0].told == ["user: go", "b: b 1"]
    assert agents[1].told == ["user: go", "a: a 1"]


async def test_parallel_speakers_of_one_model_keep_their_own_results_and_contexts(store: Store) -> None:
    asked = asyncio.Semaphore(0)

    async def together(messages: Sequence[object], number: int) -> str:
        for _ in range(2):
            asked.release()
        for _ in range(2):
            await asked.acquire()
        return f"answer {number}"

    model = Counting(together)
    agents = [AssistantAgent("a", model), AssistantAgent("b", model)]
    run = await Chat(agents, speakers=steps("a b", "a b"), limits=MANY).run("go", store=store)
    assert sorted(lines(run)[:2]) == ["a: answer 1", "b: answer 2"]
    for name, context in (await contexts(run)).items():
        own = [m["content"] for m in context if m["type"] == "AssistantMessage"]
        assert own == [t.text for t in run.transcript.history if t.participant == name]


async def test_a_graph_fans_out_and_waits_for_all_at_the_join(store: Store) -> None:
    agents = [Scripted(name) for name in ("plan", "left", "right", "judge")]
    speakers = graph("plan -> left, right", "left, right -> judge", "judge -> plan")
    chat = Chat(agents, speakers=speakers, stop=says("judge", "judge 2"), limits=MANY)
    run = await chat.run("go", store=store)
    once = ["plan", "left", "right", "judge"]
    assert [t.participant for t in run.transcript.history] == once * 2
    assert run.outcome == Outcome.GOAL
    assert await verify_run(store, run.id) == []


async def test_the_rules_are_asked_with_everything_said_in_the_step(store: Store) -> None:
    class Seen(type(says("a", "x"))):  # type: ignore[misc]
        def ask(self, said: Transcript, spent: object) -> None:
            asked.append([t.participant for t in said.step])

    asked: list[list[str]] = []
    rule = Seen(id="seen", participant="a", pattern=says("a", "x").pattern)
    agents = [Scripted(name) for name in "ab"]
    await Chat(agents, speakers=steps("a b", "b"), stop=rule, limits=MANY).run("go", store=store)
    assert asked == [[], ["a", "b"], ["b"]]


async def test_one_that_fails_is_taken_again_and_its_neighbour_is_not(store: Store) -> None:
    def shaky(number: int, _: object) -> str:
        if number == 1 and not agents[1].loaded:
            raise ConnectionError("down")
        return "at last"

    agents = [Scripted("a"), Scripted("b", shaky)]
    run = await Chat(agents, speakers=steps("a b", "a"), limits=MANY).run("go", store=store)
    assert lines(run) == ["a: a 1", "b: at last", "a: a 2"]
    assert agents[0].told == ["user: go", "b: at last"]
    assert len(await data_of(store, run, ev.TurnFailed)) == 1


async def test_failures_of_neighbours_do_not_add_up(store: Store) -> None:
    def shaky(agent_of: Callable[[], Scripted]) -> Callable[..., str]:
        def reply(*_: object) -> str:
            if not agent_of().loaded:
                raise ConnectionError("down")
            return "at last"

        return reply

    agents: list[Scripted] = []
    agents += [Scripted(name, shaky(partial(agents.__getitem__, at))) for at, name in enumerate("abc")]
    run = await Chat(agents, speakers=steps("a b c"), limits=MANY).run("go", store=store)
    assert lines(run) == ["a: at last", "b: at last", "c: at last"]


async def test_one_that_fails_twice_ends_the_run_whatever_its_neighbours_do(store: Store) -> None:
    def down(*_: object) -> str:
        raise ConnectionError("down")

    agents = [Scripted("a", down), Scripted("b")]
    run = await Chat(agents, speakers=steps("a b", "a"), limits=MANY).run("go", store=store)
    assert run.outcome == Outcome.FAILED
    assert len(await data_of(store, run, ev.TurnFailed)) == 2
    assert len(await data_of(store, run, ev.TurnFinished)) == 1
    assert await verify_run(store, run.id) == []


async def test_a_store_that_dies_leaves_no_neighbour_running(dead_owner: str) -> None:
    began = asyncio.Event()
    ended: list[str] = []

    async def forever(*_: object) -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("stuck")
        return ""

    async def then_the_store_dies(messages: object, number: int) -> str:
        await began.wait()
        dying.at = dying.appends + 1
        return "x"

    dying = DyingStore(MemoryStore(), dead_owner)
    agents = [Scripted("stuck", forever), AssistantAgent("b", Counting(then_the_store_dies))]
    run = await Chat(agents, speakers=steps("stuck b"), limits=MANY).start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    assert dying.fired
    assert ended == ["stuck"]
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


async def test_stopping_ends_all_who_speak(store: Store) -> None:
    both = asyncio.Barrier(3)
    ended: list[str] = []

    def stuck(name: str) -> Callable[..., Awaitable[str]]:
        async def forever(*_: object) -> str:
            await both.wait()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(name)
            return ""

        return forever

    agents = [Scripted(name, stuck(name)) for name in "ab"]
    run = await Chat(agents, speakers=steps("a b"), limits=MANY).start("go", store=store)
    await both.wait()
    await run.stop_now()
    assert sorted(ended) == ["a", "b"]
    assert len(await data_of(store, run, ev.TurnAbandoned)) == 2
    assert run.status == "paused"
