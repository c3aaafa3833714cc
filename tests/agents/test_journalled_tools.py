"""A tool call is made once: under the same key every time, approved where that is asked for, and never a hang."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Handoff
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, StructuredMessage, TextMessage
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import FunctionExecutionResultMessage, LLMMessage, UserMessage
from autogen_core.tools import (
    BaseStreamTool,
    BaseTool,
    FunctionTool,
    StaticStreamWorkbench,
    StaticWorkbench,
    ToolOverride,
    ToolResult,
    ToolSchema,
    Workbench,
)
from pydantic import BaseModel

from moot.agents.adopt import adopt
from moot.agents.effects import Codec, Effect, effect, idempotency_key
from moot.agents.questions import Decision
from moot.agents.seat import Inner, Seat
from moot.agents.tool_policy import ToolPolicy
from moot.agents.written import Unwritable
from moot.termination.ledger import NOTHING
from tests.fakes import IN_DOUBT, Counting, FakeConversation, Words, call, in_turn

Wish = tuple[str, dict[str, Any], str]
INBOX = [TextMessage(content="go", source="user")]


class Shop:
    """Counts what is ordered."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.names: list[str] = []

    async def order(self, item: str) -> str:
        """Order something."""
        self.orders.append(item)
        self.names.append(idempotency_key())
        return f"ordered {item}"


def wishing(*wishes: Wish) -> Counting:
    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call(*wish) for wish in wishes] if isinstance(messages[-1], UserMessage) else "done"

    return Counting(answer)


def ordering(shop: Shop, *wishes: Wish, **more: Any) -> AssistantAgent:
    wanted = wishes or (("order", {"item": "tea"}, "c1"),)
    return AssistantAgent("a", wishing(*wanted), **({"tools": [shop.order]} | more))


async def speak(seat: Seat) -> BaseChatMessage:
    return await seat.speak(INBOX, CancellationToken(), lambda _: None)


