"""What AutoGen's OpenAI client loses of a stream, put back.

It forgets the finish reason of a chunk that also holds the usage, as Mistral, Gemini and others send it; it takes an
empty reason for one; and reasons that OpenAI does not use read `unknown`. Without that repair a whole reply looks like
one that was cut off.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from autogen_core.models import ChatCompletionClient

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import Choice

_SEAMS = ("_create_stream_chunks", "_create_stream_chunks_beta_client")
"""Where AutoGen's client takes the chunks from."""
_KNOWN = frozenset({"stop", "length", "content_filter", "tool_calls"})
_CUT_SHORT = frozenset({"max_tokens", "model_length", "max_length"})
"""Other servers' words for `length`."""


def mend(client: ChatCompletionClient) -> None:
    """From now on the client's streamed results say how they ended. Does nothing to any other client, nor twice."""
    for seam in _SEAMS:
        chunks = getattr(client, seam, None)
        if chunks is not None and not (isinstance(chunks, partial) and chunks.func is _stated):
            setattr(client, seam, partial(_stated, chunks))


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
