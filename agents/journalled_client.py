"""A model client whose calls are effects: reserved, performed once, settled and recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from moot.agents.context import CHARACTERS_PER_TOKEN, JournalContext, RollingDigest, created
from moot.agents.effects import SCOPE, Codec, Effect, effect
from moot.agents.json_text import whole_characters
from moot.agents.prices import Price
from moot.termination.ledger import Cost

ALLOWED_OUTPUT_TOKENS = 4096
"""What a reply may take in the reservation when the client names no `max_tokens` of its own."""
_CODEC: Codec[CreateResult] = Codec(lambda result: result, created)


class JournalledClient(ChatCompletionClient):
    """`create` and `create_stream` are effects; everything else is the wrapped client's own."""

    component_provider_override = "moot.agents.journalled_client.JournalledClient"

    def __init__(
        self, client: ChatCompletionClient, price: Price | None, context: JournalContext | None = None
    ) -> None:
        self._client, self._price = client, price
        self._requests = RollingDigest(context)

    async def create(  # noqa: PLR0913 - AutoGen's signature
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """One model call, made unless its result is recorded."""
        options: dict[str, Any] = {
            "tools": tools, "tool_choice": tool_choice, "json_output": json_output, "extra_create_args":
            extra_create_args,
        }  # fmt: skip

        async def perform() -> CreateResult:
            return _sendable(await self._client.create(messages, **options, cancellation_token=cancellation_token))

        return await self._once(messages, options, perform)

    async def create_stream(  # noqa: PLR0913 - AutoGen's signature
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same, streamed. A stream that ends without a result is a failure, so its tool calls never run."""
        options: dict[str, Any] = {
            "tools": tools, "tool_choice": tool_choice, "json_output": json_output, "extra_create_args":
            extra_create_args,
        }  # fmt: skip
        chunks: asyncio.Queue[str | None] = asyncio.Queue()
        streamed = False

        async def perform() -> CreateResult:
            nonlocal streamed
            final = None
            async for item in self._client.create_stream(messages, **options, cancellation_token=cancellation_token):
                if isinstance(item, str):
                    streamed = True
                    chunks.put_nowait(item)
                else:
                    final = item
            if final is None:
                raise RuntimeError("the model's stream ended without a result")
            return _sendable(final)

        # a task of its own: the effect must not be torn apart by the consumer's pauses between chunks
        task = asyncio.ensure_future(self._once(messages, options, perform))
        task.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            result = await task
        finally:
            task.cancel()
        if not streamed and isinstance(result.content, str):
            yield result.content
        yield result

    async def _once(
        self, messages: Sequence[LLMMessage], options: dict[str, Any], perform: Callable[[], Awaitable[CreateResult]]
    ) -> CreateResult:
        here = SCOPE.get()
        if here is None:
            return await perform()
        rest = (options["tool_choice"], options["json_output"], tuple(options["extra_create_args"].items()))
        digest, characters = self._requests.of(messages, options["tools"], rest)
        worst = self._cost(characters // CHARACTERS_PER_TOKEN + 1, self._allowed_output(options["extra_create_args"]))
        return await effect(Effect("model", digest, _CODEC, worst, self._spent), perform)

    def _allowed_output(self, extra: Mapping[str, Any]) -> int:
        own = getattr(self._client, "_create_args", {})
        named = [a.get(k) for a in (extra, own) for k in ("max_completion_tokens", "max_tokens")]
        return next(
            (n for n in named if isinstance(n, int)), getattr(self._client, "max_output_tokens", ALLOWED_OUTPUT_TOKENS)
        )

    def _spent(self, result: CreateResult) -> Cost:
        return self._cost(result.usage.prompt_tokens, result.usage.completion_tokens)

    def _cost(self, input_tokens: int, output_tokens: int) -> Cost:
        usd = None if self._price is None else self._price.cost(input_tokens, output_tokens)
        return Cost(input_tokens, output_tokens, usd)

    async def close(self) -> None:
        """Close the wrapped client."""
        await self._client.close()

    def actual_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self._client.actual_usage()

    def total_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self._client.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """The wrapped client's."""
        return self._client.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """The wrapped client's."""
        return self._client.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        """The wrapped client's."""
        return self._client.capabilities

    @property
    def model_info(self) -> ModelInfo:
        """The wrapped client's."""
        return self._client.model_info


def _sendable(result: CreateResult) -> CreateResult:
    """A reply that other models can be sent: half a character in it would break every later request."""
    said = {"content": result.content, "thought": result.thought}
    mended = {k: whole_characters(text) for k, text in said.items() if isinstance(text, str)}
    return result if mended.items() <= said.items() else result.model_copy(update=mended)
