"""The agent behind a person at the table asks one question a turn, and says what was decided."""

from __future__ import annotations

import pytest
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage, TextMessage
from autogen_core import CancellationToken
from pydantic import BaseModel

from moot.agents.human import Human, HumanAgent, human
from moot.agents.questions import Decision
from tests.fakes import FakeConversation, in_turn


class Plan(BaseModel):
    steps: int


def said(source: str, text: str) -> TextMessage:
    return TextMessage(content=text, source=source)


async def turn(spec: Human, heard: list[BaseChatMessage], decided: Decision) -> tuple[FakeConversation, TextMessage]:
    """What is asked, and what is said then."""
    kind = "message" if any(message.source == spec.approves for message in heard) else "input"
    conversation = FakeConversation(decisions={f"ask-{kind}/0": decided})
    in_turn(conversation)
    *_, reply = [item async for item in HumanAgent(spec).on_messages_stream(heard, CancellationToken())]
    assert isinstance(reply, Response)
    assert isinstance(reply.chat_message, TextMessage)
    return conversation, reply.chat_message


async def test_the_latest_message_of_whom_they_approve_is_shown() -> None:
    heard: list[BaseChatMessage] = [said("writer", "old"), said("writer", "new"), said("critic", "bad")]
    conversation, reply = await turn(human("owner", approves="writer"), heard, Decision("approve", "", "ann"))
    ((_, question),) = conversation.questions.items()
    assert (question.kind, question.payload, question.ask) == (
        "message", {"from": "writer", "message": "new"}, "owner",
    )  # fmt: skip
    assert (reply.content, reply.source) == ("APPROVED", "owner")
    assert reply.metadata == {"decision": "approve", "by": "ann"}


async def test_the_digest_is_that_of_what_is_approved_whatever_they_are_asked() -> None:
    heard: list[BaseChatMessage] = [said("writer", "new")]
    digests = set()
    for prompt in ("", "Well?", "May it go out?"):
        spec = human("owner", approves="writer", prompt=prompt)
        conversation, _ = await turn(spec, heard, Decision("approve"))
        digests |= {question.digest for question in conversation.questions.values()}
    other, _ = await turn(human("owner", approves="writer"), [said("writer", "newer")], Decision("approve"))
    assert len(digests) == 1
    assert digests != {question.digest for question in other.questions.values()}


async def test_a_typed_message_is_shown_as_text() -> None:
    message = StructuredMessage[Plan](content=Plan(steps=3), source="writer")
    conversation, reply = await turn(
        human("owner", approves="writer"), [message], Decision("edit", "", "ann", "4 steps")
    )
    (question,) = conversation.questions.values()
    assert question.payload["message"] == '{"steps":3}'
    assert reply.content == "APPROVED with changes:\n4 steps"


@pytest.mark.parametrize(
    ("spec", "prompt"),
    [
        (human("owner"), "What do you say?"),
        (human("owner", prompt="Which?"), "Which?"),
        (human("owner", approves="writer", prompt="Good?"), "writer has said nothing new. Good?"),
    ],
)
async def test_without_anything_to_approve_they_answer(spec: Human, prompt: str) -> None:
    conversation, reply = await turn(spec, [said("critic", "x")], Decision("respond", "half \ud800", "ann"))
    (question,) = conversation.questions.values()
    assert (question.kind, question.payload, question.allow) == ("input", {"prompt": prompt}, ("respond",))
    assert reply.content == "half \ufffd"


async def test_others_are_told_who_they_are() -> None:
    assert HumanAgent(human("owner", approves="writer")).description == "A person who approves what writer says."
    assert HumanAgent(human("owner", description="The owner.")).description == "The owner."
