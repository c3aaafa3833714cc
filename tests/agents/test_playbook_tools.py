"""A scripted model calls tools and replies with JSON, by rules over what really happened."""

from __future__ import annotations

import json

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import StructuredMessage
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from moot.agents.errors import PlaybookError
from moot.agents.playbook import Playbook
from moot.agents.playbook_client import PlaybookClient
from moot.agents.situation import Situation

BOOK = """
version: 1
name: test
task: 'Publish (?P<what>.+)\\.'
texts: {signature: "yours, Ann"}
parts:
  writer:
    - when: {tool: publish, tool_error: true}
      say: "It failed: {last.error}"
    - when: {tool: publish}
      say: "Published: {last.text}"
    - when: {tool: look}
      call: [{tool: publish, with: {title: "{what}", copies: 2, by: ["{last.source|line}", null, 0.5]}}]
    - when: {turn: 1}
      call:
        - {tool: look, with: {name: "{what|line} {texts.signature}"}}
        - {tool: look}
    - say: "I did all I can in turn {turn}"
"""
TASK = UserMessage(content="Publish the news.", source="user")
LOOK: ToolSchema = {"name": "look", "description": "looks"}
PUBLISH: ToolSchema = {"name": "publish", "description": "publishes"}


def _client(book: str = BOOK, part: str = "writer") -> PlaybookClient:
    return PlaybookClient(Playbook.parse(book, "book.yaml"), part)


def _result(name: str, text: str, call_id: str, *, is_error: bool = False) -> FunctionExecutionResultMessage:
    done = FunctionExecutionResult(content=text, name=name, call_id=call_id, is_error=is_error)
    return FunctionExecutionResultMessage(content=[done])


async def _asked(*messages: LLMMessage) -> CreateResult:
    return await _client().create(messages, tools=[LOOK, PUBLISH])


def _assistant_said(result: CreateResult) -> AssistantMessage:
    return AssistantMessage(content=result.content, source="writer")


async def test_a_rule_calls_several_tools_with_values_filled_in() -> None:
    result = await _asked(TASK)
    assert result.finish_reason == "function_calls"
    assert result.usage.completion_tokens > 0
    assert not isinstance(result.content, str)
    assert [(call.name, json.loads(call.arguments)) for call in result.content] == [
        ("look", {"name": "the news yours, Ann"}),
        ("look", {}),
    ]
    assert len({call.id for call in result.content}) == 2


async def test_the_same_messages_give_the_same_calls_with_the_same_ids() -> None:
    assert (await _asked(TASK)).content == (await _asked(TASK)).content


async def test_what_a_tool_returned_is_the_last_message_and_types_are_kept() -> None:
    first = await _asked(TASK)
    second = await _asked(TASK, _assistant_said(first), _result("look", "nothing there", "x"))
    assert not isinstance(second.content, str)
    assert json.loads(second.content[0].arguments) == {"title": "the news", "copies": 2, "by": ["tool", None, 0.5]}
    results = [
        await _asked(TASK, _result("publish", "no. 7", "y")),
        await _asked(TASK, _result("publish", "no\nroom", "y", is_error=True)),
    ]
    assert [result.content for result in results] == ["Published: no. 7", "It failed: no room"]


async def test_a_rule_calls_once_in_a_turn_and_again_in_the_next() -> None:
    first = await _asked(TASK)
    book = BOOK.replace("when: {turn: 1}", "when: {text: .}")
    lost = UserMessage(content="and?", source="user")
    asked = await _client(book).create([TASK, _assistant_said(first), lost], tools=[LOOK])
    assert asked.content == "I did all I can in turn 1"
    said = AssistantMessage(content="I did", source="writer")
    later = await _client(book).create([TASK, _assistant_said(first), said, lost], tools=[LOOK])
    assert not isinstance(later.content, str)
    assert not isinstance(first.content, str)
    assert {call.id for call in later.content}.isdisjoint(call.id for call in first.content)


async def test_who_is_asked_for_words_alone_gets_words() -> None:
    result = await _client().create([TASK], tool_choice="none")
    assert result.content == "I did all I can in turn 1"


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        ([], "it has no tools"),
        ([PUBLISH], "it has: publish"),
        ([{"name": "lock"}], r"did you mean 'lock'\?\); it has: lock"),
    ],
)
async def test_a_tool_that_the_participant_does_not_have_is_an_error_with_its_place(
    offered: list[Tool | ToolSchema], said: str
) -> None:
    with pytest.raises(PlaybookError, match=rf"book\.yaml:16:12: .*no tool 'look'.*{said}"):
        await _client().create([TASK], tools=offered)


