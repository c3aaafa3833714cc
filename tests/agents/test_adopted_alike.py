"""An adopted agent does in a run what the agent does outside of one, and does it again from what was recorded."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import (
    ApprovalRequest,
    ApprovalResponse,
    AssistantAgent,
    CodeExecutorAgent,
    UserProxyAgent,
)
from autogen_agentchat.base import ChatAgent, Response
from autogen_agentchat.messages import StructuredMessage, TextMessage, ThoughtEvent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken, Image
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.memory import ListMemory, MemoryContent
from autogen_core.models import LLMMessage, UserMessage
from autogen_core.tools import (
    BaseStreamTool,
    BaseTool,
    FunctionTool,
    ImageResultContent,
    StaticWorkbench,
    TextResultContent,
    ToolOverride,
    ToolResult,
    ToolSchema,
    Workbench,
)
from pydantic import BaseModel

from moot.agents.adopt import adopt
from moot.agents.seat import Inner
from tests.fakes import Counting, FakeConversation, call, in_turn

Wish = tuple[str, dict[str, Any], str]
INBOX = [TextMessage(content="go", source="user")]


class Number(BaseModel):
    number: float


class Args(BaseModel):
    text: str


class Talking(BaseStreamTool[Args, Inner, Number]):
    """Says what it does while it does it."""

    def __init__(self, log: Path) -> None:
        super().__init__(Args, Number, "talking", "talks")
        self._log = log

    async def run(self, args: Args, cancellation_token: CancellationToken) -> Number:
        return Number(number=1)

    async def run_stream(
        self, args: Args, cancellation_token: CancellationToken
    ) -> AsyncGenerator[Inner | Number, None]:
        noted(self._log, "talking")
        yield ThoughtEvent(content=f"about {args.text}", source="tool")
        yield TextMessage(content="nearly", source="tool")
        yield Number(number=2)


class Other(Workbench):
    """A workbench of somebody's own, such as a server's."""

    def __init__(self, log: Path) -> None:
        self._log = log

    async def list_tools(self) -> list[ToolSchema]:
        return [{"name": "far", "description": "far away", "parameters": {"type": "object", "properties": {}}}]

    async def call_tool(
        self, name: str, arguments: Any = None, cancellation_token: Any = None, call_id: str | None = None
    ) -> ToolResult:
        noted(self._log, name)
        dot = ImageResultContent(content=Image.from_base64(DOT))
        return ToolResult(name=name, result=[TextResultContent(content="from afar"), dot])

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def reset(self) -> None: ...

    async def save_state(self) -> dict[str, Any]:
        return {}

    async def load_state(self, state: Any) -> None: ...


class Terminal(CodeExecutor):
    """Fails at first, then says nothing, which the agent puts into words of its own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._ran = 0

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        noted(self._log, code_blocks[0].code.strip())
        self._ran += 1
        return CodeResult(1, "boom") if self._ran == 1 else CodeResult(0, "")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def noted(log: Path, what: str) -> None:
    with log.open("a") as file:
        file.write(f"{what}\n")


def asked(messages: Sequence[LLMMessage]) -> bool:
    """Whether the last word is a person's, rather than a tool's."""
    return isinstance(messages[-1], UserMessage)


def tools_then(answer: str, *wishes: Wish) -> Callable[..., Any]:
    """A model that has tools called, then answers."""
    return lambda messages, _: [call(*wish) for wish in wishes] if asked(messages) else answer


def adder(log: Path) -> Callable[[int, int], int]:
    def add(a: int, b: int) -> int:
        noted(log, f"{a}+{b}")
        return a + b

    return add


def plain(log: Path, *, stream: bool) -> ChatAgent:
    return AssistantAgent("a", Counting(log=log), model_client_stream=stream)


def with_tools(log: Path, *, stream: bool, **more: Any) -> AssistantAgent:
    wishes: list[Wish] = [("add", {"a": 1, "b": 2}, "1"), ("add", {"a": 3, "b": 4}, "1"), ("add", {"a": 5, "b": 6}, "")]
    model = Counting(tools_then("sums", *wishes), log=log)
    return AssistantAgent("a", model, tools=[adder(log)], model_client_stream=stream, **more)


def summing_up(log: Path, *, stream: bool) -> ChatAgent:
    return with_tools(log, stream=stream)


def reflecting(log: Path, *, stream: bool) -> ChatAgent:
    return with_tools(log, stream=stream, reflect_on_tool_use=True)


