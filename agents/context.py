"""An agent's model context whose growth is recorded turn by turn, and the rolling digest of what is sent to the model.

A turn must cost the same at turn 10 and at turn 10,000, so the context is never dumped whole: a finished turn records
what it added, as references (to a message of its inbox, or to a recorded result) where that is possible.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import is_not
from typing import Any, NamedTuple

from autogen_agentchat.messages import BaseChatMessage
from autogen_core import Image
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import AssistantMessage, CreateResult, LLMMessage, UserMessage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel, TypeAdapter

from moot.agents.json_text import json_of
from moot.agents.sendable import sendable
from moot.agents.typed_reply import TypedReply

_MESSAGE: TypeAdapter[LLMMessage] = TypeAdapter(LLMMessage)
_ONLY_GROW = frozenset({
    BufferedChatCompletionContext, HeadAndTailChatCompletionContext, TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
})  # fmt: skip
"""AutoGen's own: whatever they show, they keep all. One of the user's may drop old messages where it stands."""
CHARACTERS_PER_TOKEN = 3
"""A cautious estimate that needs neither a tokenizer nor the network; English is nearer to 4."""

IMAGE_TOKENS = 1_500
"""What an image is taken to be: models bill it by its area, at most about that much, and never by its bytes."""


class Hashed(NamedTuple):
    """A message's digest and its size in characters; an image counts as so many that they are `IMAGE_TOKENS`."""

    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a context stood before a turn. `clear()` makes a new list, so the old one is still good to go back to.

    `before` is a copy of it, where the context is of a kind that may change what it holds.
    """

    messages: list[LLMMessage]
    length: int
    before: tuple[LLMMessage, ...] | None = None


def hashed(message: LLMMessage) -> Hashed:
    """Digest and size of one message."""
    text = json_of(message).encode()
    return Hashed(blake2b(text, digest_size=16).digest(), len(text) - _image_bytes(message.content))


def _image_bytes(content: object) -> int:
    """How much longer the images are as text than as what they count for; below zero where they are shorter."""
    images = [part for part in content if isinstance(part, Image)] if isinstance(content, list) else []
    return sum(len(image.to_base64()) - IMAGE_TOKENS * CHARACTERS_PER_TOKEN for image in images)


class JournalContext(ChatCompletionContext):
    """Keeps the user's view (buffered, head and tail, their own) and adds marks, rollback and digests."""

    component_provider_override = "moot.agents.context.JournalContext"

    def __init__(self, inner: ChatCompletionContext, owner: str) -> None:
        super().__init__()
        self._owner = owner
        self._inner = copy.copy(inner)
        self._inner._messages = list(inner._messages)
        self._only_grows = type(inner) in _ONLY_GROW
        self._alive: list[LLMMessage] = []
        """What was added since the mark, though it may be dropped again: an `id` must stay its owner's."""
        self.hashes = {id(m): hashed(m) for m in self._inner._messages}

    async def add_message(self, message: LLMMessage) -> None:
        """Add to the end."""
        await self._inner.add_message(message)
        self.hashes[id(message)] = hashed(message)
        if not self._only_grows:
            self._alive.append(message)

    async def get_messages(self) -> list[LLMMessage]:
        """What the model is to see."""
        return await self._inner.get_messages()

    async def clear(self) -> None:
        """Forget everything; a mark taken before stays good."""
        self._inner._messages = []
        self.hashes = {}

    async def save_state(self) -> Mapping[str, Any]:
        """The inner context's own state."""
        return await self._inner.save_state()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Load the inner context's own state."""
        await self._inner.load_state(state)
        self.hashes = {id(m): hashed(m) for m in self._inner._messages}

    def mark(self) -> Mark:
        """Where the context stands now."""
        held = self._inner._messages
        if self._only_grows:
            return Mark(held, len(held))
        self._rehash()
        return Mark(held, len(held), tuple(held))

    def rollback(self, mark: Mark) -> None:
        """Undo what an attempt added, and what it changed."""
        kept = mark.messages
        if mark.before is not None:
            kept[:] = mark.before
            self._inner._messages = kept
            self._rehash()
            return
        for message in kept[mark.length :]:
            self.hashes.pop(id(message), None)
        del kept[mark.length :]
        if self._inner._messages is not kept:
            self._inner._messages = kept
            self.hashes = {id(m): hashed(m) for m in kept}

    def added(self, mark: Mark, inbox: Sequence[BaseChatMessage], results: Mapping[int, str]) -> list[object]:
        """What came after the mark: a number is a message of the inbox, a string the key of a recorded result, None
        first of all where everything before was forgotten or is not as it was, else the message.

        `results` maps `id(content)` of the results of this turn to their keys.
        """
        unread, forgot = 0, self._changed(mark)
        out: list[object] = [None] if forgot else []
        start = 0 if forgot else mark.length
        known = {id(message) for message in mark.before or ()}
        for message in self._inner._messages[start:]:
            key = results.get(id(message.content)) if type(message) is AssistantMessage else None
            if id(message) in known:  # of an earlier turn, though its words may be one object with those of this one
                out.append(message.model_dump(mode="json"))
            elif key is not None and _of_model(key):
                out.append(key)
            elif unread < len(inbox) and _told(message, inbox[unread]):
                out.append(unread)
                unread += 1
            else:
                out.append(message.model_dump(mode="json"))
        return out

    def _changed(self, mark: Mark) -> bool:
        """Whether the messages before the mark are other ones now."""
        held = self._inner._messages
        if held is not mark.messages or mark.before is None:
            return held is not mark.messages
        return len(held) < mark.length or any(map(is_not, held, mark.before))

    def _rehash(self) -> None:
        """Forget the digests of messages that are gone: another one may come to have their `id`."""
        self.hashes = {id(m): self.hashes.get(id(m)) or hashed(m) for m in self._inner._messages}
        self._alive = []

    async def restore(
        self, added: Sequence[object], inbox: Sequence[BaseChatMessage], results: Mapping[str, object]
    ) -> None:
        """Add what a finished turn had added."""
        for item in added:
            if item is None:
                await self.clear()
            elif isinstance(item, int):
                await self.add_message(inbox[item].to_model_message())
            elif isinstance(item, str):
                result = created(results[item])
                await self.add_message(
                    AssistantMessage(content=result.content, source=self._owner, thought=result.thought)
                )
            else:
                await self.add_message(_MESSAGE.validate_python(item))


