"""A model client whose calls are effects."""

from collections.abc import Sequence
from typing import Any

import pytest
from autogen_core.models import CreateResult, FinishReasons, LLMMessage, UserMessage

from moot.agents.effects import SCOPE
from moot.agents.errors import ModelFault
from moot.agents.journalled_client import JournalledClient
from moot.agents.prices import Price
from tests.fakes import Counting, FakeConversation, call, in_turn

HELLO: list[LLMMessage] = [UserMessage(content="hello", source="user")]


async def test_outside_a_run_calls_go_straight_through() -> None:
    model = Counting()
    assert SCOPE.get() is None
    assert (await JournalledClient(model, None).create(HELLO)).content == "reply to 1: hello"
    assert [item async for item in JournalledClient(model, None).create_stream(HELLO)][-1]
    assert len(model.requests) == 2


async def test_a_call_is_an_effect_with_the_worst_case_reserved(conversation: FakeConversation) -> None:
    in_turn(conversation)
    await JournalledClient(Counting(), Price(3.0, 6.0, "a test")).create(HELLO)
    request = conversation.effects["model/0"]
    assert request.kind == "model"
    assert request.reserve.output_tokens == 100
    assert 0 < request.reserve.input_tokens < 100
    assert request.reserve.usd is not None
    assert request.reserve.usd > 0


async def test_the_callers_own_max_tokens_bound_the_worst_case(conversation: FakeConversation) -> None:
    in_turn(conversation)
    client = JournalledClient(Counting(), None)
    await client.create(HELLO, extra_create_args={"max_tokens": 7})
    await client.create(HELLO, extra_create_args={"max_completion_tokens": 8})
    reserved = [effect.reserve.output_tokens for effect in conversation.effects.values()]
    assert reserved == [7, 8]


async def test_what_was_spent_is_what_the_model_says(conversation: FakeConversation) -> None:
    in_turn(conversation)
    result = await JournalledClient(Counting(usage=(11, 7)), None).create(HELLO)
    cost = conversation.effects["model/0"].spent(result)
    assert (cost.input_tokens, cost.output_tokens, cost.usd) == (11, 7, None)


async def test_where_a_model_tells_no_usage_what_was_reserved_is_spent_and_that_is_said_once(
    conversation: FakeConversation,
) -> None:
    in_turn(conversation)
    client = JournalledClient(Counting(usage=(0, 0)), Price(3.0, 6.0, "a test"))
    await client.create(HELLO)
    result = await client.create(HELLO)
    for effect in conversation.effects.values():
        assert effect.spent(result) == effect.reserve
        assert effect.reserve.usd
    ((kind, said),) = conversation.notes
    assert kind == "warning"
    assert "does not say how many tokens" in str(said["text"])


async def test_a_scripted_model_and_a_cache_may_take_nothing(conversation: FakeConversation) -> None:
    class Free(Counting):
        model_kind = "scripted"

    class Cached(Counting):
        async def create(self, messages: Sequence[LLMMessage], **options: object) -> CreateResult:
            return (await super().create(messages, **options)).model_copy(update={"cached": True})

    in_turn(conversation)
    for model in (Free(usage=(0, 0)), Cached(usage=(0, 0))):
        result = await JournalledClient(model, None).create(HELLO)
        assert [effect.spent(result).tokens for effect in conversation.effects.values()][-1] == 0
    assert conversation.notes == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_recorded_answer_is_served_without_a_call(stream: bool) -> None:
    first = FakeConversation()
    in_turn(first)
    model = Counting()
    await JournalledClient(model, None).create(HELLO)
    recorded = {key: effect_result(result) for key, result in first.results.items()}
    in_turn(FakeConversation(recorded))
    again = Counting()
    client = JournalledClient(again, None)
    if stream:
        *chunks, last = [item async for item in client.create_stream(HELLO)]
        assert chunks == ["reply to 1: hello"]
        assert isinstance(last, CreateResult)
    else:
        last = await client.create(HELLO)
    assert last.content == "reply to 1: hello"
    assert again.requests == []


