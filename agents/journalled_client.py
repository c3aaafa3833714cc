"""A model client whose calls are effects: reserved, performed once, settled and recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema

from moot.agents.context import CHARACTERS_PER_TOKEN, JournalContext, RollingDigest, created
from moot.agents.effects import SCOPE, Codec, Effect, effect
from moot.agents.errors import ModelFault
from moot.agents.model_faults import check_calls, check_whole, explaining
from moot.agents.openai_options import CAPS, capped, created_with, usage_wanted
from moot.agents.prices import Price
from moot.agents.sendable import sendable
from moot.termination.ledger import Cost

ALLOWED_OUTPUT_TOKENS = 4096
"""What a reply may take when the client names no `max_tokens` of its own. Where tokens or dollars are limited it is
sent to models that take such a cap. It does not shrink with what is left: a resumed run asks as the run did before.
"""
MOST_TOKENS = 1_000_000_000
"""What one call may be said to take; what is more is not believed."""
Options = Mapping[str, Any]
"""AutoGen's options of `create`: tools, tool_choice, json_output, extra_create_args, cancellation_token."""
_UNTOLD: Mapping[str, object] = {
    "text": "the model does not say how many tokens its replies take; what is reserved for each counts as spent",
    "facts": {},
}
_CODEC: Codec[CreateResult] = Codec(lambda result: result, created)


class JournalledClient(ChatCompletionClient):
    """`create` and `create_stream` are effects; everything else is the wrapped client's own."""

    component_provider_override = "moot.agents.journalled_client.JournalledClient"

    def __init__(
        self,
        client: ChatCompletionClient,
        price: Price | None,
        context: JournalContext | None = None,
        *,
        most: int | None = None,
    ) -> None:
        """`most` caps every reply, limited or not, unless the client names a cap of its own."""
        self._client, self._price, self._most = client, price, most
        self._requests = RollingDigest(context)
        self._estimates = False
        """Whether it was told that the model's usage is an estimate."""

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """One model call, made unless its result is recorded. The options are those of AutoGen's clients."""

        async def perform(sent: Options) -> CreateResult:
            with explaining(self._client):
                result = await self._client.create(messages, **sent)
            return self._usable(result)

        return await self._once(messages, options, perform)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same, streamed. A stream that ends before the reply did is a failure, so its tool calls never run."""
        chunks: asyncio.Queue[str | None] = asyncio.Queue()
        streamed = False

        async def perform(sent: Options) -> CreateResult:
            nonlocal streamed
            final = None
            asked = {**usage_wanted(self._client, sent.get("extra_create_args", {})), **sent}
            with explaining(self._client):
                async for item in self._client.create_stream(messages, **asked):
                    if isinstance(item, str):
                        streamed = True
                        chunks.put_nowait(item)
                    else:
                        final = item
            if final is None:
                raise ModelFault("the model's stream ended without a result")
            check_whole(final, self._client)
            return self._usable(final)

        # a task of its own: the effect must not be torn apart by the consumer's pauses between chunks
        task = asyncio.ensure_future(self._once(messages, options, perform))
        task.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            result = await task
        finally:
            if not task.cancelling():  # a second time would cut off how it cleans up
                task.cancel()
        if not streamed and isinstance(result.content, str):
            yield result.content
        yield result

    def _usable(self, result: CreateResult) -> CreateResult:
        """The reply as it is recorded. Raises ModelFault where its calls must not be made."""
        check_calls(result, self._client)
        return sendable(_believed(result))

    async def _once(
        self, messages: Sequence[LLMMessage], options: Options, perform: Callable[[Options], Awaitable[CreateResult]]
    ) -> CreateResult:
        here = SCOPE.get()
        if here is None:
            return await perform(options)
        tools, extra = options.get("tools", []), options.get("extra_create_args", {})
        rest = (options.get("tool_choice", "auto"), options.get("json_output"), tuple(extra.items()))
        digest, characters = self._requests.of(messages, tools, rest)
        allowed = self._allowed_output(extra)
        worst = self._cost(characters // CHARACTERS_PER_TOKEN + 1, allowed)
        # no part of the digest: whether a limit holds does not make another request of it
        sent = (
            {**options, "extra_create_args": capped(self._client, extra, allowed)}
            if here.conversation.limited or self._most is not None
            else options
        )

        async def asked() -> CreateResult:
            result = await perform(sent)
            if _untold(result) and not self._estimates and self._counts:
                self._estimates = True
                here.conversation.note("warning", _UNTOLD)
            return result

        return await effect(Effect("model", digest, _CODEC, worst, partial(self._spent, worst)), asked)

    def _allowed_output(self, extra: Mapping[str, Any]) -> int:
        own = created_with(self._client)
        named = [given.get(cap) for given in (extra, own) for cap in CAPS]
        most = getattr(self._client, "max_output_tokens", ALLOWED_OUTPUT_TOKENS)
        return next((n for n in named if isinstance(n, int)), most if self._most is None else min(most, self._most))

    def _spent(self, worst: Cost, result: CreateResult) -> Cost:
        """What the model says; what was reserved where it says nothing, so that no limit is blind to it."""
        if _untold(result) and self._counts:
            return worst
        return self._cost(result.usage.prompt_tokens, result.usage.completion_tokens)

    @property
    def _counts(self) -> bool:
        """Whether the model reads and writes tokens that somebody bills or limits: a scripted one need not."""
        return getattr(self._client, "model_kind", "real") != "scripted"

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


def _believed(result: CreateResult) -> CreateResult:
    """The result without a usage that cannot be: less than nothing would raise what the run may spend."""
    told: tuple[object, ...] = (result.usage.prompt_tokens, result.usage.completion_tokens)  # whatever a server sent
    if all(isinstance(tokens, int) and 0 <= tokens <= MOST_TOKENS for tokens in told):
        return result
    return result.model_copy(update={"usage": RequestUsage(0, 0)})


def _untold(result: CreateResult) -> bool:
    """Whether nobody said what the call took; what came out of a cache took nothing."""
    return not (result.usage.prompt_tokens or result.usage.completion_tokens or result.cached)