def _of_model(key: str) -> bool:
    """Whether a key is that of a model's result: a short text may be one object with what a person said."""
    return key.rpartition("/")[0].endswith("model")


def _told(message: LLMMessage, said: BaseChatMessage) -> bool:
    return (
        type(message) is UserMessage
        and message.source == said.source
        and (said.text if isinstance(said, TypedReply) else getattr(said, "content", None)) is message.content
    )


def created(result: object) -> CreateResult:
    """A recorded model result, as it was or from JSON: journals of before hold calls as the model made them."""
    return result if isinstance(result, CreateResult) else sendable(CreateResult.model_validate(result))


class RollingDigest:
    """Digest and size of a growing request, in time proportional to what is new in it."""

    def __init__(self, context: JournalContext | None) -> None:
        self._context = context
        self._last: list[LLMMessage] = []
        self._chain, self._size = b"", 0
        self._options: tuple[object, bytes, int] = (None, b"", 0)

    def of(
        self, messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema], options: tuple[object, ...]
    ) -> tuple[str, int]:
        """The digest, and the characters of the messages and tools together."""
        known = len(self._last)
        # list comparison takes the identity shortcut in C: a few ns a message; a view that moves on is known by its end
        if (
            0 < known <= len(messages)
            and messages[known - 1] is self._last[-1]
            and list(messages[:known]) == self._last
        ):
            chain, size, new = self._chain, self._size, messages[known:]
        else:
            chain, size, new = b"", 0, messages
        hashes = self._context.hashes if self._context else {}
        for message in new:
            digest, length = hashes.get(id(message)) or hashed(message)
            chain, size = blake2b(chain + digest, digest_size=16).digest(), size + length
        self._last, self._chain, self._size = list(messages), chain, size
        if self._options[0] != (list(tools), options):
            schemas = [t if isinstance(t, dict) else t.schema for t in tools]
            text = json.dumps([schemas, [_named(o) for o in options]], sort_keys=True, default=str).encode()
            self._options = ((list(tools), options), blake2b(text, digest_size=16).digest(), len(text))
        return blake2b(chain + self._options[1], digest_size=12).hexdigest(), size + self._options[2]


def _named(option: object) -> object:
    return option.model_json_schema() if isinstance(option, type) and issubclass(option, BaseModel) else option
