"""The playbook model: a scripted `ChatCompletionClient` that reacts to what really happened; no key, no network."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from autogen_core import CancellationToken, Component, FunctionCall
from autogen_core.models import (
    CreateResult,
    FinishReasons,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel
from typing_extensions import override

from moot.agents.offline_client import CHARACTERS_PER_TOKEN, MOST_PIECES, OfflineClient, breathe
from moot.agents.playbook import Playbook
from moot.agents.playbook_answer import Calls
from moot.agents.situation import Situation

_WORD = re.compile(r"\S+\s*|\s+")


class PlaybookClientConfig(BaseModel):
    """Everything it takes to make the client again, the playbook's text included."""

    text: str
    origin: str
    part: str
    delay_seconds: float = 0.0


class PlaybookClient(OfflineClient, Component[PlaybookClientConfig]):
    """Says what a playbook's part says. The same messages get the same reply; nothing is kept but the count of tokens.

    `delay_seconds` is waited before each piece of a streamed reply, for those who watch.
    """

    component_type = "model"
    component_config_schema = PlaybookClientConfig
    component_provider_override = "moot.agents.playbook_client.PlaybookClient"
    model_kind: Literal["scripted"] = "scripted"

    def __init__(self, playbook: Playbook, part: str, *, delay_seconds: float = 0.0) -> None:
        super().__init__()
        self._playbook = playbook
        self._part = playbook.part(part)
        self._delay_seconds = delay_seconds

    @property
    def name(self) -> str:
        """The model's name: `playbook:NAME`."""
        return f"playbook:{self._playbook.name}"

    @property
    def playbook(self) -> Playbook:
        """The playbook that is played."""
        return self._playbook

    @override
    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The reply to these messages. The wish for JSON is taken note of by nobody: the script decides. Raises
        PlaybookError for a call of a tool that is not among `tools`.
        """
        await breathe(cancellation_token)
        return self._reply(messages, tools, tool_choice)

    @override
    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same reply, word by word, then the result."""
        result = self._reply(messages, tools, tool_choice)
        for chunk in _pieces(result.content if isinstance(result.content, str) else ""):
            await breathe(cancellation_token, self._delay_seconds)
            yield chunk
        yield result

    @property
    def model_info(self) -> ModelInfo:
        """Everything an assistant may ask of a text model."""
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=True,
            structured_output=True,
            family=ModelFamily.UNKNOWN,
            multiple_system_messages=True,
        )

    def _reply(
        self, messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema], tool_choice: object
    ) -> CreateResult:
        answer = self._part.answer(Situation.of(messages), may_call=tool_choice != "none")
        content = answer if isinstance(answer, str) else self._calls(answer, tools)
        length = len(content) if isinstance(content, str) else sum(len(c.name) + len(c.arguments) for c in content)
        usage = RequestUsage(
            prompt_tokens=self.count_tokens(messages, tools=tools),
            completion_tokens=-(-length // CHARACTERS_PER_TOKEN),
        )
        self._took(usage)
        why: FinishReasons = "stop" if isinstance(content, str) else "function_calls"
        return CreateResult(finish_reason=why, content=content, usage=usage, cached=False)

    def _calls(self, calls: Calls, tools: Sequence[Tool | ToolSchema]) -> list[FunctionCall]:
        offered = [tool["name"] if isinstance(tool, dict) else tool.name for tool in tools]
        self._playbook.check_calls(self._part.name, offered, [calls.rule])
        return [FunctionCall(use.id, json.dumps(use.arguments, ensure_ascii=False), use.tool) for use in calls.made]

    def _to_config(self) -> PlaybookClientConfig:
        return PlaybookClientConfig(
            text=self._playbook.text,
            origin=self._playbook.origin,
            part=self._part.name,
            delay_seconds=self._delay_seconds,
        )

    @classmethod
    def _from_config(cls, config: PlaybookClientConfig) -> Self:
        playbook = Playbook.parse(config.text, config.origin)
        return cls(playbook, config.part, delay_seconds=config.delay_seconds)


def _pieces(text: str) -> Iterator[str]:
    """The reply word by word, or, where it is long, several words at a time."""
    least = len(text) // MOST_PIECES
    start = 0
    for word in _WORD.finditer(text):
        if word.end() - start >= least:
            yield text[start : word.end()]
            start = word.end()
    if start < len(text):
        yield text[start:]
