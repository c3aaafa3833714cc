"""A context that is recorded by what it gains, and the digest of a request that grows."""

from collections.abc import Sequence

import PIL.Image
import pytest
from autogen_agentchat.messages import MultiModalMessage, TextMessage
from autogen_core import FunctionCall, Image
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from pydantic import BaseModel

from moot.agents.context import CHARACTERS_PER_TOKEN, IMAGE_TOKENS, JournalContext, RollingDigest, hashed


def user(text: str) -> UserMessage:
    return UserMessage(content=text, source="user")


async def context_of(*texts: str, inner: ChatCompletionContext | None = None) -> JournalContext:
    context = JournalContext(inner or UnboundedChatCompletionContext(), "a")
    for text in texts:
        await context.add_message(user(text))
    return context


async def contents(context: JournalContext) -> list[object]:
    return [m.content for m in await context.get_messages()]


async def test_a_rollback_leaves_what_stood_before_the_mark() -> None:
    context = await context_of("one", "two")
    mark = context.mark()
    await context.add_message(user("three"))
    context.rollback(mark)
    assert await contents(context) == ["one", "two"]
    assert len(context.hashes) == 2


async def test_a_rollback_brings_back_what_an_attempt_had_cleared() -> None:
    context = await context_of("one", "two")
    mark = context.mark()
    await context.clear()
    await context.add_message(user("other"))
    context.rollback(mark)
    assert await contents(context) == ["one", "two"]


@pytest.mark.parametrize(
    ("inner", "seen"),
    [
        (BufferedChatCompletionContext(2), ["3", "4"]),
        (HeadAndTailChatCompletionContext(1, 1), ["1", "Skipped 2 messages.", "4"]),
        (UnboundedChatCompletionContext(), ["1", "2", "3", "4"]),
    ],
)
async def test_the_users_view_of_the_context_stays_the_users(inner: ChatCompletionContext, seen: list[str]) -> None:
    context = await context_of("1", "2", "3", "4", inner=inner)
    assert await contents(context) == seen
    assert await inner.get_messages() == []


async def test_what_a_turn_added_is_recorded_as_references_and_restored_as_it_was() -> None:
    inbox = [TextMessage(content="task", source="user"), TextMessage(content="aside", source="b")]
    result = CreateResult(
        finish_reason="stop", content="my words", usage=RequestUsage(1, 1), cached=False, thought="hm"
    )
    context = await context_of("before")
    mark = context.mark()
    for message in inbox:
        await context.add_message(message.to_model_message())
    call = FunctionCall(id="1", name="f", arguments="{}")
    await context.add_message(AssistantMessage(content=[call], source="a"))
    done = FunctionExecutionResult(content="4", name="f", call_id="1", is_error=False)
    await context.add_message(FunctionExecutionResultMessage(content=[done]))
    await context.add_message(AssistantMessage(content=result.content, source="a", thought="hm"))

    added = context.added(mark, inbox, {id(result.content): "model/0"})
    assert [type(item) for item in added] == [int, int, dict, dict, str]
    again = await context_of("before")
    await again.restore(added, inbox, {"model/0": result.model_dump(mode="json")})
    assert await again.get_messages() == await context.get_messages()


async def test_messages_that_are_no_plain_words_are_restored_too() -> None:
    inbox = [MultiModalMessage(content=["look", "here"], source="b")]
    context = await context_of()
    mark = context.mark()
    await context.add_message(inbox[0].to_model_message())
    again = await context_of()
    await again.restore(context.added(mark, inbox, {}), inbox, {})
    assert await again.get_messages() == await context.get_messages()


async def test_each_message_is_hashed_once_however_often_the_request_grows() -> None:
    dumped = 0

    class Dear(UserMessage):
        def model_dump_json(self, **options: object) -> str:
            nonlocal dumped
            dumped += 1
            return super().model_dump_json(**options)  # type: ignore[arg-type]

    context = await context_of()
    digest = RollingDigest(context)
    system = SystemMessage(content="be kind")
    for number in range(300):
        await context.add_message(Dear(content=f"message {number}", source="user"))
        digest.of([system, *await context.get_messages()], [], ())
    assert dumped == 300


async def digest_of(messages: Sequence[LLMMessage], options: tuple[object, ...] = ()) -> str:
    return RollingDigest(None).of(messages, [], options)[0]


async def test_a_digest_is_the_same_however_the_request_came_to_be() -> None:
    context = await context_of()
    rolling = RollingDigest(context)
    last = ""
    for text in ("one", "two", "three"):
        await context.add_message(user(text))
        last, _ = rolling.of(await context.get_messages(), [], ())
    assert last == await digest_of([user("one"), user("two"), user("three")])


async def test_another_message_order_option_or_schema_gives_another_digest() -> None:
    class Schema(BaseModel):
        x: int

    class Other(BaseModel):
        y: int

    messages = [user("one"), user("two")]
    digests = {
        await digest_of(messages),
        await digest_of(messages[::-1]),
        await digest_of(messages[:1]),
        await digest_of([user("one"), user("twp")]),
        await digest_of(messages, ("required",)),
        await digest_of(messages, (Schema,)),
        await digest_of(messages, (Other,)),
    }
    assert len(digests) == 7


async def test_a_request_that_does_not_go_on_from_the_last_is_digested_from_its_start() -> None:
    rolling = RollingDigest(None)
    rolling.of([user("one"), user("two")], [], ())
    assert rolling.of([user("two")], [], ())[0] == await digest_of([user("two")])


async def test_the_size_of_a_request_counts_all_of_its_messages() -> None:
    small = RollingDigest(None).of([user("x")], [], ())[1]
    large = RollingDigest(None).of([user("x"), user("y" * 1000)], [], ())[1]
    assert 1000 < large - small < 1200


async def test_half_a_character_in_a_message_can_be_hashed() -> None:
    assert await digest_of([user("\ud83d")]) != await digest_of([user("\ufffd")])


def test_an_image_counts_as_an_image_and_text_by_its_length() -> None:
    def size(*content: str | Image) -> int:
        return hashed(UserMessage(content=[*content], source="user")).size

    small, large = (Image(PIL.Image.effect_noise((edge, edge), 100)) for edge in (20, 400))
    assert len(large.to_base64()) > 100_000
    assert size(large) == size(small)
    assert size(small, large) - size(small) == IMAGE_TOKENS * CHARACTERS_PER_TOKEN + len(',{"data":""}')
    assert size("x" * 300) - size("x" * 100) == 200
    digests = {hashed(UserMessage(content=[image], source="user")).digest for image in (small, large)}
    assert len(digests) == 2


async def test_what_was_forgotten_in_a_turn_is_forgotten_again() -> None:
    context, again = await context_of("one", "two"), await context_of("one", "two")
    mark = context.mark()
    await context.clear()
    await context.add_message(user("three"))
    await again.restore(context.added(mark, [], {}), [], {})
    assert await contents(again) == await contents(context) == ["three"]


async def test_a_short_text_that_somebody_else_said_is_not_taken_for_a_models() -> None:
    context = await context_of()
    mark, said = context.mark(), AssistantMessage(content="y", source="a")
    await context.add_message(said)
    assert context.added(mark, [], {id(said.content): "input/0"}) == [said.model_dump(mode="json")]
    for key in ("model/0", "tool/h/model/1", "~model/0"):
        assert context.added(mark, [], {id(said.content): key}) == [key]
