"""The one seam with AutoGen's agents."""

from collections.abc import AsyncGenerator, Sequence

from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.base import Handoff, Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StructuredMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.model_context import BufferedChatCompletionContext, ChatCompletionContext
from autogen_core.models import LLMMessage
from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench, ToolOverride
from pydantic import BaseModel

from moot.agents.adopt import adopt
from moot.agents.context import JournalContext
from moot.agents.executor import Executor, ExecutorAgent
from moot.agents.journalled_client import JournalledClient
from moot.agents.people import ask_approval
from moot.agents.seat import Inner
from moot.agents.seen import tool_names
from tests.fakes import Counting, FakeConversation, Scripted, Words, call, in_turn
from tests.fakes import OpenAIChatCompletionClient as Priced


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


async def look(item: str) -> str:
    """A tool."""
    return item


def asking(name: str, *tools: object, **more: object) -> AssistantAgent:
    return AssistantAgent(name, Counting(), tools=[look, *tools], **more)  # type: ignore[arg-type,list-item]


class Notified(Handoff):
    """A hand-off with code of its own."""

    @property
    def handoff_tool(self) -> BaseTool[BaseModel, BaseModel]:
        return FunctionTool(look, "hands over", name=self.name)


def test_every_name_by_which_a_tool_call_can_be_named_is_known() -> None:
    team = TeamTool(RoundRobinGroupChat([asking("inside")], max_turns=1), "crew", "a team")
    agent = asking("a", AgentTool(asking("helper", handoffs=[Notified(target="x")])), team, handoffs=["b"])
    assert tool_names(agent) == frozenset({"look", "helper", "transfer_to_x", "crew"})
    renamed = StaticWorkbench([FunctionTool(look, "")], {"look": ToolOverride(name="find")})
    assert tool_names(AssistantAgent("a", Counting(), workbench=renamed)) == frozenset({"look", "find"})


def test_the_tools_of_a_server_are_not_known_before_it_is_asked_and_no_policy_reaches_inside_one_effect() -> None:
    class Server(StaticWorkbench):
        pass

    far = AssistantAgent("far", Counting(), workbench=Server([]))
    assert tool_names(far) is None
    assert tool_names(asking("a", AgentTool(far))) is None
    for agent in (Scripted("a"), Loud("a", Counting(), tools=[look]), UserProxyAgent("u")):
        assert tool_names(agent) == frozenset()


class Typed(UserProxyAgent):
    """Asks in its own way."""

    async def _get_input(self, prompt: str, cancellation_token: CancellationToken | None) -> str:
        return "typed"


class Careful(CodeExecutorAgent):
    """Runs code in its own way."""

    async def execute_code_block(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        return CodeResult(1, "better not")


def test_who_asks_or_runs_code_in_its_own_way_is_one_effect() -> None:
    for agent in (Typed("u"), Careful("x", Nowhere(), approval_func=ask_approval)):
        seat = adopt(agent)
        assert (seat.agent, seat.state) == (agent, "")


async def test_agents_that_are_tools_have_contexts_of_their_own_recorded_with_the_outer_one() -> None:
    inner = asking("helper", AgentTool(asking("deep")))
    twice = [StaticWorkbench([AgentTool(inner)]), StaticWorkbench([AgentTool(inner)])]
    seat = adopt(AssistantAgent("a", Counting(), workbench=twice))
    assert list(seat.contexts) == ["", "helper/", "helper/deep/", "helper~/", "helper~/deep/"]


async def test_a_tool_that_is_an_agent_of_the_users_own_is_one_effect(conversation: FakeConversation) -> None:
    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("loud", {"task": "t"}, "h")] if number == 1 else "done"

    loud = Loud("loud", Counting())
    seat = adopt(AssistantAgent("a", Counting(answer), tools=[AgentTool(loud)], reflect_on_tool_use=True))
    in_turn(conversation)
    await seat.speak([TextMessage(content="go", source="user")], CancellationToken(), lambda _: None)
    assert list(conversation.results) == ["model/0", "tool/h", "model/1"]
    assert list(seat.contexts) == [""]


def test_the_model_of_each_agent_is_priced_by_its_own_client() -> None:
    seat = adopt(AssistantAgent("a", Counting(), tools=[AgentTool(AssistantAgent("h", Priced()))]))
    (bench,) = seat.agent._workbench  # type: ignore[attr-defined]
    inner = bench._tools[0]._agent
    assert seat.agent._model_client._price is None  # type: ignore[attr-defined]
    assert inner._model_client._price is not None


class Nowhere(CodeExecutor):
    """Runs nothing."""

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        raise NotImplementedError

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


def test_a_coder_has_its_client_and_context_journalled() -> None:
    seat = adopt(CodeExecutorAgent("x", Nowhere(), model_client=Counting(), approval_func=ask_approval))
    assert isinstance(seat.agent, CodeExecutorAgent)
    assert isinstance(seat.agent._model_client, JournalledClient)
    assert isinstance(seat.agent._model_context, JournalContext)
    assert seat.agent._approval_func is ask_approval
    assert (seat.model_name, seat.model_kind) == ("Counting", "real")
