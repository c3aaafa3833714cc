"""Whether what an agent says can be written down, before it is: a line that cannot would break the whole journal."""

from __future__ import annotations

from pydantic import BaseModel

from moot.agents.json_text import data_of, json_of, read_back

_AUTOGEN = "autogen_agentchat.messages"
_PLAIN = frozenset({
    "TextMessage", "MultiModalMessage", "StopMessage", "HandoffMessage", "ToolCallSummaryMessage",
    "ToolCallRequestEvent", "ToolCallExecutionEvent", "ThoughtEvent", "ModelClientStreamingChunkEvent",
    "UserInputRequestedEvent", "CodeGenerationEvent", "CodeExecutionEvent",
})  # fmt: skip
"""AutoGen's messages that hold nothing but text, whole numbers and images: they need no look. By name, since whoever
only reads a journal does not wait for AutoGen.
"""


class Unwritable(RuntimeError):
    """An agent said something that is no JSON, such as bytes that are no text, or that nobody could read back."""


def check_written(who: str, said: object) -> None:
    """Raises Unwritable, naming who said what, if it cannot be journalled."""
    if _is_plain(type(said)) or not isinstance(said, BaseModel):
        return
    try:
        read_back(json_of(said))
    except (ValueError, TypeError, RecursionError) as error:
        kind = type(said).__name__
        raise Unwritable(f"{who} said a {kind} that cannot be written down as JSON: {error}") from error


def check_readable(what: str, text: str) -> None:
    """Raises Unwritable, naming what it is, if data that is JSON already could not be read back from a journal."""
    try:
        read_back(text)
    except ValueError as error:
        raise Unwritable(f"{what} cannot be written down as JSON: {error}") from error


def writable(said: object) -> object:
    """A message as it is to be given to pydantic's JSON, which takes NaN and infinity for null in fields of type
    `float`: where there may be such, what `json` can write.
    """
    return said if _is_plain(type(said)) or not isinstance(said, BaseModel) else data_of(said)


def _is_plain(kind: type) -> bool:
    return kind.__name__ in _PLAIN and kind.__module__ == _AUTOGEN
