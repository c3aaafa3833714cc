"""The one seam with AutoGen's agents."""

from collections.abc import AsyncGenerator, Sequence

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StructuredMessage, TextMessage
from autogen_core import CancellationToken
from autogen_core.model_context import BufferedChatCompletionContext, ChatCompletionContext
from autogen_core.models import LLMMessage
from pydantic import BaseModel

from moot.agents.adopt import adopt
from moot.agents.context import JournalContext
from moot.agents.executor import Executor, ExecutorAgent
from moot.agents.journalled_client import JournalledClient
from moot.agents.written import Inner
from tests.fakes import Counting, FakeConversation, Scripted, in_turn


class Answer(BaseModel):
    number: int


class Loud(AssistantAgent):
    """Overrides how it speaks: what it does inside cannot be seen."""

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        async for item in super().on_messages_stream(messages, cancellation_token):
            yield item


class Quiet(AssistantAgent):
    """Overrides nothing that matters."""

    extra = 1


class OwnContext(ChatCompletionContext):
    """Keeps its messages where nobody can find them."""

    def __init__(self) -> None:
        super().__init__()
        self._mine: list[LLMMessage] = []

    async def add_message(self, message: LLMMessage) -> None:
        self._mine.append(message)

    async def get_messages(self) -> list[LLMMessage]:
        return list(self._mine)


async def test_the_users_agent_is_never_touched(conversation: FakeConversation) -> None:
    model = Counting()
    agent = AssistantAgent("a", model, model_context=BufferedChatCompletionContext(5))
    seat = adopt(agent)
    in_turn(conversation)
    heard: list[Inner] = []
    await seat.speak([TextMessage(content="hello", source="user")], CancellationToken(), heard.append)
    assert len(model.requests) == 1
    assert agent._model_client is model
    assert await agent._model_context.get_messages() == []


async def test_two_seats_of_one_agent_share_nothing_they_say() -> None:
    agent = AssistantAgent("a", Counting())
    one, other = adopt(agent), adopt(agent)
    in_turn(FakeConversation())
    heard: list[Inner] = []
    await one.speak([TextMessage(content="hello", source="user")], CancellationToken(), heard.append)
    assert await other.contexts[""].get_messages() == []


async def test_what_the_agent_knew_before_goes_with_it() -> None:
    agent = AssistantAgent("a", Counting())
    await agent.on_messages([TextMessage(content="earlier", source="user")], CancellationToken())
    assert len(await adopt(agent).contexts[""].get_messages()) == 2


def test_an_assistant_agent_has_its_client_and_context_journalled() -> None:
    seat = adopt(Quiet("a", Counting()))
    assert seat.state is None
    assert isinstance(seat.agent, Quiet)
    assert isinstance(seat.agent._model_client, JournalledClient)
    assert isinstance(seat.agent._model_context, JournalContext)
    assert (seat.model_name, seat.model_kind) == ("Counting", "real")


def test_an_agent_that_speaks_in_its_own_way_keeps_its_inside_to_itself() -> None:
    for agent in (Loud("a", Counting()), Scripted("a"), AssistantAgent("a", Counting(), model_context=OwnContext())):
        seat = adopt(agent)
        assert seat.agent is agent
        assert seat.state == ""
        assert seat.contexts == {}


def test_messages_of_the_agents_own_types_can_be_read_back() -> None:
    assistant = adopt(AssistantAgent("a", Counting(), output_content_type=Answer))
    loud = adopt(Loud("a", Counting(), output_content_type=Answer))
    said = StructuredMessage[Answer](content=Answer(number=4), source="a")
    for seat in (assistant, loud):
        assert seat.messages.create(said.dump()) == said


def test_the_executor_has_a_place_to_work() -> None:
    agent = ExecutorAgent(Executor(name="e", sandbox=None))
    seat = adopt(agent)
    assert seat.works is agent
    assert seat.state is None
    assert seat.model_kind is None
