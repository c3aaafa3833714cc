"""What every client answers alike that asks no server: what was spent, how much room is left, that nothing is open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, LLMMessage, RequestUsage
from autogen_core.tools import Tool, ToolSchema

CHARACTERS_PER_TOKEN = 4
CONTEXT_TOKENS = 1_000_000
"""Far beyond any chat: there is no window to fill."""
MOST_PIECES = 500
"""A reply is streamed in at most about that many pieces: nobody reads megabytes word by word."""


class OfflineClient(ChatCompletionClient):
    """A model without a network; what it says is up to those who inherit."""

    def __init__(self) -> None:
        self._last = self._total = RequestUsage(prompt_tokens=0, completion_tokens=0)

    async def close(self) -> None:
        """Nothing is open."""

    def actual_usage(self) -> RequestUsage:
        """What the last reply took."""
        return self._last

    def total_usage(self) -> RequestUsage:
        """What all replies took."""
        return self._total

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """A token for every four characters, at least one a message."""
        return sum(1 + len(str(message.content)) // CHARACTERS_PER_TOKEN for message in messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """What is left of a window that no chat fills."""
        return max(0, CONTEXT_TOKENS - self.count_tokens(messages, tools=tools))

    @property
    def capabilities(self) -> Any:
        """The same as `model_info`; AutoGen still asks for it under this name."""
        return self.model_info

    def _took(self, used: RequestUsage) -> None:
        """Count a reply."""
        self._last = used
        self._total = RequestUsage(
            prompt_tokens=self._total.prompt_tokens + used.prompt_tokens,
            completion_tokens=self._total.completion_tokens + used.completion_tokens,
        )


async def breathe(token: CancellationToken | None, seconds: float = 0.0) -> None:
    """Let others run, for that long; end at once when the call is cancelled."""
    pause = asyncio.ensure_future(asyncio.sleep(seconds))
    if token is not None:
        token.link_future(pause)
    await pause
