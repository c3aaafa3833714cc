"""What a memory adds is recorded: asked again it may answer differently."""

from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import MemoryQueryEvent, TextMessage
from autogen_core import CancellationToken, Image
from autogen_core.memory import ListMemory, Memory, MemoryContent, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import SystemMessage, UserMessage
from PIL.Image import new

from moot.agents.adopt import adopt
from moot.agents.seat import Inner, Seat
from moot.agents.written import Unwritable
from tests.fakes import Counting, FakeConversation, in_turn

SAID = TextMessage(content="go", source="user")


class Fresh(Memory):
    """Answers differently each time."""

    def __init__(self, *, forgets: bool = False) -> None:
        self.asked = 0
        self._forgets = forgets

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        self.asked += 1
        if self._forgets:
            await model_context.clear()
        await model_context.add_message(SystemMessage(content=f"memory {self.asked}"))
        return UpdateContextResult(memories=MemoryQueryResult(results=[]))

    async def query(self, query: str | MemoryContent, *_: Any, **__: Any) -> MemoryQueryResult:
        return MemoryQueryResult(results=[MemoryContent(content=f"{query}?", mime_type="text/plain")])

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        self.asked += 10

    async def clear(self) -> None:
        self.asked = 0

    async def close(self) -> None:
        self.asked = -1


async def speak(seat: Seat, *said: TextMessage) -> list[Inner]:
    heard: list[Inner] = []
    await seat.speak(said or [SAID], CancellationToken(), heard.append)
    return heard


def agent(*memory: Memory) -> AssistantAgent:
    return AssistantAgent("a", Counting(), memory=list(memory))


async def context(seat: Seat) -> list[object]:
    return [message.content for message in await seat.contexts[""].get_messages()]


async def test_what_was_recalled_is_served_and_the_memory_is_not_asked(conversation: FakeConversation) -> None:
    in_turn(conversation)
    first, second = Fresh(), Fresh()
    seat = adopt(agent(first))
    await speak(seat)
    second.asked = 5
    in_turn(FakeConversation(conversation.journalled()))
    again = adopt(agent(second))
    await speak(again)
    assert await context(again) == await context(seat)
    assert (first.asked, second.asked) == (1, 5)
    assert list(conversation.results) == ["memory/0", "model/0"]


async def test_a_memory_that_forgets_what_was_said_before_does_so(conversation: FakeConversation) -> None:
    for _ in range(2):
        in_turn(conversation)
        seat = adopt(agent(Fresh(forgets=True)))
        await speak(seat)
        remembered, reply = await seat.contexts[""].get_messages()
        assert (remembered.content, type(reply).__name__) == ("memory 1", "AssistantMessage")
        conversation = FakeConversation(conversation.journalled())


async def test_text_data_and_images_are_remembered_as_they_were(conversation: FakeConversation) -> None:
    contents = [
        MemoryContent(content="text", mime_type="text/plain", metadata={"score": 0.5}),
        MemoryContent(content={"a": [1, None]}, mime_type="application/json"),
        MemoryContent(content=Image(new("RGB", (1, 1))), mime_type="image/*"),
        MemoryContent(content=b"plain bytes", mime_type="application/octet-stream"),
    ]
    kept = [content.model_dump() for content in contents]
    in_turn(conversation)
    (lived,) = await speak(adopt(agent(Listed(contents))))
    in_turn(FakeConversation(conversation.journalled()))
    (again,) = await speak(adopt(agent(Listed([]))))
    for event in (lived, again):
        assert isinstance(event, MemoryQueryEvent)
        found = [content.model_dump() for content in event.content]
        assert [plain(content) for content in found] == [plain(content) for content in kept]


class Listed(Fresh):
    """Finds these, and adds nothing."""

    def __init__(self, contents: list[MemoryContent]) -> None:
        super().__init__()
        self._contents = contents

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        return UpdateContextResult(memories=MemoryQueryResult(results=self._contents))


def plain(content: dict[str, Any]) -> dict[str, Any]:
    image = content["content"]
    return content | {"content": image.to_base64() if isinstance(image, Image) else image}


async def test_another_last_word_is_another_question_to_the_memory(conversation: FakeConversation) -> None:
    in_turn(conversation)
    seat = adopt(agent(Fresh()))
    await speak(seat)
    await speak(seat, TextMessage(content="stop", source="user"))
    assert conversation.effects["memory/0"].digest != conversation.effects["memory/1"].digest


async def test_outside_a_run_and_for_everything_else_it_is_the_memory_itself() -> None:
    fresh = Fresh()
    seat = adopt(agent(fresh))
    (memory,) = seat.agent._memory  # type: ignore[attr-defined]
    await memory.update_context(seat.contexts[""])
    assert await context(seat) == ["memory 1"]
    assert (await memory.query("who")).results[0].content == "who?"
    await memory.add(MemoryContent(content="x", mime_type="text/plain"))
    assert fresh.asked == 11
    await memory.clear()
    assert fresh.asked == 0
    await memory.close()
    assert fresh.asked == -1


async def test_autogens_own_memory_works_as_before(conversation: FakeConversation) -> None:
    in_turn(conversation)
    memory = ListMemory(memory_contents=[MemoryContent(content="be kind", mime_type="text/plain")])
    seat = adopt(agent(memory))
    (event,) = await speak(seat)
    assert isinstance(event, MemoryQueryEvent)
    said, remembered, _ = await seat.contexts[""].get_messages()
    assert isinstance(said, UserMessage)
    assert "be kind" in str(remembered.content)


class Labelled(Fresh):
    """Recalls something with that for its label."""

    def __init__(self, label: object) -> None:
        super().__init__()
        self._found = MemoryContent(content="x", mime_type="text/plain", metadata={"label": label})

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        await super().update_context(model_context)
        return UpdateContextResult(memories=MemoryQueryResult(results=[self._found]))


def nested(levels: int) -> object:
    tree: object = []
    for _ in range(levels):
        tree = [tree]
    return tree


async def test_odd_labels_of_what_was_recalled_come_back(conversation: FakeConversation) -> None:
    label = {"\ud800": ["\udfff", nested(150)]}
    in_turn(conversation)
    await speak(adopt(agent(Labelled(label))))
    in_turn(FakeConversation(conversation.journalled()))
    heard = await speak(adopt(agent(Labelled("another"))))
    (event,) = [item for item in heard if isinstance(item, MemoryQueryEvent)]
    assert event.content[0].metadata == {"label": label}


async def test_labels_that_nobody_could_read_back_fail_the_recollection_and_not_the_journal(
    conversation: FakeConversation,
) -> None:
    in_turn(conversation)
    with pytest.raises(Unwritable, match="nested"):
        await speak(adopt(agent(Labelled(nested(220)))))
    with pytest.raises(Unwritable, match="what a memory recalled cannot be written down as JSON"):
        conversation.journalled()
