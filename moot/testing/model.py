"""A model for tests: it answers at once, the same to the same request, and remembers what it was asked."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelInfo,
    RequestUsage,
)

from moot.testing.performed import performed

Words: TypeAlias = str | list[FunctionCall]
"""What a model says: a text, or the tools that it wants to have called."""
Answer: TypeAlias = Callable[[Sequence[LLMMessage], int], Words | Awaitable[Words]]
"""Called with the request and the number of the call, from 1; may raise."""


class FakeModel(ChatCompletionClient):
    """A model client wherever AutoGen or Moot takes one. Needs no key and no network.

    `answers` is a function of the request and the number of the call, or a list. Of a list it gives the one whose turn
    it is in the request's own conversation: the first where the request holds no reply of the model, the second where
    it holds one... So a run that is resumed goes on in the list where it stood. Tool calls are a list of `tool_call`s;
    an exception in the list is raised. Without `answers` it says what it was asked.

    `usage` is how many tokens a request and a reply take. Raises RuntimeError when the list is over.
    """

    component_provider_override = "moot.testing.model.FakeModel"

    def __init__(
        self,
        answers: Answer | Sequence[Words | Exception] | None = None,
        *,
        usage: tuple[int, int] = (10, 5),
        max_output_tokens: int = 100,
    ) -> None:
        self.requests: list[list[LLMMessage]] = []
        """Every request, in order."""
        self.max_output_tokens = max_output_tokens
        self._answer: Answer = answers if callable(answers) else _from_list(answers)
        self._usage = usage

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.requests)

    async def create(self, messages: Sequence[LLMMessage], **_: Any) -> CreateResult:
        """The answer to one request."""
        self.requests.append(list(messages))
        performed("model")
        said = self._answer(messages, len(self.requests))
        content = await said if inspect.isawaitable(said) else said
        reason = "stop" if isinstance(content, str) else "function_calls"
        return CreateResult(finish_reason=reason, content=content, usage=RequestUsage(*self._usage), cached=False)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same, word by word."""
        result = await self.create(messages, **options)
        if isinstance(result.content, str):
            for word in result.content.split(" "):
                yield word + " "
        yield result

    async def close(self) -> None:
        """Nothing to give back."""

    def actual_usage(self) -> RequestUsage:
        """None that anybody pays."""
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        """None that anybody pays."""
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        """None."""
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        """Enough."""
        return 1_000_000

    @property
    def capabilities(self) -> Any:
        """AutoGen's older name for `model_info`."""
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """It can do everything."""
        return ModelInfo(vision=True, function_calling=True, json_output=True, family="unknown", structured_output=True)


def tool_call(name: str, arguments: Mapping[str, object] | None = None, id: str = "call") -> FunctionCall:
    """A model's wish to have a tool called, for a `FakeModel`'s answers. Parallel calls need ids of their own."""
    return FunctionCall(id=id, name=name, arguments=json.dumps(arguments or {}))


def _from_list(answers: Sequence[Words | Exception] | None) -> Answer:
    if answers is None:
        return lambda messages, number: f"reply to {len(messages)}: {str(messages[-1].content)[:40]}"
    given = list(answers)

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        place = sum(isinstance(message, AssistantMessage) for message in messages)
        if place >= len(given):
            raise RuntimeError(f"a FakeModel with {len(given)} answers was asked for answer {place + 1}")
        said = given[place]
        if isinstance(said, Exception):
            raise said
        return said

    return answer
