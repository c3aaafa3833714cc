"""A turn of one of AutoGen's agents waits in its middle for a person, and goes on in another process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.base import ChatAgent
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.models import LLMMessage, UserMessage
from autogen_core.tools import FunctionTool, StaticWorkbench, ToolSchema

from moot.agents.people import ask_approval, ask_person
from moot.agents.tool_policy import ToolPolicy
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.events import Event
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from tests.fakes import Counting, DyingStore, Killed, Words, call, calls, contexts, data_of, lines, types

Wish = tuple[str, dict[str, Any], str]
UNSURE = "This call may have been made, and is not repeated"
DEPLOY = ToolPolicy(approve=frozenset({"deploy"}))


class World:
    """A file that outlives every process: what models were asked, and what tools did."""

    def __init__(self, folder: Path) -> None:
        self.store, self.models, self._done = folder / "moot.db", folder / "models", folder / "done"

    def done(self) -> list[str]:
        return self._done.read_text().split() if self._done.exists() else []

    def do(self, what: str) -> None:
        with self._done.open("a") as file:
            file.write(f"{what}\n")

    def tool(self, name: str) -> Callable[[str], Any]:
        async def tool(x: str) -> str:
            if name == "slow":  # longer than the other takes to be asked about
                await asyncio.to_thread(lambda: None)
                for _ in range(50):
                    await asyncio.sleep(0)
            self.do(name)
            return f"{name} {x}"

        tool.__name__ = name
        tool.__doc__ = name
        return tool

    def model(self, *wishes: Wish) -> Counting:
        def answer(messages: Sequence[LLMMessage], number: int) -> Words:
            asked = isinstance(messages[-1], UserMessage)
            return [call(*wish) for wish in wishes] if asked else f"saw {len(messages)}"

        return Counting(answer, log=self.models)

    @asynccontextmanager
    async def process(self, chat: Chat, run: str = "") -> AsyncIterator[tuple[Run, SqliteStore]]:
        """What a process does until it leaves the run."""
        store = SqliteStore(self.store, "OFF")
        opened = await (open_run(run, chat=chat, store=store) if run else chat.start("go", store=store))
        yield await opened.finish(), store
        assert await verify_run(store, opened.id) == []
        await store.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def alone(agent: ChatAgent, tools: ToolPolicy = DEPLOY, turns: int = 1) -> Chat:
    return Chat([agent], limits=Limits(turns=turns), tools=tools)


def deploying(world: World, **more: Any) -> AssistantAgent:
    model = world.model(("deploy", {"x": "1"}, "d"), ("slow", {"x": "2"}, "s"))
    tools: list[Any] = [world.tool("deploy"), world.tool("slow")]
    return AssistantAgent("a", model, tools=tools, reflect_on_tool_use=True, **more)


@pytest.mark.parametrize("stream", [False, True])
async def test_of_two_parallel_tools_one_waits_for_a_person_while_the_other_is_done(world: World, stream: bool) -> None:
    def chat() -> Chat:
        return alone(deploying(world, model_client_stream=stream))

    before = asyncio.all_tasks()
    async with world.process(chat()) as (run, store):
        assert (run.status, world.done()) == ("waiting", ["slow"])
        assert (await types(store, run))[-2:] == ["turn.abandoned", "run.paused"]
        assert [each.key for each in await data_of(store, run, ev.EffectCompleted)] == ["model/0", "tool/s"]
        assert await contexts(run) == {"a": []}
        (request,) = run.requests
        assert request.payload == {"tool": "deploy", "arguments": {"x": "1"}}
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before | {asyncio.current_task()}
    async with world.process(chat(), run.id) as (again, _):  # woken for nothing
        assert (again.status, world.done()) == ("waiting", ["slow"])
        await again.decide(request.id, "approve", by="ann")
    async with world.process(chat(), run.id) as (last, store):
        assert lines(last) == ["a: saw 4"]
        assert world.done() == ["slow", "deploy"]
        assert calls(world.models) == 2
        assert "warning" not in await types(store, last)


async def test_a_tool_that_is_rejected_is_not_made_and_the_model_is_told(world: World) -> None:
    async with world.process(alone(deploying(world))) as (run, _):
        await run.decide(run.requests[0].id, "reject", "not on a friday", by="ann")
    async with world.process(alone(deploying(world)), run.id) as (last, _):
        assert (last.status, world.done()) == ("finished", ["slow"])
        told = (await contexts(last))["a"][-2]["content"][0]
        assert told["content"] == "This call was not made: rejected by ann: not on a friday"
        assert told["is_error"] is True


async def test_a_tool_of_a_nested_agent_waits_while_its_sibling_works_on(world: World) -> None:
    def chat() -> Chat:
        first = AssistantAgent(
            "h1", world.model(("deploy", {"x": "1"}, "c")), tools=[world.tool("deploy")], reflect_on_tool_use=True
        )
        second = AssistantAgent(
            "h2", world.model(("slow", {"x": "1"}, "c")), tools=[world.tool("slow")], reflect_on_tool_use=True
        )
        model = world.model(("h1", {"task": "t"}, "1"), ("h2", {"task": "t"}, "2"))
        return alone(AssistantAgent("a", model, tools=[AgentTool(first), AgentTool(second)], reflect_on_tool_use=True))

    before = asyncio.all_tasks()
    async with world.process(chat()) as (run, _):
        assert (run.status, world.done(), calls(world.models)) == ("waiting", ["slow"], 4)
        assert await contexts(run) == {"a": [], "a/h1/": [], "a/h2/": []}
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before | {asyncio.current_task()}
        await run.decide(run.requests[0].id, "approve")
    async with world.process(chat(), run.id) as (last, store):
        assert (last.status, world.done(), calls(world.models)) == ("finished", ["slow", "deploy"], 6)
        assert "warning" not in await types(store, last)


async def test_a_chat_that_a_tool_runs_may_wait_for_somebody_of_its_own(world: World) -> None:
    inner = MemoryStore()

    async def consult() -> str:
        """Ask another chat."""
        run = await alone(UserProxyAgent("u"), ToolPolicy()).run("well?", store=inner)
        return f"{run.status}: {run.requests[0].payload['prompt']}"

    agent = AssistantAgent("a", world.model(("consult", {}, "c")), tools=[consult])
    async with world.process(alone(agent, ToolPolicy())) as (run, _):
        assert lines(run) == ["a: waiting: Enter your response: "]


class Server(StaticWorkbench):
    """Takes its time to say which tools it has, once it is asked in the middle of a call."""

    def __init__(self, tools: list[Any], asked: asyncio.Event, answers: asyncio.Event) -> None:
        super().__init__(tools)
        self._asked, self._answers, self._times = asked, answers, 0

    async def list_tools(self) -> list[ToolSchema]:
        self._times += 1
        if self._times > 1:
            self._asked.set()
            await self._answers.wait()
        return await super().list_tools()


async def test_a_turn_does_not_end_while_a_server_is_asked_for_its_tools(world: World) -> None:
    asked, answers = asyncio.Event(), asyncio.Event()
    model = world.model(("deploy", {"x": "1"}, "d"), ("far", {"x": "2"}, "f"))
    near = StaticWorkbench([FunctionTool(world.tool("deploy"), "", name="deploy")])
    server = Server([FunctionTool(world.tool("far"), "", name="far")], asked, answers)
    store = SqliteStore(world.store, "OFF")
    run = await alone(AssistantAgent("a", model, workbench=[near, server])).start("go", store=store)
    await asked.wait()
    async for event in run.events():
        if isinstance(event, Event) and event.type == "request.asked":
            break
    for _ in range(100):
        await asyncio.sleep(0)
    assert (run.status, world.done()) == ("running", [])
    answers.set()
    await run.finish()
    assert (run.status, world.done()) == ("waiting", ["far"])
    await store.close()


class Terminal(CodeExecutor):
    """Its first block fails."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        self._world.do(code_blocks[0].code.strip())
        return CodeResult(1, "boom") if len(self._world.done()) == 1 else CodeResult(0, "")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