async def stuck(seat: Seat, conversation: FakeConversation) -> None:
    """Take the turn, which does not end; it is over when this returns."""
    task = asyncio.ensure_future(speak(seat))
    waiting = asyncio.ensure_future(conversation.stuck.wait())
    done, _ = await asyncio.wait({task, waiting}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert done == {waiting}, "it hangs, and nobody was told" if not done else task
    for _ in range(20):  # its neighbours get to their ends
        await asyncio.sleep(0)
    conversation.closed = True
    for left in asyncio.all_tasks() - {asyncio.current_task()}:
        left.cancel()
        with suppress(asyncio.CancelledError):
            await left


def told(seat: Seat) -> str:
    """What the model was told of its tools."""
    (context,) = seat.contexts.values()
    results = [m for m in context._inner._messages if isinstance(m, FunctionExecutionResultMessage)]
    return " | ".join(result.content for message in results for result in message.content)


async def test_the_key_is_the_calls_own_id_however_often_it_comes_and_a_digest_where_there_is_none(
    conversation: FakeConversation,
) -> None:
    shop, wishes = Shop(), [("order", {"item": item}, ident) for item, ident in (("a", "1"), ("b", "1"), ("c", ""))]
    in_turn(conversation)
    await speak(adopt(ordering(shop, *wishes)))
    first, second, third = [key for key in conversation.results if key.startswith("tool/")]
    assert (first, second) == ("tool/1", "tool/1#1")
    assert len(third) == len("tool/") + 24
    assert shop.orders == ["a", "b", "c"]


async def test_a_tool_can_name_its_call_to_the_other_side_in_a_thread_too(conversation: FakeConversation) -> None:
    shop, names = Shop(), list[str]()

    def blocking(item: str) -> str:
        """Runs in a thread."""
        names.append(idempotency_key())
        return item

    wishes = ("order", {"item": "a"}, "1"), ("blocking", {"item": "b"}, "2")
    in_turn(conversation)
    seat = adopt(ordering(shop, *wishes, tools=[shop.order, blocking]))
    await speak(seat)
    assert (shop.names, names) == (["run/1/tool/1"], ["run/1/tool/2"])
    assert told(seat) == "ordered a | b"
    assert idempotency_key() == ""


async def test_a_recorded_call_is_served_to_the_same_arguments_alone(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await speak(adopt(ordering(Shop())))
    one = conversation.effects["tool/c1"].digest
    in_turn(other := FakeConversation())
    await speak(adopt(ordering(Shop(), ("order", {"item": "coffee"}, "c1"))))
    assert other.effects["tool/c1"].digest != one


async def test_approval_is_asked_for_before_anything_else_and_a_neighbour_works_on() -> None:
    shop, far = Shop(), Shop()
    tools = [FunctionTool(shop.order, "", name="order"), FunctionTool(far.order, "", name="look")]
    wishes = ("order", {"item": "a"}, "1"), ("look", {"item": "b"}, "2")
    in_turn(conversation := FakeConversation())
    await stuck(adopt(ordering(shop, *wishes, tools=tools), tools=APPROVE), conversation)
    (key, question), *none = conversation.questions.items()
    assert (key, question.kind, none) == ("ask-tool/1", "tool", [])
    assert question.payload == {"tool": "order", "arguments": {"item": "a"}}
    assert question.allow == ("approve", "edit", "reject", "respond")
    assert (shop.orders, far.orders) == ([], ["b"])
    assert "tool/1" not in conversation.effects


APPROVE = ToolPolicy(approve=frozenset({"order"}))


@pytest.mark.parametrize(
    ("decision", "orders", "words"),
    [
        (Decision("approve"), ["tea"], "ordered tea"),
        (Decision("reject", "too dear", "ann"), [], "This call was not made: rejected by ann: too dear"),
        (Decision("respond", "we have tea"), [], "This call was not made. a person answers: we have tea"),
    ],
)
async def test_what_a_person_decides_is_done_and_told(decision: Decision, orders: list[str], words: str) -> None:
    shop, conversation = Shop(), FakeConversation(decisions={"ask-tool/c1": decision})
    in_turn(conversation)
    seat = adopt(ordering(shop), tools=APPROVE)
    await speak(seat)
    assert (shop.orders, told(seat)) == (orders, words)


async def test_a_tool_is_approved_by_the_name_that_the_model_knows_it_by_and_by_its_own() -> None:
    for named in ("order", "buy"):
        shop = Shop()
        tools: list[BaseTool[Any, Any]] = [FunctionTool(shop.order, "", name="order")]
        bench = StaticStreamWorkbench(tools, {"order": ToolOverride(name="buy")})
        agent = ordering(shop, ("buy", {"item": "a"}, "1"), tools=None, workbench=bench)
        in_turn(conversation := FakeConversation())
        await stuck(adopt(agent, tools=ToolPolicy(approve=frozenset({named}))), conversation)
        assert (list(conversation.questions), shop.orders) == (["ask-tool/1"], [])


async def test_an_agents_tool_may_be_approved_and_the_agent_itself() -> None:
    shop = Shop()
    inner = AssistantAgent("helper", wishing(("order", {"item": "a"}, "i")), tools=[shop.order])
    wish = ("helper", {"task": "t"}, "h")
    for named, key in (("order", "tool/h/ask-tool/i"), ("helper", "ask-tool/h")):
        in_turn(conversation := FakeConversation())
        seat = adopt(ordering(shop, wish, tools=[AgentTool(inner)]), tools=ToolPolicy(approve=frozenset({named})))
        await stuck(seat, conversation)
        assert (list(conversation.questions), shop.orders) == ([key], [])


async def test_a_call_in_doubt_is_made_again_unless_it_has_side_effects() -> None:
    for policy, orders in ((ToolPolicy(), ["tea"]), (ToolPolicy(side_effects=frozenset({"order"})), [])):
        shop, conversation = Shop(), FakeConversation({"tool/c1": IN_DOUBT})
        conversation.decisions["tool/c1?"] = Decision("respond", "it came", "ann")
        in_turn(conversation)
        seat = adopt(ordering(shop), tools=policy)
        await speak(seat)
        assert shop.orders == orders
        unsure = "This call may have been made, and is not repeated. ann answers: it came"
        assert told(seat) == ("ordered tea" if orders else unsure)


async def test_the_other_side_is_asked_by_the_calls_name_and_arguments() -> None:
    asked: list[tuple[str, Mapping[str, object]]] = []
    found: list[str | None] = ["found tea", None]

    async def look(key: str, arguments: Mapping[str, object]) -> str | None:
        asked.append((key, arguments))
        return found.pop(0)

    for orders, words in (([], "found tea"), (["tea"], "ordered tea")):
        shop, conversation = Shop(), FakeConversation({"tool/c1": IN_DOUBT})
        in_turn(conversation)
        seat = adopt(ordering(shop), tools=ToolPolicy(lookup={"order": look}))
        await speak(seat)
        assert (shop.orders, told(seat)) == (orders, words)
    assert asked == [("run/1/tool/c1", {"item": "tea"})] * 2


class Broken(Workbench):
    """A workbench whose server is down."""

    def __init__(self, *, lists: int = 10, error: BaseException | None = None) -> None:
        self._lists, self._error = lists, error or ConnectionError("the server is down")

    async def list_tools(self) -> list[ToolSchema]:
        self._lists -= 1
        if self._lists < 0:
            raise self._error
        return [{"name": "order", "description": ""}]

    async def call_tool(self, *_: object, **__: object) -> ToolResult:
        raise self._error

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def reset(self) -> None: ...

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


@pytest.mark.parametrize("lists", [1, 10], ids=["asked for its tools", "called"])
async def test_what_is_raised_past_a_workbench_ends_the_attempt_instead_of_hanging(lists: int) -> None:
    in_turn(conversation := FakeConversation())
    await stuck(adopt(ordering(Shop(), tools=None, workbench=Broken(lists=lists))), conversation)
    assert isinstance(conversation.failure, ConnectionError)
    assert str(conversation.failure) == "the server is down"
    assert conversation.outside == 2  # asking a workbench for its tools is no effect


async def test_a_tool_that_cancels_itself_ends_the_attempt_instead_of_hanging() -> None:
    async def order(item: str) -> str:
        raise asyncio.CancelledError

    for more in ({"tools": [order]}, {"tools": None, "workbench": Broken(error=asyncio.CancelledError())}):
        in_turn(conversation := FakeConversation())
        await stuck(adopt(ordering(Shop(), **more)), conversation)
        assert isinstance(conversation.failure, RuntimeError)
        assert str(conversation.failure) == "the tool 'order' cancelled itself"


class Said(BaseModel):
    data: bytes


class Item(BaseModel):
    item: str


class Raw(BaseStreamTool[Item, BaseAgentEvent | BaseChatMessage, Item]):
    """Says something that is no JSON."""

    def __init__(self) -> None:
        super().__init__(Item, Item, "order", "")

    async def run(self, args: Item, cancellation_token: CancellationToken) -> Item:
        return args

    async def run_stream(
        self, args: Item, cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Item, None]:
        yield StructuredMessage[Said](content=Said(data=b"\xff"), source="tool")
        yield args


async def test_what_a_tool_says_that_cannot_be_written_down_ends_the_attempt_with_a_reason() -> None:
    in_turn(conversation := FakeConversation())
    await stuck(adopt(ordering(Shop(), tools=[Raw()])), conversation)
    assert isinstance(conversation.failure, Unwritable)
    assert str(conversation.failure).startswith(
        "the tool 'order' said a StructuredMessage[Said] that cannot be written down as JSON: "
    )


class Odd(BaseStreamTool[Item, BaseAgentEvent | BaseChatMessage, Item]):
    """Says something of a kind that nobody told of."""

    def __init__(self) -> None:
        super().__init__(Item, Item, "order", "")

    async def run(self, args: Item, cancellation_token: CancellationToken) -> Item:
        return args

    async def run_stream(
        self, args: Item, cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Item, None]:
        yield StructuredMessage[Item](content=args, source="tool")
        yield TextMessage(content="well", source="tool")
        yield args


async def test_what_cannot_be_read_back_is_left_out_and_fails_nobody(conversation: FakeConversation) -> None:
    def kinds(heard: list[Inner]) -> list[str]:
        return [type(item).__name__ for item in heard if item.source == "tool"]

    lived: list[Inner] = []
    again: list[Inner] = []
    in_turn(conversation)
    await adopt(ordering(Shop(), tools=[Odd()])).speak(INBOX, CancellationToken(), lived.append)
    in_turn(FakeConversation(conversation.journalled()))
    await adopt(ordering(Shop(), tools=[Odd()])).speak(INBOX, CancellationToken(), again.append)
    assert kinds(lived) == ["StructuredMessage[Item]", "TextMessage"]
    assert kinds(again) == ["TextMessage"]


async def test_half_a_character_in_a_result_breaks_no_later_request(conversation: FakeConversation) -> None:
    async def order(item: str) -> str:
        return "tea \ud83d!"

    in_turn(conversation)
    seat = adopt(ordering(Shop(), tools=[order]))
    await speak(seat)
    assert told(seat) == "tea \ufffd!"


async def test_a_result_that_is_no_json_is_told_as_the_text_that_autogen_makes_of_it(
    conversation: FakeConversation,
) -> None:
    async def order(item: str) -> object:
        return {item: b"\xff", "nan": float("nan")}

    in_turn(conversation)
    seat = adopt(ordering(Shop(), tools=[order]))
    await speak(seat)
    assert told(seat) == r"{'tea': b'\xff', 'nan': nan}"
    in_turn(again := FakeConversation(conversation.journalled()))
    second = adopt(ordering(Shop(), tools=[order]))
    await speak(second)
    assert (told(second), again.results) == (told(seat), {})


class Notified(Handoff):
    """A hand-off with code of its own."""

    @property
    def handoff_tool(self) -> BaseTool[BaseModel, BaseModel]:
        async def hand_over(item: str) -> str:
            HANDED.append(item)
            if item == "break":
                raise ValueError("cannot")
            return f"over with {item}"

        return FunctionTool(hand_over, "hands over", name=self.name)


HANDED: list[str] = []


async def test_a_hand_off_with_code_of_its_own_is_made_once(conversation: FakeConversation) -> None:
    def agent() -> AssistantAgent:
        wish = ("transfer_to_b", {"item": "x"}, "h")
        return AssistantAgent("a", wishing(wish), handoffs=[Notified(target="b")])

    HANDED.clear()
    in_turn(conversation)
    said = await speak(adopt(agent()))
    in_turn(FakeConversation(conversation.journalled()))
    again = await speak(adopt(agent()))
    assert said.to_text() == again.to_text() == "over with x"
    assert HANDED == ["x"]
    assert list(conversation.results) == ["model/0", "tool/h"]


async def test_a_hand_off_that_fails_ends_the_attempt_instead_of_hanging(conversation: FakeConversation) -> None:
    wish = ("transfer_to_b", {"item": "break"}, "h")
    in_turn(conversation)
    await stuck(adopt(AssistantAgent("a", wishing(wish), handoffs=[Notified(target="b")])), conversation)
    assert str(conversation.failure) == "cannot"


async def test_autogens_own_hand_off_is_no_effect(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await speak(adopt(AssistantAgent("a", wishing(("transfer_to_b", {}, "h")), handoffs=["b"])))
    assert list(conversation.results) == ["model/0"]


async def test_the_tools_of_a_workbench_that_always_has_the_same_are_listed_once(
    conversation: FakeConversation,
) -> None:
    in_turn(conversation)
    seat = adopt(ordering(Shop()))
    (bench,) = seat.agent._workbench  # type: ignore[attr-defined]
    first = await bench.list_tools()
    await speak(seat)
    assert await bench.list_tools() is first


async def test_what_a_tool_does_that_is_an_effect_itself_has_a_place_below_the_call(
    conversation: FakeConversation,
) -> None:
    async def order(item: str) -> str:
        async def perform() -> str:
            return item

        return await effect(Effect("mail", "", Codec(str, str), NOTHING, lambda _: NOTHING), perform)

    in_turn(conversation)
    await speak(adopt(ordering(Shop(), tools=[order])))
    assert list(conversation.effects) == ["model/0", "tool/c1", "tool/c1/mail/0"]


async def test_everything_else_is_the_workbenchs_own() -> None:
    class Plain(StaticWorkbench):
        done: ClassVar[list[str]] = []

        async def start(self) -> None:
            self.done.append("start")

        async def stop(self) -> None:
            self.done.append("stop")

        async def reset(self) -> None:
            self.done.append("reset")

        async def save_state(self) -> Mapping[str, Any]:
            return {"done": len(self.done)}

        async def load_state(self, state: Mapping[str, Any]) -> None:
            self.done.append(f"load {state}")

    seat = adopt(ordering(Shop(), tools=None, workbench=Plain([FunctionTool(Shop().order, "", name="order")])))
    (bench,) = seat.agent._workbench  # type: ignore[attr-defined]
    async with bench:
        await bench.reset()
        await bench.load_state(await bench.save_state())
        assert (await bench.call_tool("order", {"item": "a"})).to_text() == "ordered a"
    assert Plain.done == ["start", "reset", "load {'done': 2}", "stop"]


async def test_outside_a_run_the_twin_is_what_it_stands_for() -> None:
    shop = Shop()
    seat = adopt(ordering(shop), tools=APPROVE)
    (bench,) = seat.agent._workbench  # type: ignore[attr-defined]
    assert isinstance(bench, StaticStreamWorkbench)
    assert (await bench.call_tool("order", {"item": "a"})).to_text() == "ordered a"
    assert [r.to_text() async for r in bench.call_tool_stream("order", {"item": "b"})] == ["ordered b"]
    assert shop.orders == ["a", "b"]


def test_a_text_is_no_set_of_names() -> None:
    with pytest.raises(ValueError, match=r"approve takes the names of tools, such as {'deploy'}; got a text"):
        ToolPolicy(approve="deploy")  # type: ignore[arg-type]
    assert ToolPolicy(approve=["deploy"]).named == {"deploy"}  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", ["null", "[1]", '"x"', "3", "{}", '{"reason": "x"}'])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_hand_off_is_made_whatever_the_model_gives_for_its_arguments(arguments: str, stream: bool) -> None:
    in_turn(conversation := FakeConversation())
    model = Counting(lambda *_: [FunctionCall("h", arguments, "transfer_to_b")])
    agent = AssistantAgent("a", model, handoffs=["b"], model_client_stream=stream)
    reply = await asyncio.wait_for(speak(adopt(agent)), 10)
    assert isinstance(reply, HandoffMessage)
    assert reply.target == "b"
    assert list(conversation.effects) == ["model/0"]


@pytest.mark.parametrize(
    "arguments", ['{"item": ' + "[" * 3000 + "]" * 3000 + "}", '{"item": ' + "9" * 5000 + "}"], ids=["deep", "huge"]
)
async def test_a_model_is_told_of_arguments_that_nobody_can_read(arguments: str) -> None:
    in_turn(FakeConversation())
    shop = Shop()
    wish: Words = [FunctionCall("c1", arguments, "order")]
    model = Counting(lambda messages, _: wish if isinstance(messages[-1], UserMessage) else "done")
    agent = AssistantAgent("a", model, tools=[shop.order], reflect_on_tool_use=True)
    reply = await asyncio.wait_for(speak(adopt(agent)), 10)
    assert reply.to_text() == "done"
    told = model.requests[1][-1]
    assert isinstance(told, FunctionExecutionResultMessage)
    assert told.content[0].is_error
    assert shop.orders == []