async def test_calls_are_streamed_as_a_result_without_pieces() -> None:
    items = [item async for item in _client().create_stream([TASK], tools=[LOOK, PUBLISH])]
    assert [type(item) for item in items] == [CreateResult]


class Verdict(BaseModel):
    decision: str
    confidence: float
    reasons: list[str]


TYPED = """
version: 1
name: test
parts:
  judge:
    - reply: {decision: adopt, confidence: 0.7, reasons: ['{said.ann}', '{{said.ann}}']}
      when: {said: {ann: .}}
    - reply: {decision: reject, confidence: 0, reasons: []}
"""


async def test_a_typed_reply_is_json_with_its_texts_filled_in() -> None:
    agent = AssistantAgent("judge", _client(TYPED, "judge"), output_content_type=Verdict)
    said = (await agent.run(task="Judge.")).messages[-1]
    assert isinstance(said, StructuredMessage)
    assert said.content == Verdict(decision="reject", confidence=0, reasons=[])
    book = Playbook.parse(TYPED)
    text = book.part("judge").answer(Situation.of([TASK, UserMessage(content='say "x"\n', source="ann")]))
    assert isinstance(text, str)
    assert json.loads(text) == {"decision": "adopt", "confidence": 0.7, "reasons": ['say "x"\n', "{said.ann}"]}


async def test_an_autogen_agent_uses_its_tools_by_script() -> None:
    made: list[dict[str, object]] = []

    def look(name: str = "nothing") -> str:
        made.append({"look": name})
        return "free"

    def publish(title: str, copies: int, by: list[str | float | None]) -> str:
        made.append({"publish": title, "copies": copies, "by": by})
        return "no. 7"

    agent = AssistantAgent("writer", _client(), tools=[look, publish], reflect_on_tool_use=True, max_tool_iterations=5)
    result = await agent.run(task="Publish the news.")
    assert result.messages[-1].to_text() == "Published: no. 7"
    assert made == [
        {"look": "the news yours, Ann"},
        {"look": "nothing"},
        {"publish": "the news", "copies": 2, "by": ["tool", None, 0.5]},
    ]


@pytest.mark.parametrize(
    ("rules", "place", "message"),
    [
        ("- when: {turn: 1}\n  call: [{tool: x}]\n- call: [{tool: x}]", "5:3", "could run dry"),
        ("- call: [{tool: x}]\n- say: y", "6:9", "no later one is reached"),
        ("- say: y\n  call: [{tool: x}]", "6:9", "got say and call"),
        ("- when: {turn: 1}", "6:9", "'say' is missing"),
        ("- call: [{tol: x}]", "6:17", r"unknown key \(did you mean 'tool'\?\); known: tool, with"),
        ("- call: []\n- say: x", "6:9", "is empty"),
        ("- reply: {x: '{texts.no}'}", "6:9", "there is no text 'no'"),
        ("- reply: {x: .nan}", "6:9", "nan is no number"),
        ("- when: {turn: 1}\n  call: [{tool: x, with: {a: '```\n\n{last.text}'}}]\n- say: x", "7:26", "fenced block"),
    ],
)
def test_what_is_wrong_with_a_call_or_a_reply_is_said_with_its_place(rules: str, place: str, message: str) -> None:
    indented = "\n".join(f"      {line}" for line in rules.splitlines())
    with pytest.raises(PlaybookError, match=message) as raised:
        Playbook.parse(f"version: 1\nname: test\nparts:\n  # here\n  coder:\n{indented}\n", "book.yaml")
    assert str(raised.value).startswith(f"book.yaml:{place}")


def test_a_rule_that_does_not_know_its_names_calls_nothing() -> None:
    part = Playbook.parse(BOOK).part("writer")
    assert isinstance(part.answer(Situation(task="no such thing", text="x", tools=("look",))), str)
    assert part.answer(Situation(task="no such thing", text="x", tools=("look",), turn=2)) == (
        "I did all I can in turn 2"
    )
