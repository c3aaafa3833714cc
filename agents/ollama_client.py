"""Ollama's own protocol over HTTP, by AutoGen's client, and what that one lacks: who said what, calls that can be told
apart, short replies, and an end to its connections.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import uuid4

from autogen_core import FunctionCall
from autogen_core.models import CreateResult, LLMMessage, ModelFamily, ModelInfo
from autogen_ext.models.ollama import OllamaChatCompletionClient

from moot.agents.local_models import ollama_url
from moot.agents.said_by_whom import said_by_whom

PATIENCE_SECONDS = 600.0
"""For each piece of a reply, as the libraries of the other providers have it; by itself Ollama's waits for ever."""


def ollama_client(name: str) -> OllamaClient:
    """A model of an Ollama server: the local one, or the one that OLLAMA_HOST names. Raises ModelError."""
    ollama_url()  # the library would say less of what is no address
    made = OllamaClient(
        model=name,
        model_info=ModelInfo(
            vision=True,
            function_calling=True,
            json_output=True,
            structured_output=True,
            family=ModelFamily.R1 if name.startswith("deepseek-r1") else ModelFamily.UNKNOWN,
            multiple_system_messages=True,
        ),
    )
    made.wait_at_most(PATIENCE_SECONDS)
    return made


class OllamaClient(OllamaChatCompletionClient):
    """AutoGen's. What a model cannot do the server says; nothing is guessed from its name."""

    def wait_at_most(self, seconds: float) -> None:
        """AutoGen's client does not pass that on."""
        self._client._client.timeout = seconds  # noqa: SLF001 - Ollama's client has no name for it either

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """One model call. The options are those of AutoGen's clients; raises what the library raises."""
        return _told_apart(await super().create(said_by_whom(messages), **options), "")

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same, streamed."""
        text = ""
        async for item in super().create_stream(said_by_whom(messages), **options):
            if isinstance(item, str):
                text += item
                yield item
            else:
                yield _told_apart(item, text)

    async def close(self) -> None:
        """AutoGen's client leaves its connections open."""
        await self._client.close()  # type: ignore[no-untyped-call]


def _told_apart(result: CreateResult, text: str) -> CreateResult:
    """The result with calls that have each a name of their own; a reply of one piece is the text, not an empty list of
    calls.
    """
    if isinstance(result.content, str):
        return result
    if not result.content:
        return result.model_copy(update={"content": text})
    calls = [FunctionCall(f"call_{uuid4().hex[:24]}", call.arguments, call.name) for call in result.content]
    return result.model_copy(update={"content": calls, "finish_reason": _ended(result)})


def _ended(result: CreateResult) -> str:
    """Ollama ends a reply that calls tools with `stop`."""
    return "function_calls" if result.finish_reason == "stop" else result.finish_reason
