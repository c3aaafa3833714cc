"""Who said what, for protocols that have no field for it."""

from __future__ import annotations

from collections.abc import Sequence

from autogen_core.models import LLMMessage, UserMessage


def said_by_whom(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """The messages with the speaker's name before each, in the words of AutoGen's OpenAI client."""
    return [_named(one) if isinstance(one, UserMessage) else one for one in messages]


def _named(message: UserMessage) -> UserMessage:
    words = f"{message.source} said:\n"
    content = words + message.content if isinstance(message.content, str) else [words, *message.content]
    return message.model_copy(update={"content": content})