def iterating(log: Path, *, stream: bool) -> ChatAgent:
    def answer(messages: Sequence[LLMMessage], number: int) -> Any:
        return [call("add", {"a": number, "b": 0}, f"c{number}")] if number < 3 else "done"

    model = Counting(answer, log=log)
    return AssistantAgent("a", model, tools=[adder(log)], max_tool_iterations=5, model_client_stream=stream)


def structured(log: Path, *, stream: bool) -> ChatAgent:
    model = Counting(tools_then('{"number": 3}', ("add", {"a": 1, "b": 2}, "1")), log=log)
    return AssistantAgent(
        "a", model, tools=[FunctionTool(adder(log), "adds", strict=True)], output_content_type=Number,
        model_client_stream=stream,
    )  # fmt: skip


def handing_off(log: Path, *, stream: bool) -> ChatAgent:
    wishes: list[Wish] = [("add", {"a": 1, "b": 2}, "1"), ("transfer_to_b", {}, "2")]
    return AssistantAgent(
        "a", Counting(tools_then("never", *wishes), log=log), tools=[adder(log)], handoffs=["b"],
        model_client_stream=stream,
    )  # fmt: skip


def failing(log: Path, *, stream: bool) -> ChatAgent:
    async def broken() -> str:
        noted(log, "broken")
        raise ValueError("no such thing")

    wishes: list[Wish] = [("broken", {}, "1"), ("missing", {}, "2")]
    model = Counting(tools_then("too bad", *wishes), log=log)
    return AssistantAgent("a", model, tools=[broken], reflect_on_tool_use=True, model_client_stream=stream)


def talking(log: Path, *, stream: bool) -> ChatAgent:
    model = Counting(tools_then("well", ("talking", {"text": "it"}, "t")), log=log)
    return AssistantAgent("a", model, tools=[Talking(log)], reflect_on_tool_use=True, model_client_stream=stream)


def elsewhere(log: Path, *, stream: bool) -> ChatAgent:
    wishes: list[Wish] = [("far", {}, "1"), ("plus", {"a": 1, "b": 1}, "2")]
    tools: list[BaseTool[Any, Any]] = [FunctionTool(adder(log), "adds", name="add")]
    benches = [Other(log), StaticWorkbench(tools, {"add": ToolOverride(name="plus")})]
    model = Counting(tools_then("well", *wishes), log=log)
    return AssistantAgent("a", model, workbench=benches, reflect_on_tool_use=True, model_client_stream=stream)


def remembering(log: Path, *, stream: bool) -> ChatAgent:
    memory = ListMemory(
        memory_contents=[
            MemoryContent(content="be kind", mime_type="text/plain", metadata={"from": 1}),
            MemoryContent(content={"x": 1}, mime_type="application/json"),
        ]
    )
    return AssistantAgent("a", Counting(log=log), memory=[memory], model_client_stream=stream)


def nested(log: Path, *, stream: bool) -> ChatAgent:
    inner = AssistantAgent(
        "helper", Counting(tools_then("helped", ("add", {"a": 1, "b": 1}, "1")), log=log), tools=[adder(log)],
        reflect_on_tool_use=True, model_client_stream=stream,
    )  # fmt: skip
    model = Counting(tools_then("done", ("helper", {"task": "t"}, "h"), ("add", {"a": 2, "b": 2}, "1")), log=log)
    return AssistantAgent(
        "a", model, tools=[AgentTool(inner), adder(log)], reflect_on_tool_use=True, model_client_stream=stream
    )


def nested_elsewhere(log: Path, *, stream: bool) -> ChatAgent:
    inner = AssistantAgent("helper", Counting(lambda *_: "helped", log=log), model_client_stream=stream)
    model = Counting(tools_then("done", ("help_me", {"task": "t"}, "h")), log=log)
    bench = StaticWorkbench([AgentTool(inner)], {"helper": ToolOverride(name="help_me")})
    return AssistantAgent("a", model, workbench=bench, reflect_on_tool_use=True, model_client_stream=stream)


def team(log: Path, *, stream: bool) -> ChatAgent:
    inner = AssistantAgent(
        "counter", Counting(lambda *_: '{"number": Infinity}', log=log), output_content_type=Number,
        model_client_stream=stream,
    )  # fmt: skip
    crew = TeamTool(
        RoundRobinGroupChat([inner], max_turns=1, custom_message_types=[StructuredMessage[Number]]), "crew", "a team"
    )
    model = Counting(tools_then("done", ("crew", {"task": "t"}, "c")), log=log)
    return AssistantAgent("a", model, tools=[crew], reflect_on_tool_use=True, model_client_stream=stream)