@pytest.mark.parametrize("given", [{}, {"input_func": ask_person}], ids=["AutoGen's own", "ask_person"])
async def test_an_answer_and_two_approvals_are_each_given_to_another_process(
    world: World, given: Mapping[str, Any]
) -> None:
    def answer(messages: Sequence[LLMMessage], number: int) -> str:
        if "Should we attempt" in str(messages[-1].content):
            return '{"retry": true, "reason": "try"}'
        if any("no output" in str(message.content) for message in messages):
            return "it is done"
        return f"```python\nprint({sum('boom' in str(message.content) for message in messages)})\n```"

    def chat() -> Chat:
        coder = CodeExecutorAgent(
            "x", Terminal(world), model_client=Counting(answer, log=world.models), approval_func=ask_approval,
            max_retries_on_error=1,
        )  # fmt: skip
        return Chat([UserProxyAgent("u", **given), coder], limits=Limits(turns=2))

    async with world.process(chat()) as (run, _):
        (request,) = run.requests
        assert (request.kind, request.payload) == ("input", {"prompt": "Enter your response: "})
        await run.decide(request.id, "respond", "please compute")
    for number, done in ((0, []), (1, ["print(0)"])):
        async with world.process(chat(), run.id) as (waiting, _):
            assert (waiting.status, world.done(), lines(waiting)) == ("waiting", done, ["u: please compute"])
            (request,) = waiting.requests
            assert (request.kind, request.payload) == ("code", {"code": f"```python\nprint({number})\n\n```"})
            await waiting.decide(request.id, "approve")
    async with world.process(chat(), run.id) as (last, store):
        assert (lines(last), world.done()) == (["u: please compute", "x: it is done"], ["print(0)", "print(1)"])
        assert calls(world.models) == 4
        assert "warning" not in await types(store, last)
        heard = [item.message for item in await data_of(store, last, ev.Inner)]
        results = [item["result"]["output"] for item in heard if item["type"] == "CodeExecutionEvent"]  # type: ignore[index]
        assert ["boom" in results[-2], "no output" in results[-1]] == [True, True]