def effect_result(result: CreateResult) -> object:
    return result.model_dump(mode="json")


async def test_a_stream_gives_its_pieces_and_at_last_the_result(conversation: FakeConversation) -> None:
    in_turn(conversation)
    *chunks, result = [item async for item in JournalledClient(Counting(), None).create_stream(HELLO)]
    assert chunks == ["reply ", "to ", "1: ", "hello "]
    assert isinstance(result, CreateResult)
    assert list(conversation.effects) == ["model/0"]


async def test_a_stream_that_ends_without_a_result_is_a_failure(conversation: FakeConversation) -> None:
    class Broken(Counting):
        async def create_stream(self, messages, **options):  # type: ignore[no-untyped-def]
            yield "half a sen"

    in_turn(conversation)
    with pytest.raises(ModelFault, match="ended without a result"):
        async for _ in JournalledClient(Broken(), None).create_stream(HELLO):
            pass
    assert conversation.results == {}


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_model_raises_reaches_the_agent(conversation: FakeConversation, stream: bool) -> None:
    def down(messages: object, number: int) -> str:
        raise ConnectionError("provider is down")

    in_turn(conversation)
    client = JournalledClient(Counting(down), None)
    asked = _last(client) if stream else client.create(HELLO)
    with pytest.raises(ConnectionError, match="provider is down"):
        await asked


async def _last(client: JournalledClient) -> object:
    return [item async for item in client.create_stream(HELLO)][-1]


@pytest.mark.parametrize(("said", "sent"), [("half \ud83d", "half \ufffd"), ("\ud83d\ude00", "\U0001f600"), ("ü", "ü")])
async def test_half_a_character_in_a_reply_is_mended_before_anybody_hears_it(said: str, sent: str) -> None:
    result = await JournalledClient(Counting(lambda m, n: said), None).create(HELLO)
    in_turn(FakeConversation())
    journalled = await JournalledClient(Counting(lambda m, n: said), None).create(HELLO)
    assert result.content == journalled.content == sent


async def test_everything_but_calls_is_the_wrapped_clients_own() -> None:
    model = Counting()
    client = JournalledClient(model, None)
    assert client.model_info == model.model_info
    assert client.remaining_tokens(HELLO) == model.remaining_tokens(HELLO)
    assert client.count_tokens(HELLO) == 0
    assert client.total_usage() == model.total_usage() == client.actual_usage()
    await client.close()


@pytest.mark.parametrize("usage", [(-5, 3), (3, -5), (10**30, 1), (1.5, 2.5), (float("nan"), 1), (None, None)])
async def test_a_usage_that_cannot_be_is_no_usage(conversation: FakeConversation, usage: tuple[Any, Any]) -> None:
    in_turn(conversation)
    client = JournalledClient(Counting(usage=usage), None)
    result = await client.create(HELLO)
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (0, 0)
    (effect,) = conversation.effects.values()
    assert effect.spent(result) == effect.reserve


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    ("reason", "how"),
    [("length", "reached its length limit"), ("content_filter", "was held back by the provider's filter")],
)
async def test_calls_of_a_reply_that_did_not_come_to_its_end_are_not_made(
    conversation: FakeConversation, reason: FinishReasons, how: str, streams: bool
) -> None:
    in_turn(conversation)
    client = JournalledClient(CutShort(reason), None)
    with pytest.raises(ModelFault, match=f"{how} among its tool calls: they are not made"):
        await (_final(client) if streams else client.create(HELLO))
    assert conversation.results == {}


class CutShort(Counting):
    """A model whose replies all end too early."""

    def __init__(self, reason: FinishReasons) -> None:
        super().__init__(lambda messages, number: [call("pay", {}, "c1")])
        self._reason = reason

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        return (await super().create(messages, **options)).model_copy(update={"finish_reason": self._reason})


async def _final(client: JournalledClient) -> str | CreateResult:
    return [item async for item in client.create_stream(HELLO)][-1]
