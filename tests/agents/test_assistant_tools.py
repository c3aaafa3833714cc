"""An assistant's model calls tools until it has something to say, and is told when it calls them wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.messages import TextMessage, ToolCallExecutionEvent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import ChatCompletionClient, LLMMessage, ModelInfo
from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench, ToolOverride
from pydantic import BaseModel

from moot.agents.assistant import MOST_CALLS, assistant
from moot.agents.effects import idempotency_key
from moot.agents.errors import ModelError, UnusableReply
from moot.agents.playbook import Playbook
from moot.agents.questions import Decision
from moot.agents.seat import Inner
from moot.agents.tool_files import ToolError
from moot.agents.tool_policy import ToolPolicy
from moot.agents.tools import Given, made_tools, names_of
from tests.fakes import Counting, FakeConversation, Words, call, in_turn

HI = [TextMessage(content="hi", source="user")]


def add(a: int, b: int = 1) -> int:
    """Adds two
    numbers."""
    return a + b


async def find_it(name: str) -> str:
    return f"{name} is at {idempotency_key()}"


def breaks() -> str:
    """Breaks."""
    raise RuntimeError("no more paper")


def _playbooks(name: str) -> Playbook:
    raise ModelError(f"no playbook {name!r}")


async def _said(
    model: ChatCompletionClient, tools: Sequence[Given], conversation: FakeConversation | None = None, **policy: Any
) -> tuple[str, list[Inner]]:
    seat = assistant("ann", "Be useful.", tools=tools, model=model).seat(None, _playbooks, ToolPolicy(**policy))
    in_turn(conversation or FakeConversation())
    heard: list[Inner] = []
    return (await seat.speak(HI, CancellationToken(), heard.append)).to_text(), heard


def _results(heard: Sequence[Inner]) -> list[tuple[str, bool | None]]:
    events = [item for item in heard if isinstance(item, ToolCallExecutionEvent)]
    return [(result.content, result.is_error) for event in events for result in event.content]


def _then(*wishes: list[FunctionCall]) -> Counting:
    """Makes these wishes, one after the other, then says what it was told last."""

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return wishes[number - 1] if number <= len(wishes) else f"told: {messages[-1].content}"

    return Counting(answer)


async def test_its_model_calls_tools_until_it_has_something_to_say() -> None:
    conversation = FakeConversation()
    model = _then(
        [call("add", {"a": 1}, "x")], [call("find_it", {"name": "b"}, "y"), call("add", {"a": 2, "b": 2}, "z")]
    )
    said, heard = await _said(model, [add, find_it], conversation)
    assert _results(heard) == [("2", False), ("b is at run/1/tool/y", False), ("4", False)]
    assert said.startswith("told: ")
    assert sorted(conversation.results) == ["model/0", "model/1", "model/2", "tool/x", "tool/y", "tool/z"]


async def test_what_a_tool_raises_is_told_to_the_model_as_often_as_it_happens() -> None:
    said, heard = await _said(_then(*([call("breaks", {}, f"c{n}")] for n in range(5))), [breaks])
    assert _results(heard) == [("no more paper", True)] * 5
    assert "no more paper" in said


def runs_out() -> str:
    """Takes what is not there."""
    return next(iter(()))


def leaves() -> str:
    """Leaves."""
    raise SystemExit(3)


async def leaves_later() -> str:
    """Leaves."""
    raise SystemExit(3)


@pytest.mark.parametrize("tool", [runs_out, leaves, leaves_later])
async def test_a_tool_that_raises_what_no_thread_or_loop_survives_is_told_to_the_model(tool: Given) -> None:
    name = getattr(tool, "__name__", "")
    said, heard = await _said(_then([call(name, {}, "x")]), [tool])
    (told,) = _results(heard)
    assert told[1] is True
    assert told[0] in ("it raised StopIteration, as next() does where nothing is left", "it called exit with 3")
    assert told[0] in said


async def test_a_model_that_only_calls_tools_has_to_say_something_in_the_end() -> None:
    model = _then(*([call("add", {"a": n}, f"c{n}")] for n in range(MOST_CALLS)))
    said, heard = await _said(model, [add])
    assert len(_results(heard)) == MOST_CALLS
    assert said.startswith("told: ")


WRONG = [
    (call("ad", {"a": 1}, "w"), "there is no tool 'ad'"),
    (FunctionCall("w", '{"a": 1', "add"), "the arguments for 'add' are no JSON: "),
    (FunctionCall("w", "[1]", "add"), "the arguments for 'add' are no JSON object"),
    (call("add", {"b": 2}, "w"), "'add' does not take that: a: Field required"),
    (call("add", {"a": "one"}, "w"), "'add' does not take that: a: Input should be a valid integer"),
]


@pytest.mark.parametrize(("wrong", "why"), WRONG)
async def test_wrong_calls_are_told_twice_and_the_third_in_a_row_fails_the_turn(wrong: FunctionCall, why: str) -> None:
    model = _then([wrong], [wrong], [wrong])
    with pytest.raises(UnusableReply) as raised:
        await _said(model, [add])
    assert str(raised.value).startswith(f"ann called a tool wrongly 3 times in a row: {why}")
    assert len(model.requests) == 3
    told = str(model.requests[2][-1].content)
    assert "is_error=True" in told


async def test_a_right_call_between_wrong_ones_begins_anew() -> None:
    wrong, right = [call("ad", {}, "w")], [call("add", {"a": 1}, "r")]
    said, heard = await _said(_then(wrong, wrong, right, wrong, wrong), [add])
    assert [failed for _, failed in _results(heard)] == [True, True, False, True, True]
    assert said.startswith("told: ")


async def test_a_person_is_asked_about_its_tools_as_about_those_of_autogens_agents() -> None:
    asking = FakeConversation(decisions={"ask-tool/x": Decision("reject", "not today", by="eve")})
    said, heard = await _said(_then([call("add", {"a": 1}, "x")]), [add], asking, approve={"add"})
    assert _results(heard) == [("This call was not made: rejected by eve: not today", True)]
    assert asking.questions["ask-tool/x"].payload == {"tool": "add", "arguments": {"a": 1}}
    assert "not today" in said


class Nothing(BaseModel):
    pass


class Shout(BaseTool[Nothing, Any]):
    def __init__(self, takes: type[Any] = Nothing) -> None:
        super().__init__(takes, str, "shout", "shouts")

    async def run(self, args: Nothing, cancellation_token: CancellationToken) -> str:
        return "HEY"


async def test_functions_and_autogens_tools_and_workbenches_stand_side_by_side() -> None:
    bench = StaticWorkbench([FunctionTool(breaks, "x")], tool_overrides={"breaks": ToolOverride(name="snap")})
    wishes = [call("shout", {}, "1"), call("add", {"a": 1}, "2"), call("snap", {}, "3")]
    _, heard = await _said(_then(wishes), [Shout(), add, bench])
    assert _results(heard) == [("HEY", False), ("2", False), ("no more paper", True)]


def test_a_function_is_described_by_its_docstring_or_its_name() -> None:
    tools = made_tools([add, find_it], Path())
    assert [tool.description for tool in tools if isinstance(tool, BaseTool)] == ["Adds two numbers.", "find it"]


def test_the_names_of_a_workbench_that_has_to_be_asked_are_not_known() -> None:
    class Server(StaticWorkbench):
        pass

    assert names_of(made_tools([add, find_it], Path())) == frozenset({"add", "find_it"})
    assert names_of(made_tools([add, Server([])], Path())) is None


def untyped(a, b: int) -> None:  # type: ignore[no-untyped-def]
    pass


def many(*words: str) -> None:
    pass


class Callable1:
    def __call__(self, a: int) -> int:
        return a


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ([untyped], "'untyped' cannot be a tool: its parameter 'a' has no type, such as a: str"),
        ([many], "'many' cannot be a tool: its parameter 'words' cannot be given by name"),
        ([Callable1()], "a Callable1 is no tool"),
        ([Callable1], "the class Callable1 is no tool"),
        ([3], "a int is no tool"),
        ([lambda: 1], "'<lambda>' cannot be a tool's name"),
        ([add, add], "two tools are called 'add'"),
        ([add, StaticWorkbench([FunctionTool(add, "x")])], "two tools are called 'add'"),
        ([Shout(BaseModel)], r"'shout' cannot be a tool: model_json_schema\(\) must be called on a subclass"),
        (["add"], "'add' names no tool: expected FILE.py:NAME or MODULE:NAME"),
    ],
)
def test_what_is_no_tool_is_refused_when_the_assistant_is_made(tools: list[Given], why: str) -> None:
    with pytest.raises(ToolError, match=f"assistant 'ann': {why}"):
        assistant("ann", "x", tools=tools)


class Mute(Counting):
    """A model that cannot call tools."""

    @property
    def model_info(self) -> ModelInfo:
        return {**super().model_info, "function_calling": False}


def test_a_model_that_calls_no_tools_is_refused_for_one_who_has_some() -> None:
    with pytest.raises(ModelError, match="calls no tools, and assistant 'ann' has some"):
        assistant("ann", "x", tools=[add], model=Mute()).seat(None, _playbooks)


def test_its_model_sees_what_it_may_call(tmp_path: Path) -> None:
    schema: Mapping[str, Any] = made_tools([add], tmp_path)[0].schema  # type: ignore[union-attr]
    assert schema["description"] == "Adds two numbers."
    assert schema["parameters"]["required"] == ["a"]