async def killed_in_a_tool(world: World, chat: Callable[[DyingStore | None], Chat], owner: str) -> str:
    """The tool has done what it does; nobody could write that down."""
    inner = SqliteStore(world.store, "OFF")
    dying = DyingStore(inner, owner)
    run = await chat(dying).start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    assert (dying.fired, world.done()) == (True, ["paid"])
    await inner.close()
    return run.id


def paying(world: World, policy: ToolPolicy) -> Callable[[DyingStore | None], Chat]:
    def chat(dying: DyingStore | None) -> Chat:
        async def pay() -> str:
            """Pay."""
            world.do("paid")
            if dying is not None:
                dying.at = dying.appends + 1
            return "paid"

        model = world.model(("pay", {}, "p"))
        return alone(AssistantAgent("a", model, tools=[pay], reflect_on_tool_use=True), policy)

    return chat


@pytest.mark.parametrize(
    ("decision", "text", "paid", "told"),
    [
        ("approve", "", 2, "paid"),
        (
            "respond",
            "it went through",
            1,
            "This call may have been made, and is not repeated. ann answers: it went through",
        ),
        ("reject", "", 1, "This call may have been made, and is not repeated: rejected by ann"),
    ],
)
async def test_whether_a_tool_with_side_effects_ran_is_asked_of_a_person(
    world: World, dead_owner: str, decision: Any, text: str, paid: int, told: str
) -> None:
    chat = paying(world, ToolPolicy(side_effects=frozenset({"pay"})))
    run_id = await killed_in_a_tool(world, chat, dead_owner)
    async with world.process(chat(None), run_id) as (run, _):
        (request,) = run.requests
        assert (run.status, request.kind, world.done()) == ("waiting", "doubt", ["paid"])
        await run.decide(request.id, decision, text, by="ann")
    async with world.process(chat(None), run_id) as (last, _):
        assert (last.status, len(world.done())) == ("finished", paid)
        assert (await contexts(last))["a"][-2]["content"][0]["content"] == told


async def test_the_other_side_is_asked_and_where_it_does_not_know_a_person_is(world: World, dead_owner: str) -> None:
    asked: list[tuple[str, Mapping[str, object]]] = []
    found: list[str | Exception] = [ConnectionError("no route"), "receipt 7"]

    async def look(key: str, arguments: Mapping[str, object]) -> str | None:
        asked.append((key, arguments))
        said = found.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    chat = paying(world, ToolPolicy(lookup={"pay": look}))
    run_id = await killed_in_a_tool(world, chat, dead_owner)
    async with world.process(chat(None), run_id) as (run, _):
        assert (run.status, run.requests[0].kind) == ("waiting", "doubt")
    async with world.process(chat(None), run_id) as (last, _):
        assert (last.status, world.done()) == ("finished", ["paid"])
        assert (await contexts(last))["a"][-2]["content"][0]["content"] == "receipt 7"
    assert asked == [(f"{run_id}/1/tool/p", {})] * 2
