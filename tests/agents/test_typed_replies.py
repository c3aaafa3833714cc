"""A typed reply is read into its class, asked for once more where it cannot be, and reads in the chat as it should."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Any, Literal

import pytest
from autogen_agentchat.messages import StructuredMessage, TextMessage
from autogen_core import CancellationToken
from autogen_core.models import CreateResult, LLMMessage, ModelInfo
from pydantic import BaseModel, ValidationError

from moot.agents.assistant import Assistant, assistant
from moot.agents.errors import ModelError, UnusableReply
from moot.agents.playbook import Playbook
from moot.agents.seat import Inner, Seat
from moot.agents.typed_reply import ReplyForm, TypedReply, UnreadableReply, in_words, model_of
from tests.fakes import Counting, FakeConversation, Words, call, in_turn

HI = [TextMessage(content="hi", source="user")]
SAYS = "VERDICT: {decision} {{at {confidence}}}\n{reasons}"


class Verdict(BaseModel):
    decision: Literal["adopt", "reject"]
    confidence: float
    reasons: list[str] = []


GOOD = '{"decision": "adopt", "confidence": 0.7, "reasons": ["cheap", "tried"]}'


class Careful(Counting):
    """A model that remembers what it was asked for beside the messages."""

    structured = True

    def __init__(self, *said: Words) -> None:
        super().__init__(lambda _, number: said[min(number, len(said)) - 1])
        self.options: list[dict[str, Any]] = []

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.options.append(options)
        return await super().create(messages, **options)

    @property
    def model_info(self) -> ModelInfo:
        return {**super().model_info, "structured_output": self.structured}


class Plain(Careful):
    structured = False


def _playbooks(name: str) -> Playbook:
    raise ModelError(f"no playbook {name!r}")


async def _said(
    model: Counting, conversation: FakeConversation | None = None, **given: Any
) -> tuple[TypedReply[Verdict], Seat, list[Inner]]:
    who: Assistant = assistant("judge", "Judge.", reply=Verdict, model=model, **given)
    seat = who.seat(None, _playbooks)
    in_turn(conversation or FakeConversation())
    heard: list[Inner] = []
    said = await seat.speak(HI, CancellationToken(), heard.append)
    assert isinstance(said, TypedReply)
    return said, seat, heard


async def test_the_reply_is_an_instance_of_its_class_and_reads_as_it_should() -> None:
    model = Careful(GOOD)
    said, _, heard = await _said(model, says=SAYS)
    assert said.content == Verdict(decision="adopt", confidence=0.7, reasons=["cheap", "tried"])
    text = "VERDICT: adopt {at 0.7}\n- cheap\n- tried"
    assert (said.to_text(), said.to_model_text(), said.to_model_message().content) == (text, text, text)
    assert isinstance(said, StructuredMessage)
    assert [option["json_output"] for option in model.options] == [Verdict]
    assert heard == []  # nobody watches JSON as it comes


async def test_without_words_of_its_own_it_reads_as_json() -> None:
    said, _, _ = await _said(Careful(GOOD))
    assert json.loads(said.to_text()) == json.loads(GOOD)


async def test_a_message_is_read_back_as_the_same_from_the_journal() -> None:
    said, seat, _ = await _said(Careful(GOOD), says=SAYS)
    again = seat.messages.create(json.loads(said.model_dump_json()))
    assert again == said
    assert isinstance(again, TypedReply)
    assert isinstance(again.content, Verdict)


async def test_a_model_without_structured_output_is_told_the_form_in_words() -> None:
    model = Plain(f"Sure!\n```json\n{GOOD}\n```\nDone.")
    said, _, _ = await _said(model, says=SAYS)
    assert said.content.decision == "adopt"
    assert "json_output" not in model.options[0]
    instructions = str(model.requests[0][0].content)
    assert "Judge.\nReply with one JSON object and nothing else. It must fit this JSON Schema:\n{" in instructions
    assert '"confidence"' in instructions


async def test_beside_tools_the_form_is_asked_for_in_words() -> None:
    def look() -> str:
        """Looks."""
        return "nothing"

    model = Careful([call("look", {}, "x")], GOOD)
    said, _, _ = await _said(model, tools=[look])
    assert said.content.decision == "adopt"
    assert [sorted(set(option) & {"json_output", "tools"}) for option in model.options] == [["tools"], ["tools"]]


BAD = [
    ("I adopt.", "Invalid JSON"),
    ('{"decision": "maybe", "confidence": 1}', "decision: Input should be 'adopt' or 'reject'"),
    ('{"decision": "adopt"}', "confidence: Field required"),
    ("[1, 2]", "Input should be an object"),
    (f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```", "Invalid JSON"),
]


@pytest.mark.parametrize(("bad", "why"), BAD)
async def test_a_reply_that_cannot_be_read_is_asked_for_once_more_with_what_was_wrong(bad: str, why: str) -> None:
    model, conversation = Careful(bad, GOOD), FakeConversation()
    said, seat, _ = await _said(model, conversation)
    assert said.content.decision == "adopt"
    assert sorted(conversation.results) == ["model/0", "model/1"]
    first, second = model.requests
    assert second[: len(first)] == first
    assert second[-2].content == bad
    assert why in str(second[-1].content)
    held = await seat.contexts[""].get_messages()
    assert [message.content for message in held] == ["hi", GOOD]  # what was mended is not dragged along


async def test_the_second_that_cannot_be_read_fails_the_turn() -> None:
    model = Careful("I adopt.", '{"decision": "adopt"}')
    with pytest.raises(UnusableReply) as raised:
        await _said(model)
    assert str(raised.value) == (
        "the reply of judge is not in its form, also after it was told what was wrong: confidence: Field required"
    )
    assert len(model.requests) == 2


async def test_who_calls_a_tool_instead_of_mending_its_reply_fails_the_turn() -> None:
    with pytest.raises(UnusableReply, match="judge called a tool instead of giving its reply in its form"):
        await _said(Careful("I adopt.", [call("x", {}, "x")]))


class Mood(Enum):
    GOOD = "good"


class Many(BaseModel):
    number: float
    none: str | None = None
    yes: bool = True
    mood: Mood = Mood.GOOD
    nothing: list[str] = []
    more: dict[str, int] = {"a": 1}
    inner: Verdict = Verdict(decision="adopt", confidence=1)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("{number}", "2.5"),
        ("{none} {yes} {mood}", "none yes good"),
        ("{nothing}", "- none"),
        ("{more}", '{"a": 1}'),
        ("{inner}", '{"decision":"adopt","confidence":1.0,"reasons":[]}'),
        ("{{number}}", "{number}"),
    ],
)
def test_values_read_as_people_write_them(says: str, words: str) -> None:
    assert in_words(says, Many(number=2.5)) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(2.0, "2"), (-0.5, "-0.5"), (1234.567, "1234.567"), (123456.5, "123456.5"), (1e6, "1000000")],
)
def test_a_number_reads_as_all_of_it(number: float, words: str) -> None:
    assert in_words("{number}", Many(number=number)) == words


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("{decison}", "{decison} names no field of the reply: decision, confidence, reasons"),
        ("{", "a single '{': write '{{' for a brace"),
        ("{decision!r}", "{decision!r} names no field"),
    ],
)
def test_words_that_name_no_field_are_refused(says: str, why: str) -> None:
    with pytest.raises(ValueError, match="assistant 'judge'") as raised:
        assistant("judge", "x", reply=Verdict, says=says)
    assert why in str(raised.value)


def test_words_without_a_class_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs reply=\.\.\., the class"):
        assistant("judge", "x", says="{decision}")


def test_a_class_is_made_of_fields_all_of_which_are_wanted() -> None:
    kind = model_of("j", {"a": "text", "b": "number", "c": "whole", "d": "yes_no", "e": "texts", "f": ("x", "y")})
    good = {"a": "t", "b": 1.5, "c": 2, "d": True, "e": ["u"], "f": "x"}
    assert kind.model_validate(good).model_dump() == good
    for bad in ({**good, "g": 1}, {**good, "f": "z"}, {**good, "c": 1.5}, {k: v for k, v in good.items() if k != "e"}):
        with pytest.raises(ValidationError):
            kind.model_validate(bad)
    for number in ("NaN", "-Infinity", "1e999", '"nan"'):  # in the chat they would read as null
        with pytest.raises(UnreadableReply, match="b: Input should be a finite number"):
            ReplyForm(kind).read(json.dumps(good).replace("1.5", number))
    assert ReplyForm(kind).message.__name__ == "TypedReply[j]"
