"""Whether what an agent says can be written down, before it is: a line that cannot would break the whole journal."""

from __future__ import annotations

from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CodeExecutionEvent,
    CodeGenerationEvent,
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    StopMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    ToolCallSummaryMessage,
    UserInputRequestedEvent,
)
from pydantic import BaseModel

from moot.agents.json_text import json_of

Inner = BaseAgentEvent | BaseChatMessage
_PLAIN: frozenset[type[Inner]] = frozenset({
    TextMessage, MultiModalMessage, StopMessage, HandoffMessage, ToolCallSummaryMessage, ToolCallRequestEvent,
    ToolCallExecutionEvent, ThoughtEvent, ModelClientStreamingChunkEvent, UserInputRequestedEvent, CodeGenerationEvent,
    CodeExecutionEvent,
})  # fmt: skip
"""AutoGen's messages that hold nothing but text, whole numbers and images: they need no look."""


class Unwritable(RuntimeError):
    """An agent said something that is no JSON, such as bytes that are no text."""


def check_written(who: str, said: object) -> None:
    """Raises Unwritable, naming who said what, if it cannot be journalled."""
    if type(said) in _PLAIN or not isinstance(said, BaseModel):
        return
    try:
        json_of(said)
    except (ValueError, TypeError, RecursionError) as error:
        kind = type(said).__name__
        raise Unwritable(f"{who} said a {kind} that cannot be written down as JSON: {error}") from error


def writable(said: object) -> object:
    """A message as it is to be given to pydantic's JSON, which takes NaN and infinity for null in fields of type
    `float`: where there may be such, what `json` can write.
    """
    if isinstance(said, BaseAgentEvent | BaseChatMessage) and type(said) not in _PLAIN:
        return said.model_dump(mode="json")
    return said
