"""What an agent says is looked at before it is journalled: a line that cannot be written would break the journal."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage, TextMessage
from autogen_core import CancellationToken
from pydantic import BaseModel

from moot.agents.adopt import adopt
from moot.agents.seat import Seat, WholeTurn
from moot.agents.written import Unwritable
from tests.fakes import Counting, FakeConversation, Scripted, as_recorded, in_turn

INFINITE = float("inf")


class Raw(BaseModel):
    model_config = {"val_json_bytes": "base64"}
    data: bytes


class Number(BaseModel):
    number: float


async def speak(seat: Seat) -> BaseChatMessage:
    return await seat.speak([TextMessage(content="go", source="user")], CancellationToken(), lambda _: None)


@pytest.mark.parametrize(
    "agent",
    [
        lambda: AssistantAgent("a", Counting(lambda *_: '{"data": "/w=="}'), output_content_type=Raw),
        lambda: Scripted("a", lambda *_: StructuredMessage[Raw](content=Raw(data=b"\xff"), source="a")),
    ],
    ids=["adopted", "one effect"],
)
async def test_a_reply_that_cannot_be_written_down_fails_the_turn_and_says_so(
    agent: Callable[[], Any], conversation: FakeConversation
) -> None:
    in_turn(conversation)
    with pytest.raises(Unwritable, match=r"^a said a StructuredMessage\[Raw\] that cannot be written down as JSON: "):
        await speak(adopt(agent()))
    assert "turn/0" not in conversation.results


class Unbounded(Scripted):
    """Has come to a state without bounds."""

    async def save_state(self) -> Mapping[str, Any]:
        return {"best": INFINITE, "seen": [float("nan")]}

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        return Response(
            chat_message=StructuredMessage[Number](content=Number(number=-INFINITE), source=self.name),
        )

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (StructuredMessage[Number],)


async def test_numbers_without_bounds_survive_in_replies_and_states(conversation: FakeConversation) -> None:
    in_turn(conversation)
    seat = adopt(Unbounded("a"))
    lived = await speak(seat)
    done: WholeTurn = conversation.results["turn/0"]
    done = WholeTurn(done.inner, done.reply, {"best": INFINITE}, done.tokens)
    recorded = as_recorded(conversation.effects["turn/0"], done)
    assert isinstance(recorded, dict)
    assert recorded["state"] == {"best": INFINITE}
    in_turn(FakeConversation({"turn/0": recorded}))
    again = await speak(adopt(Unbounded("a")))
    assert isinstance(again, StructuredMessage)
    assert again.content == lived.content == Number(number=-INFINITE)  # type: ignore[attr-defined]
    assert json.loads(seat.state or "")["best"] == INFINITE


class Deep(BaseModel):
    tree: object


def nested(levels: int) -> object:
    tree: object = []
    for _ in range(levels):
        tree = [tree]
    return tree


class Brooding(Scripted):
    """Has come to a state, or a reply, of that kind."""

    def __init__(self, state: object = None, reply: object = None) -> None:
        super().__init__("a", lambda *_: StructuredMessage[Deep](content=Deep(tree=reply), source="a"))
        self.state = state

    async def save_state(self) -> Mapping[str, Any]:
        return {"tree": self.state} if self.spoken else {}

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (StructuredMessage[Deep],)


@pytest.mark.parametrize("hostile", [nested(220), nested(300), 10**4300], ids=["220", "300", "huge"])
async def test_what_nobody_could_read_back_fails_the_turn_and_says_so(
    hostile: object, conversation: FakeConversation
) -> None:
    for agent in (Brooding(state=hostile), Brooding(reply=hostile)):
        in_turn(conversation)
        with pytest.raises((Unwritable, ValueError), match=r"nested|digits|depth"):
            await speak(adopt(agent))
        assert "turn/0" not in conversation.results


@pytest.mark.parametrize("hostile", [nested(190), 10**4299, {"": {"\ud800": "\udfff"}}], ids=["190", "large", "half"])
async def test_what_can_be_read_back_survives_in_replies_and_states(
    hostile: object, conversation: FakeConversation
) -> None:
    in_turn(conversation)
    await speak(adopt(Brooding(state=hostile, reply=hostile)))
    recorded = conversation.journalled()["turn/0"]
    assert isinstance(recorded, dict)
    assert recorded["state"]["tree"] == recorded["reply"]["content"]["tree"] == hostile
