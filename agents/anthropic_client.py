"""Anthropic's protocol over HTTP, by AutoGen's own client, and what that one lacks: who said what, typed replies, and
tools that a process before this one offered. Its library's retries are off: one layer retries, and it is ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeAlias

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    ModelInfo,
)
from autogen_core.tools import ToolSchema
from autogen_ext.models.anthropic import AnthropicChatCompletionClient
from pydantic import BaseModel

from moot.agents.errors import ModelError
from moot.agents.said_by_whom import said_by_whom

ANTHROPIC_URL = "https://api.anthropic.com"
REPLY = "reply"
"""The tool by which a typed reply is given: the protocol has no other way to ask for one."""
Options: TypeAlias = Mapping[str, Any]
"""AutoGen's options of `create`."""
Wanted: TypeAlias = bool | type[BaseModel] | None
"""AutoGen's `json_output`."""


def anthropic_client(name: str, key: str) -> AnthropicClient:
    """A model of Anthropic's, or one at the address that ANTHROPIC_BASE_URL names."""
    return AnthropicClient(
        model=name,
        api_key=key,
        base_url=os.environ.get("ANTHROPIC_BASE_URL") or ANTHROPIC_URL,
        max_retries=0,
        model_info=ModelInfo(
            vision=True,
            function_calling=True,
            json_output=True,
            structured_output=True,
            family=ModelFamily.UNKNOWN,
            multiple_system_messages=False,
        ),
    )


class AnthropicClient(AnthropicChatCompletionClient):
    """AutoGen's, which gives typed replies too. `json_output=True` is a matter of the prompt alone."""

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """One model call. The options are those of AutoGen's clients; raises what the library raises."""
        wanted = options.pop("json_output", None)
        self._offered_before(messages, options)
        return _typed(await super().create(said_by_whom(messages), **_with_reply(options, wanted)), wanted)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same, streamed. A typed reply comes as a whole."""
        wanted = options.pop("json_output", None)
        self._offered_before(messages, options)
        async for item in super().create_stream(said_by_whom(messages), **_with_reply(options, wanted)):
            yield item if isinstance(item, str) else _typed(item, wanted)

    def _offered_before(self, messages: Sequence[LLMMessage], options: Options) -> None:
        """The protocol wants the tools with each request that tells what a tool answered. AutoGen's client remembers
        them; after an interruption it cannot, and the calls themselves say what they were called.
        """
        if options.get("tools") or self._last_used_tools:
            return
        if not any(isinstance(m, FunctionExecutionResultMessage) for m in messages):
            return
        said = [m.content for m in messages if isinstance(m, AssistantMessage) and isinstance(m.content, list)]
        names = dict.fromkeys(call.name for calls in said for call in calls)
        self._last_used_tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]


def _with_reply(options: Options, wanted: Wanted) -> Options:
    """The options with the tools to offer, and which must be called, so that the reply has the wanted form."""
    if not isinstance(wanted, type):
        return options
    tools = [] if options.get("tool_choice") == "none" else options.get("tools", [])
    schema = _inlined(wanted.model_json_schema())
    reply = ToolSchema(name=REPLY, description="Gives the whole reply, in this form.", parameters=schema)
    return {**options, "tools": [*tools, reply], "tool_choice": "required"}


def _typed(result: CreateResult, wanted: Wanted) -> CreateResult:
    """The reply that was given by the tool as the text it stands for; other calls are left to be made."""
    if not isinstance(wanted, type) or not isinstance(result.content, list):
        return result
    replies = [call for call in result.content if call.name == REPLY]
    others: list[FunctionCall] = [call for call in result.content if call.name != REPLY]
    if others or not replies:
        return result.model_copy(update={"content": others})
    ended = "stop" if result.finish_reason == "function_calls" else result.finish_reason
    return result.model_copy(update={"content": replies[0].arguments, "finish_reason": ended})


def _inlined(schema: dict[str, Any]) -> Any:
    """A schema without references: AutoGen's client leaves out what they refer to."""
    parts = schema.get("$defs", {})

    def inline(at: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(at, list):
            return [inline(one, inside) for one in at]
        if not isinstance(at, dict):
            return at
        name = str(at.get("$ref", "")).removeprefix("#/$defs/")
        if name in inside:
            raise ModelError(f"a reply in the form of {name} cannot be asked of this model: the form contains itself")
        if name in parts:
            return inline({**parts[name], **{k: v for k, v in at.items() if k != "$ref"}}, (*inside, name))
        return {key: inline(value, inside) for key, value in at.items() if key != "$defs"}

    return inline(json.loads(json.dumps(schema)), ())
