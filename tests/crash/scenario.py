"""The chat that is killed: every kind of participant and of effect, in parallel and one after the other.

guide -> planner, person, coder -> critic -> runner, old -> critic -> guide

What everybody says depends on nothing but what they were told, so that every way through it ends alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.messages import BaseChatMessage
from autogen_core import CancellationToken, FunctionCall
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.models import AssistantMessage, CreateResult, LLMMessage

from moot.agents.executor import executor
from moot.agents.people import ask_approval
from moot.agents.tool_policy import ToolPolicy
from moot.chats.chat import Chat
from moot.chats.graph import graph
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.rules import says
from tests.crash.fate import Fate
from tests.crash.world import World
from tests.fakes import Counting, Scripted, Words

TASK = "see that it is done"
_TOLD_BY_A_PERSON = re.compile(r"This call may have been made[^:]* answers: ")
EDGES = (
    "guide -> planner, person, coder",
    "planner, person, coder -> critic",
    'critic -> runner, old when says "RUN"',
    "runner, old -> critic",
    'critic -> guide when says "DONE"',
)
TOOLS = ("look", "pay", "send", "order")


class Outside:
    """Where effects reach the world: each tells it that it was asked, and its process's fate before and after."""

    def __init__(self, folder: Path, fate: Fate) -> None:
        self.world, self._fate = World(folder), fate

    def reached(self, kind: str, what: str, receipt: str = "") -> None:
        """The request is out; its answer comes when this step is over. The other side keeps a receipt."""
        self._fate.cross(f"{kind} asked", frozenset({what}))
        self.world.saw(kind, what, receipt=receipt)
        self._fate.cross(f"{kind} sent", frozenset({what}))
        self._fate.soon(f"{kind} answered", frozenset({what}))


class Model(Counting):
    """Says what the request asks for, and a digest of all of it."""

    def __init__(self, who: str, outside: Outside) -> None:
        super().__init__()
        self._who, self._outside = who, outside

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self._outside.reached("model", self._who)
        return await super().create(messages, **options)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        async for item in super().create_stream(messages, **options):
            yield item


class Planner(Model):
    """Calls every tool side by side, then says what came of them."""

    def __init__(self, outside: Outside) -> None:
        super().__init__("planner", outside)
        self._answer = self._say

    def _say(self, messages: Sequence[LLMMessage], number: int) -> Words:
        told = _digest(messages)
        if any(isinstance(message, AssistantMessage) for message in messages):
            return f"planned {told}"
        return [FunctionCall(id=f"c{n}", name=tool, arguments=f'{{"what": "{told}"}}') for n, tool in enumerate(TOOLS)]


class Writer(Model):
    """Has a first and a second thing to say; code stands in the first. What is `flaky` cannot be reached, in each
    process, when it is asked for the second thing for the first time.
    """

    def __init__(self, who: str, outside: Outside, first: str, second: str, *, flaky: bool = False) -> None:
        super().__init__(who, outside)
        self._first, self._second, self._flaky = first, second, flaky
        self._answer = self._say

    def _say(self, messages: Sequence[LLMMessage], number: int) -> Words:
        told = _digest(messages)
        again = any(isinstance(message, AssistantMessage) for message in messages)
        if again and self._flaky:
            self._flaky = False
            raise ConnectionError("the line is dead")
        return f"{self._second} {told}" if again else f"{self._first} {told}\n```python\nprint('{told}')\n```"


class Interpreter(CodeExecutor):
    """AutoGen's seam for running code."""

    component_type = "code_executor"

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        self._outside.reached("code", "coder")
        return CodeResult(exit_code=0, output=_short("".join(block.code for block in code_blocks)))

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def restart(self) -> None: ...


def chat(folder: Path, fate: Fate) -> Chat:
    """A fresh one, as each process makes it for itself."""
    outside = Outside(folder, fate)

    def run(code: str, language: str) -> Execution:
        outside.reached("code", "runner")
        data = code.encode()
        plot = Artifact("plot.txt", len(data), sha256(data).hexdigest(), data)
        return Execution(exit_code=0, stdout=_short(code), artifacts=(plot,))

    def whole_turn(name: str) -> Scripted:
        async def said(number: int, messages: Sequence[BaseChatMessage]) -> str:
            outside.reached("turn", name)
            return f"{name} {number}: {_short(_plain(' '.join(m.to_text() for m in messages)))}"

        return Scripted(name, said)

    tools = [_tool(name, outside) for name in TOOLS]
    planner = AssistantAgent("planner", Planner(outside), tools=tools, reflect_on_tool_use=True)
    critic = Writer("critic", outside, "RUN", "DONE", flaky=True)
    coder = Writer("coder", outside, "code", "coded")
    return Chat(
        [
            whole_turn("guide"),
            planner,
            UserProxyAgent("person"),
            CodeExecutorAgent("coder", Interpreter(outside), model_client=coder, approval_func=ask_approval),
            AssistantAgent("critic", critic, model_client_stream=True),
            executor("runner", Fake(run), runs_code_from=["critic"]),
            whole_turn("old"),
        ],
        speakers=graph(*EDGES),
        stop=says("guide", "guide 2"),
        limits=Limits(turns=30),
        tools=ToolPolicy(
            approve=frozenset({"send"}), side_effects=frozenset({"pay"}), lookup={"order": _asking(outside.world)}
        ),
        name="crash",
    )


def _tool(name: str, outside: Outside) -> Any:
    async def call(what: str) -> str:
        done = f"{name} done for {what}"
        outside.reached("tool", name, done)
        return done

    call.__name__, call.__doc__ = name, f"Do {name}."
    return call


def _asking(world: World) -> Any:
    async def order(key: str, arguments: Mapping[str, object]) -> str | None:
        return world.receipt(key)

    return order


def answer(kind: str, payload: Mapping[str, Any], folder: Path, *, careful: bool) -> tuple[str, str]:
    """What the person decides: looks first whether a doubtful call happened, or lets it be made again unseen."""
    if kind == "input":
        return "respond", f"go on with {_short(json.dumps(payload, sort_keys=True))}"
    if kind == "doubt" and careful and (receipt := World(folder).receipt(payload["name"])) is not None:
        return "respond", receipt
    return "approve", ""


def _digest(messages: Sequence[LLMMessage]) -> str:
    return _short(_plain(" ".join(str(message.content) for message in messages)))


def _plain(text: str) -> str:
    return _TOLD_BY_A_PERSON.sub("", text)


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:10]
