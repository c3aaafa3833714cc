"""What AutoGen's OpenAI client loses of how a reply ended, put back.

Of a stream it forgets the finish reason of a chunk that also holds the usage, as Mistral, Gemini and others send it; it
takes an empty reason for one; and reasons that OpenAI does not use read `unknown`. Without that repair a whole reply
looks like one that was cut off. Of a reply in one piece it forgets the reason wherever there are calls: one that was
cut off looks whole.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from autogen_core.models import ChatCompletionClient

if TYPE_CHECKING:
    from openai import AsyncStream
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import Choice

_SEAMS = ("_create_stream_chunks", "_create_stream_chunks_beta_client")
"""Where AutoGen's client takes the chunks from."""
_KNOWN = frozenset({"stop", "length", "content_filter", "tool_calls"})
_CUT_SHORT = frozenset({"max_tokens", "model_length", "max_length"})
"""Other servers' words for `length`."""


class CallsCutShort(Exception):
    """Tools are called by a reply that did not come to its end; `reason` is its finish reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def mend(client: ChatCompletionClient) -> None:
    """From now on the client's streamed results say how they ended, and calls of a reply in one piece that was cut off
    are CallsCutShort. Does nothing to any other client, nor twice.
    """
    for seam in _SEAMS:
        chunks = getattr(client, seam, None)
        if chunks is not None and not (isinstance(chunks, partial) and chunks.func is _stated):
            setattr(client, seam, partial(_stated, chunks))
            _mend_pieces(client)


def _mend_pieces(client: ChatCompletionClient) -> None:
    """At the library's own methods: AutoGen's client has the reason nowhere else."""
    library = getattr(client, "_client", None)
    for part, method in (("chat", "create"), ("beta.chat", "parse")):
        at = attrgetter(f"{part}.completions")(library)
        asked = getattr(at, method)
        if not (isinstance(asked, partial) and asked.func is _whole):
            setattr(at, method, partial(_whole, asked))


async def _whole(
    asked: Callable[..., Awaitable[ChatCompletion | AsyncStream[ChatCompletionChunk]]], **given: Any
) -> ChatCompletion | AsyncStream[ChatCompletionChunk]:
    """What came. Raises CallsCutShort."""
    came = await asked(**given)
    for choice in [] if given.get("stream") else getattr(came, "choices", None) or []:
        reason = "length" if choice.finish_reason in _CUT_SHORT else choice.finish_reason
        if reason in ("length", "content_filter") and choice.message.tool_calls:
            raise CallsCutShort(reason)
    return came


async def _stated(
    chunks: Callable[..., AsyncGenerator[ChatCompletionChunk, None]], **given: Any
) -> AsyncGenerator[ChatCompletionChunk, None]:
    """The chunks with a finish reason only where the server gave one; what the call took comes alone, as the last."""
    last = None
    async with aclosing(chunks(**given)) as came:
        async for chunk in came:
            if chunk.usage is not None:
                last = chunk
            if chunk.choices:
                choices = [_choice(one) for one in chunk.choices]
                yield chunk.model_copy(update={"choices": choices, "usage": None})
    if last is not None:
        yield last.model_copy(update={"choices": []})


def _choice(one: Choice) -> Choice:
    reason: str | None = one.finish_reason
    if reason in _KNOWN or reason is None:
        return one
    if not reason:
        return one.model_copy(update={"finish_reason": None})
    return one.model_copy(update={"finish_reason": "length" if reason in _CUT_SHORT else "stop"})
