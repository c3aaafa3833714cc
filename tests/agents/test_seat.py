"""Agents whose inside nobody can see: the whole turn is one effect, their own state goes along."""

import gc
import json
from collections.abc import AsyncGenerator, Sequence

import pytest
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ThoughtEvent,
)
from autogen_core import CancellationToken
from autogen_core.models import RequestUsage

from moot.agents.adopt import adopt
from moot.agents.models import Model
from moot.agents.seat import Inner, Seat, WholeTurn, Workplace
from moot.chats.event_types import EffectCompleted
from tests.fakes import Counting, FakeConversation, Scripted, in_turn

INBOX = [TextMessage(content="hello", source="user")]


async def turn(seat: Seat, inbox: Sequence[BaseChatMessage] = INBOX) -> list[Inner]:
    """What was heard in the turn, the reply last."""
    heard: list[Inner] = []
    reply = await seat.speak(inbox, CancellationToken(), heard.append)
    return [*heard, reply]


def as_json(result: WholeTurn) -> dict[str, object]:
    """What a store makes of it."""
    found: dict[str, object] = json.loads(EffectCompleted(key="turn/0", result=result).model_dump_json())["result"]
    return found


class Thinker(Scripted):
    """Streams, thinks, then answers; says what its model took."""

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        used = RequestUsage(prompt_tokens=10, completion_tokens=5)
        yield ModelClientStreamingChunkEvent(content="hm", source=self.name)
        yield ThoughtEvent(content="hm", source=self.name, models_usage=used)
        yield Response(chat_message=TextMessage(content="well", source=self.name, models_usage=used))


class Silent(Scripted):
    """Yields no response."""

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        yield ThoughtEvent(content="...", source=self.name)


async def test_the_whole_turn_is_one_effect(conversation: FakeConversation) -> None:
    in_turn(conversation)
    assert (await turn(adopt(Scripted("a"))))[-1].to_text() == "a 1"
    assert list(conversation.effects) == ["turn/0"]


async def test_a_recorded_turn_is_served_with_all_that_came_of_it(conversation: FakeConversation) -> None:
    in_turn(conversation)
    lived = await turn(adopt(Thinker("a")))
    in_turn(FakeConversation({"turn/0": as_json(conversation.results["turn/0"])}))
    again = Thinker("a")
    replayed = await turn(adopt(again))
    assert replayed == [item for item in lived if not isinstance(item, ModelClientStreamingChunkEvent)]
    assert again.spoken == again.saved == 0


async def test_what_it_streams_is_shown_and_what_it_spent_is_counted(conversation: FakeConversation) -> None:
    in_turn(conversation)
    heard = await turn(adopt(Thinker("a")))
    assert [type(item).__name__ for item in heard] == ["ModelClientStreamingChunkEvent", "ThoughtEvent", "TextMessage"]
    cost = conversation.effects["turn/0"].spent(conversation.results["turn/0"])
    assert (cost.input_tokens, cost.output_tokens, cost.usd) == (20, 10, None)


