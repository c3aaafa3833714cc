"""A turn of one of AutoGen's agents that was cut off goes on where it was: what was recorded is served, once."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse, AssistantAgent, CodeExecutorAgent
from autogen_agentchat.base import ChatAgent
from autogen_agentchat.messages import StructuredMessage
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.models import CreateResult, LLMMessage, UserMessage
from autogen_core.tools import FunctionTool, StaticWorkbench, ToolResult, ToolSchema
from pydantic import BaseModel

from moot.agents.journalled_code import STATE_LOST
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.errors import Fenced
from moot.chats.events import Draft
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, DyingStore, Killed, Scripted, Words, call, contexts, data_of, lines, types


class Number(BaseModel):
    number: float


def asked(messages: Sequence[LLMMessage]) -> bool:
    return isinstance(messages[-1], UserMessage)


def one(agent: ChatAgent, turns: int = 1, **more: Any) -> Chat:
    return Chat([agent], limits=Limits(turns=turns), **more)


async def killed(chat: Chat, store: Store, owner: str, key: str) -> str:
    """Drive a chat whose process dies as soon as the result of that effect is recorded; the id of the run."""
    dying = DyingStore(store, owner)
    run = await chat.start("go", store=dying)
    async for event in run.events():
        if not isinstance(event, Draft) and event.type == "effect.completed" and event.span == key:
            dying.at = dying.appends + 1
    with pytest.raises(Killed):
        await run.finish()
    assert dying.fired
    return run.id


async def resumed(run_id: str, chat: Chat, store: Store) -> tuple[Run, list[str]]:
    """The run, over, and the pieces of text that were shown."""
    run = await open_run(run_id, chat=chat, store=store)
    pieces = [item.text async for item in run.events(drafts=True) if isinstance(item, Draft) and item.kind == "token"]
    await run.finish()
    assert await verify_run(store, run.id) == []
    return run, pieces


class Terminal(CodeExecutor):
    def __init__(self, ran: list[str]) -> None:
        self._ran = ran

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        self._ran.append(code_blocks[0].code)
        return CodeResult(0, "4")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


async def approved(request: ApprovalRequest) -> ApprovalResponse:
    return ApprovalResponse(approved=True, reason="")


async def test_what_was_streamed_before_comes_as_one_piece_and_the_rest_as_it_is_said(
    store: Store, dead_owner: str
) -> None:
    ran: list[str] = []

    def chat() -> tuple[Chat, Counting]:
        model = Counting(lambda messages, _: "```python\n2 + 2\n```" if len(messages) == 2 else "it is 4")
        agent = CodeExecutorAgent(
            "a", Terminal(ran), model_client=model, model_client_stream=True, approval_func=approved
        )
        return one(agent), model

    run_id = await killed(chat()[0], store, dead_owner, "model/0")
    second, model = chat()
    run, pieces = await resumed(run_id, second, store)
    assert lines(run) == ["a: it is 4"]
    assert pieces == ["```python\n2 + 2\n```", "it ", "is ", "4 "]
    assert len(model.requests) == 1
    assert set(ran) == {"2 + 2\n"}


async def test_code_that_was_cut_off_is_told_of_where_code_of_an_earlier_turn_may_have_left_variables(
    store: Store, dead_owner: str
) -> None:
    ran: list[str] = []

    class Kernel(Terminal):
        async def execute_code_blocks(
            self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
        ) -> CodeResult:
            if len(ran) == 1:
                dying.at = dying.appends + 1
            return await super().execute_code_blocks(code_blocks, cancellation_token)

    def chat() -> Chat:
        writer = Scripted("writer", lambda number, _: f"```python\nx = {number}\n```")
        return Chat([writer, CodeExecutorAgent("x", Kernel(ran), approval_func=approved)], limits=Limits(turns=6))

    dying = DyingStore(store, dead_owner)
    run = await chat().start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    assert (dying.fired, ran) == (True, ["x = 1\n", "x = 2\n"])
    last, _ = await resumed(run.id, chat(), store)
    assert ran == ["x = 1\n", "x = 2\n", "x = 3\n"]
    first, second, third = [turn.text for turn in last.transcript.history if turn.participant == "x"]
    assert (first, third) == ("4", "4")
    assert STATE_LOST in second


def with_tool(done: list[int], told: str = "old", **more: Any) -> Chat:
    async def look() -> str:
        """Look something up."""
        done.append(1)
        return "found"

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("look", {}, "1")] if asked(messages) else str(messages[0].content)

    return one(
        AssistantAgent("a", Counting(answer), tools=[look], system_message=told, reflect_on_tool_use=True), **more
    )


async def test_a_tool_that_was_called_is_not_called_again(store: Store, dead_owner: str) -> None:
    done: list[int] = []
    run_id = await killed(with_tool(done), store, dead_owner, "tool/1")
    run, _ = await resumed(run_id, with_tool(done), store)
    assert (lines(run), done) == (["a: old"], [1])


async def test_who_asks_for_something_else_is_not_served_the_old_result_of_a_tool_either(
    store: Store, dead_owner: str
) -> None:
    done: list[int] = []
    run_id = await killed(with_tool(done), store, dead_owner, "tool/1")
    run, _ = await resumed(run_id, with_tool(done, "new"), store)
    assert (lines(run), done) == (["a: new"], [1, 1])
    (warned,) = [w for w in await data_of(store, run, ev.Warned) if "something else" in w.text]
    assert warned.facts["key"] == "model/0"
    keys = [each.key for each in await data_of(store, run, ev.EffectCompleted)]
    assert keys == ["model/0", "tool/1", "~model/0", "~tool/1", "~model/1"]


async def test_where_a_run_is_strict_it_is_refused(store: Store, dead_owner: str) -> None:
    done: list[int] = []
    run_id = await killed(with_tool(done), store, dead_owner, "tool/1")
    run, _ = await resumed(run_id, with_tool(done, "new", strict=True), store)
    assert (run.outcome, done) == (Outcome.FAILED, [1])
    assert run.stopped_by is not None
    assert "asked for something else than before" in run.stopped_by.reason


async def paused(chat: Chat, store: Store, turn: int) -> Run:
    """Drive a chat until that turn has finished."""
    run = await chat.start("go", store=store)
    async for event in run.events():
        if not isinstance(event, Draft) and event.type == "turn.finished" and event.turn == turn:
            run.pause_after_turn()
    assert (await run.finish()).status == "paused"
    return run


async def test_structured_replies_and_hand_offs_are_read_back(store: Store) -> None:
    def chat() -> Chat:
        first = AssistantAgent("a", Counting(lambda *_: '{"number": 3}'), output_content_type=Number)
        second = AssistantAgent("b", Counting(lambda *_: [call("transfer_to_a", {}, "h")]), handoffs=["a"])
        return Chat([first, second], limits=Limits(turns=6))

    run = await paused(chat(), store, 2)
    again = await open_run(run.id, chat=chat(), store=store)
    await again.stop_now()
    assert await contexts(again) == await contexts(run)
    last = await (await open_run(run.id, chat=chat(), store=store)).finish()
    first, second, *_ = last.transcript.history
    assert isinstance(first.message, StructuredMessage)
    assert first.message.content == Number(number=3)
    assert type(second.message).__name__ == "HandoffMessage"
    assert lines(last) == [f"a: {first.text}", f"b: {second.text}"] * 3


async def test_an_agent_as_a_tool_is_no_effect_and_remembers_from_turn_to_turn(store: Store) -> None:
    def chat() -> Chat:
        helper = AssistantAgent("helper", Counting(lambda messages, _: f"helper saw {len(messages)}"))

        def answer(messages: Sequence[LLMMessage], number: int) -> Words:
            return [call("helper", {"task": "t"}, "h")] if asked(messages) else str(messages[-1].content)

        tools: list[Any] = [AgentTool(helper, return_value_as_last_message=True)]
        agent = AssistantAgent("a", Counting(answer), tools=tools, reflect_on_tool_use=True)
        return Chat([agent, Scripted("b")], limits=Limits(turns=6))

    run = await paused(chat(), store, 1)
    keys = [event.span for event in await store.load(run.id) if event.type == "effect.intended" and event.turn == 1]
    assert keys == ["model/0", "tool/h/model/0", "model/1"]
    last, _ = await resumed(run.id, chat(), store)
    helped = [turn.text for turn in last.transcript.history if turn.participant == "a"]
    assert [f"helper saw {n}" in text for n, text in zip((2, 4, 6), helped, strict=True)] == [True] * 3


class Stealing(Counting):
    """While it answers, the run is taken over."""

    store: MemoryStore

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        (name,) = await self.store.names()
        self.store._runs[name].epoch += 1
        return await super().create(messages, **options)


async def test_a_driver_that_lost_its_claim_is_told_so_and_calls_no_tool() -> None:
    store, done = MemoryStore(), list[int]()

    async def look() -> str:
        """Look something up."""
        done.append(1)
        return "found"

    model = Stealing(lambda *_: [call("look", {}, "1")])
    model.store = store
    run = await one(AssistantAgent("a", model, tools=[look])).start("go", store=store)
    with pytest.raises(Fenced):
        await run.finish()
    assert done == []


async def test_stopping_a_run_stops_its_tools_and_the_turn_is_taken_again(store: Store) -> None:
    seen: list[str] = []
    began = asyncio.Event()

    async def look() -> str:
        """Look something up."""
        seen.append("began")
        began.set()
        try:
            if len(seen) == 1:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cut")
            raise
        return "found"

    model = Counting(lambda *_: [call("look", {}, "1")])

    def chat() -> Chat:
        return one(AssistantAgent("a", model, tools=[look]))

    run = await chat().start("go", store=store)
    await began.wait()
    await run.stop_now()
    assert (run.status, seen) == ("paused", ["began", "cut"])
    again, _ = await resumed(run.id, chat(), store)
    assert (lines(again), seen, len(model.requests)) == (["a: found"], ["began", "cut", "began"], 1)
    kinds = await types(store, again)
    assert "turn.abandoned" in kinds
    assert "effect.unknown" in kinds


class Down(StaticWorkbench):
    """Its server is down."""

    async def list_tools(self) -> list[ToolSchema]:
        return [{"name": "look", "description": ""}]

    async def call_tool(self, *_: object, **__: object) -> ToolResult:
        raise ConnectionError("the server is down")


async def cancels() -> str:
    """Cancels itself."""
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"workbench": Down([])}, "a: ConnectionError: the server is down"),
        ({"tools": [FunctionTool(cancels, "", name="look")]}, "a: RuntimeError: the tool 'look' cancelled itself"),
    ],
    ids=["raises", "cancels"],
)
async def test_what_is_raised_past_a_workbench_fails_the_turn_instead_of_hanging(
    store: Store, how: dict[str, Any], why: str
) -> None:
    agent = AssistantAgent("a", Counting(lambda *_: [call("look", {}, "1")]), **how)
    run = await asyncio.wait_for(one(agent).run("go", store=store), 10)
    assert run.outcome is Outcome.FAILED
    assert run.stopped_by is not None
    assert why in run.stopped_by.reason


class Raw(BaseModel):
    model_config = {"val_json_bytes": "base64"}
    data: bytes


async def test_a_reply_that_is_no_json_fails_the_turn_and_leaves_the_journal_whole(store: Store) -> None:
    agent = AssistantAgent("a", Counting(lambda *_: '{"data": "/w=="}'), output_content_type=Raw)
    run = await one(agent).run("go", store=store)
    assert run.outcome is Outcome.FAILED
    assert run.stopped_by is not None
    assert "said a StructuredMessage[Raw] that cannot be written down as JSON" in run.stopped_by.reason
    assert await verify_run(store, run.id) == []


async def test_a_number_without_bounds_in_a_reply_is_read_back(store: Store) -> None:
    def chat() -> Chat:
        model = Counting(lambda *_: '{"number": Infinity}')
        return one(AssistantAgent("a", model, output_content_type=Number), turns=3)

    run = await paused(chat(), store, 1)
    again = await (await open_run(run.id, chat=chat(), store=store)).finish()
    assert [turn.message.content for turn in again.transcript.history] == [Number(number=float("inf"))] * 3  # type: ignore[attr-defined]