def coder(log: Path, *, stream: bool) -> ChatAgent:
    def answer(messages: Sequence[LLMMessage], number: int) -> str:
        if "Should we attempt" in str(messages[-1].content):
            return '{"retry": true, "reason": "try again"}'
        return f"```python\nprint({number})\n```" if number < 4 else "it is done"

    def approve(request: ApprovalRequest) -> ApprovalResponse:
        noted(log, "approved")
        return ApprovalResponse(approved=True, reason="fine")

    return CodeExecutorAgent(
        "x", Terminal(log), model_client=Counting(answer, log=log), approval_func=approve, max_retries_on_error=1,
        model_client_stream=stream,
    )  # fmt: skip


def person(log: Path, *, stream: bool) -> ChatAgent:
    def read(prompt: str) -> str:
        noted(log, prompt)
        return "typed" + "!" * stream

    async def read_async(prompt: str, token: CancellationToken | None) -> str:
        return read(prompt)

    return UserProxyAgent("u", input_func=read_async if stream else read)


AGENTS = [
    plain, summing_up, reflecting, iterating, structured, handing_off, failing, talking, elsewhere, remembering, nested,
    nested_elsewhere, team, coder, person,
]  # fmt: skip


@dataclass
class Said:
    """All that came of a turn, without what is made up anew each time."""

    items: list[dict[str, Any]]
    context: list[dict[str, Any]]
    outside: list[str]


def bare(items: Sequence[object]) -> list[dict[str, Any]]:
    never_alike = {"id", "created_at", "full_message_id", "request_id"}
    return [{"kind": type(i).__name__, **i.model_dump(exclude=never_alike)} for i in items if isinstance(i, BaseModel)]


async def context_of(agent: ChatAgent) -> list[dict[str, Any]]:
    context = getattr(agent, "_model_context", None)
    return [] if context is None else [message.model_dump() for message in await context.get_messages()]


async def outside(agent: ChatAgent, log: Path) -> Said:
    """What the agent does by itself."""
    items = agent.on_messages_stream(INBOX, CancellationToken())
    heard = [item.chat_message if isinstance(item, Response) else item async for item in items]
    return Said(bare(heard), await context_of(agent), lines(log))


async def inside(agent: ChatAgent, log: Path, conversation: FakeConversation) -> Said:
    """What it does in a run."""
    seat = adopt(agent)
    in_turn(conversation)
    heard: list[Inner] = []
    reply = await seat.speak(INBOX, CancellationToken(), heard.append)
    return Said(bare([*heard, reply]), await context_of(seat.agent), lines(log))


def lines(log: Path) -> list[str]:
    return sorted(log.read_text().split("\n")) if log.exists() else []


@pytest.mark.parametrize("stream", [False, True], ids=["", "streaming"])
@pytest.mark.parametrize("make", AGENTS, ids=lambda make: make.__name__)
async def test_an_adopted_agent_does_the_same_in_a_run_and_again_from_the_journal(
    make: Callable[..., ChatAgent], stream: bool, tmp_path: Path
) -> None:
    alone = await outside(make(tmp_path / "alone", stream=stream), tmp_path / "alone")
    first, second = FakeConversation(), FakeConversation()
    lived = await inside(make(tmp_path / "run", stream=stream), tmp_path / "run", first)
    assert lived == alone
    second.recorded = first.journalled()
    again = await inside(make(tmp_path / "again", stream=stream), tmp_path / "again", second)
    assert second.results == {}
    assert again.outside == []
    assert again.context == alone.context
    assert without_pieces(again.items) == without_pieces(alone.items)


def without_pieces(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if item["kind"] != "ModelClientStreamingChunkEvent"]


@pytest.mark.parametrize("make", AGENTS, ids=lambda make: make.__name__)
async def test_the_users_own_agent_is_as_it_was_and_works_on_outside(
    make: Callable[..., ChatAgent], tmp_path: Path
) -> None:
    agent = make(tmp_path / "log", stream=False)
    before = {name: value for name, value in vars(agent).items() if name != "_is_running"}
    benches = [dict(vars(bench)) for bench in getattr(agent, "_workbench", [])]
    seat = adopt(agent)
    in_turn(FakeConversation())
    await seat.speak(INBOX, CancellationToken(), lambda _: None)
    assert {name: value for name, value in vars(agent).items() if name != "_is_running"} == before
    assert [dict(vars(bench)) for bench in getattr(agent, "_workbench", [])] == benches
    assert await context_of(agent) == []