async def test_an_agent_that_asks_no_model_costs_nothing(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await turn(adopt(Scripted("a")))
    cost = conversation.effects["turn/0"].spent(conversation.results["turn/0"])
    assert (cost.tokens, cost.usd) == (0, 0.0)


async def test_its_state_is_recorded_when_it_changed_and_only_then(conversation: FakeConversation) -> None:
    class Forgetful(Scripted):
        async def save_state(self) -> dict[str, object]:
            return {"always": "the same"}

    in_turn(conversation)
    await turn(adopt(Forgetful("a")))
    assert conversation.results["turn/0"].state is None
    await turn(adopt(Scripted("a")))
    assert conversation.results["turn/1"].state == {"spoken": 1, "told": ["user: hello"]}


async def test_a_state_that_lives_on_in_the_agent_is_recorded_as_it_was_then(conversation: FakeConversation) -> None:
    in_turn(conversation)
    seat = adopt(Scripted("a"))
    await turn(seat)
    await turn(seat)
    assert conversation.results["turn/0"].state == {"spoken": 1, "told": ["user: hello"]}


async def test_an_attempt_that_failed_leaves_no_trace_in_the_next() -> None:
    def second_fails(number: int, messages: object) -> str:
        if number == 1 and not agent.loaded:
            raise ConnectionError("down")
        return f"spoke {number}"

    agent = Scripted("a", second_fails)
    seat = adopt(agent)
    mark = seat.mark()
    in_turn(FakeConversation())
    with pytest.raises(ConnectionError):
        await turn(seat)
    assert agent.told == ["user: hello"]
    seat.rollback(mark)
    in_turn(FakeConversation())
    await turn(seat)
    assert agent.told == ["user: hello"]
    assert agent.spoken == 1


async def test_a_state_is_loaded_only_when_the_agent_does_not_hold_it() -> None:
    agent = Scripted("a")
    seat = adopt(agent)
    in_turn(FakeConversation())
    for _ in range(3):
        await turn(seat)
    assert agent.loaded == 0


async def test_a_new_process_gives_the_agent_its_state_back(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await turn(adopt(Scripted("a")))
    agent = Scripted("a")
    seat = adopt(agent)
    seat.restore_state(as_json(conversation.results["turn/0"]))
    assert (await turn(seat))[-1].to_text() == "a 2"
    assert agent.loaded == 1


async def test_an_agent_whose_turn_was_served_gets_the_state_it_would_have(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await turn(adopt(Scripted("a")))
    in_turn(FakeConversation({"turn/0": as_json(conversation.results["turn/0"])}))
    agent = Scripted("a")
    seat = adopt(agent)
    await turn(seat)
    assert (await turn(seat))[-1].to_text() == "a 2"
    assert agent.told == ["user: hello", "user: hello"]


async def test_an_agent_without_any_state_is_never_asked_for_it(conversation: FakeConversation) -> None:
    class Stateless(BaseChatAgent):
        produced_message_types = (TextMessage,)

        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            return Response(chat_message=TextMessage(content="x", source=self.name))

        async def on_reset(self, cancellation_token: CancellationToken) -> None:
            pass

    in_turn(conversation)
    seat = adopt(Stateless("a", "has nothing to remember"))
    mark = seat.mark()
    await turn(seat)
    seat.rollback(mark)
    await turn(seat)
    assert not seat.keeps_state
    assert {result.state for result in conversation.results.values()} == {None}


async def test_an_agent_without_a_response_is_a_failure(conversation: FakeConversation) -> None:
    in_turn(conversation)
    with pytest.raises(RuntimeError, match="a gave no response"):
        await turn(adopt(Silent("a")))


async def test_an_agent_that_answers_with_a_thought_is_a_failure(conversation: FakeConversation) -> None:
    class Odd(Scripted):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            return Response(chat_message=ThoughtEvent(content="x", source="a"))  # type: ignore[arg-type]

    in_turn(conversation)
    with pytest.raises(RuntimeError, match="a answered with a ThoughtEvent"):
        await turn(adopt(Odd("a")))


async def test_a_state_that_is_no_data_is_a_failure_of_its_agent(conversation: FakeConversation) -> None:
    class Odd(Scripted):
        async def save_state(self) -> dict[str, object]:
            return {"lock": object()}

    in_turn(conversation)
    with pytest.raises(ValueError, match="Unable to serialize unknown type"):
        await turn(adopt(Odd("a")))


async def test_an_agent_that_is_not_copied_is_held_by_one_seat_at_a_time() -> None:
    agent = Scripted("a")
    one, other = adopt(agent), adopt(agent)
    assert one.take()
    assert one.take()
    assert not other.take()
    await other.shut()
    assert not other.take()
    await one.shut()
    assert other.take()


def test_a_seat_that_is_gone_holds_nobody() -> None:
    agent = Scripted("a")
    assert adopt(agent).take()
    gc.collect()
    assert adopt(agent).take()


def test_an_agent_that_is_copied_may_sit_at_any_number_of_tables() -> None:
    agent = AssistantAgent("a", Counting())
    assert all(seat.take() for seat in [adopt(agent), adopt(agent)])


class Closing(Counting):
    """Remembers that it was closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("made", [True, False])
async def test_the_client_that_was_made_for_a_seat_is_closed_with_it_and_the_users_own_is_not(made: bool) -> None:
    client = Closing()
    seat = adopt(AssistantAgent("a", client), Model(client, "a test's", "real", made=made))
    await seat.shut()
    assert client.closed == made


async def test_a_workplace_that_cannot_be_shut_keeps_no_client_open() -> None:
    class Stuck:
        def open(self, workplace: Workplace) -> None:
            pass

        async def shut(self) -> None:
            raise ConnectionError("the engine is gone")

    client = Closing()
    seat = Seat("a", Scripted("a"), works=Stuck(), made_client=client)
    with pytest.raises(ConnectionError, match="the engine is gone"):
        await seat.shut()
    assert client.closed == 1
