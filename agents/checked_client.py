"""What an assistant asks its model with: who keeps neither to the form of its replies nor to its tools is told so.

It stands before the client whose calls are effects, so that being asked once more is an effect of its own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    UserMessage,
)
from autogen_core.tools import BaseTool, Tool, ToolSchema
from pydantic import ValidationError

from moot.agents.effects import SCOPE
from moot.agents.errors import ModelFault, UnusableReply
from moot.agents.situation import RUNTIME
from moot.agents.typed_reply import ReplyForm, UnreadableReply, problems_in

WRONG_CALLS = 2
"""How often in a row a model is told that it called a tool wrongly; the next time its turn fails."""
_REPAIR = "Your reply cannot be read: {problem}. Reply again: one JSON object that fits the schema, and nothing else."
Tools = Sequence[Tool | ToolSchema]


class CheckedClient(ChatCompletionClient):
    """A participant's client. `tools` are those whose parameters are known; `notes` are journalled as warnings once.

    Raises UnusableReply for a typed reply that cannot be read after it was asked for once more, and for the third model
    reply in a row that calls a tool wrongly: one that is not there, or with arguments that it does not take.
    """

    component_provider_override = "moot.agents.checked_client.CheckedClient"

    def __init__(
        self,
        inner: ChatCompletionClient,
        who: str,
        *,
        form: ReplyForm | None = None,
        tools: Mapping[str, BaseTool[Any, Any]],
        notes: Sequence[str] = (),
    ) -> None:
        self._inner, self._who, self._form, self._tools = inner, who, form, tools
        self._notes = list(notes)

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """One reply that can be used. The options are those of AutoGen's clients."""
        *_, result = [item async for item in self.create_stream(messages, **options)]
        assert isinstance(result, CreateResult)
        return result

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same, streamed. Of a typed reply there are no pieces: nobody reads JSON as it comes."""
        self._tell()
        sent, said = self._sent(options), ""
        try:
            async for item in self._inner.create_stream(messages, **sent):
                if isinstance(item, CreateResult):
                    yield await self._usable(messages, sent, item)
                    return
                said += item
                if self._form is None:
                    yield item
        except (ValueError, ModelFault) as error:
            if "json_output" not in sent or (problem := _unread(error)) is None:
                raise
            yield await self._mended(messages, sent, said, problem)

    def _sent(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Beside tools the form is only asked for in words: some providers take no tools with it, others only tools
        without defaults.
        """
        if self._form is None or (self.model_info.get("structured_output") and not options.get("tools")):
            return options
        return {name: value for name, value in options.items() if name != "json_output"}

    async def _usable(
        self, messages: Sequence[LLMMessage], options: Mapping[str, Any], result: CreateResult
    ) -> CreateResult:
        if not isinstance(result.content, str):
            self._check_calls(messages, options.get("tools", ()), result.content)
            return result
        if self._form is None:
            return result
        try:
            return _with(result, self._form.read(result.content))
        except UnreadableReply as unreadable:
            problem = str(unreadable)
        return await self._mended(messages, options, result.content, problem)

    async def _mended(
        self, messages: Sequence[LLMMessage], options: Mapping[str, Any], said: str, problem: str
    ) -> CreateResult:
        """The reply to what was wrong with the one before. Raises UnusableReply where that cannot be read either."""
        assert self._form is not None
        try:
            again = await self._inner.create(self._repair(messages, said, problem), **_words_alone(options))
            if not isinstance(again.content, str):
                raise UnusableReply(f"{self._who} called a tool instead of giving its reply in its form ({problem})")
            return _with(again, self._form.read(again.content))
        except (ValueError, ModelFault) as error:
            problem = _unread(error) or ""
            if not problem:
                raise
            raise UnusableReply(
                f"the reply of {self._who} is not in its form, also after it was told what was wrong: {problem}"
            ) from error

    def _repair(self, messages: Sequence[LLMMessage], said: str, problem: str) -> list[LLMMessage]:
        told = UserMessage(content=_REPAIR.format(problem=problem), source=RUNTIME)
        before = [AssistantMessage(content=said, source=self._who)] if said else []
        return [*messages, *before, told]

    def _check_calls(self, messages: Sequence[LLMMessage], tools: Tools, calls: Sequence[FunctionCall]) -> None:
        """The calls before were answered with what was wrong, as these will be, unless it was too often."""
        wrong = self._wrong(calls, tools)
        if wrong is None:
            return
        before = 0
        for earlier in _calls_before(messages):
            if self._wrong(earlier, tools) is None:
                break
            before += 1
        if before >= WRONG_CALLS:
            raise UnusableReply(f"{self._who} called a tool wrongly {before + 1} times in a row: {wrong}")

    def _wrong(self, calls: Sequence[FunctionCall], tools: Tools) -> str | None:
        """What is wrong with the first of the calls that is; None where all can be made."""
        offered = [tool["name"] if isinstance(tool, dict) else tool.name for tool in tools]
        for call in calls:
            if call.name not in offered:
                return f"there is no tool {call.name!r}"
            try:
                given = json.loads(call.arguments)
            except ValueError as error:
                return f"the arguments for {call.name!r} are no JSON: {error}"
            if given and not isinstance(given, dict):
                return f"the arguments for {call.name!r} are no JSON object"
            if (known := self._tools.get(call.name)) is not None:
                try:
                    known.args_type().model_validate(given or {})
                except ValidationError as error:
                    first = error.errors(include_url=False)[0]
                    return f"{call.name!r} does not take that: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        return None

    def _tell(self) -> None:
        here = SCOPE.get()
        while here is not None and self._notes:
            here.conversation.note("warning", {"text": self._notes.pop(0), "facts": {}})

    async def close(self) -> None:
        """Close the wrapped client."""
        await self._inner.close()

    def actual_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self._inner.actual_usage()

    def total_usage(self) -> RequestUsage:
        """The wrapped client's."""
        return self._inner.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """The wrapped client's."""
        return self._inner.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """The wrapped client's."""
        return self._inner.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        """The wrapped client's."""
        return self._inner.capabilities

    @property
    def model_info(self) -> ModelInfo:
        """The wrapped client's."""
        return self._inner.model_info


def _unread(error: Exception) -> str | None:
    """What was wrong with a reply that could not be read; None where something else was wrong. OpenAI's library reads
    replies that are asked for in a form itself, and keeps those that it cannot read.
    """
    if isinstance(error, ModelFault):
        return problems_in(error.__cause__) if isinstance(error.__cause__, ValidationError) else None
    return problems_in(error) if isinstance(error, ValidationError) else str(error)


def _with(result: CreateResult, text: str) -> CreateResult:
    """The result with the JSON alone; the very same where it is nothing else, which the journal then refers to."""
    return result if text == result.content else result.model_copy(update={"content": text})


def _words_alone(options: Mapping[str, Any]) -> dict[str, Any]:
    """Who is to mend a reply is not to begin anew with tools."""
    kept = {name: value for name, value in options.items() if name != "tools"}
    return {**kept, "tool_choice": "none"} if options.get("tools") else kept


def _calls_before(messages: Sequence[LLMMessage]) -> list[list[FunctionCall]]:
    """The calls of this turn so far, latest first: those that nothing but results and calls came after."""
    found = []
    for message in reversed(messages):
        if isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            found.append(message.content)
        elif not isinstance(message, FunctionExecutionResultMessage):
            break
    return found
