"""Workbenches and hand-off tools whose calls are effects. Outside a run they are what they stand for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, nullcontext
from typing import Any

from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, StaticStreamWorkbench, StaticWorkbench, ToolResult, ToolSchema, Workbench
from pydantic import BaseModel

from moot.agents.effects import entered
from moot.agents.tool_calls import Call, ToolCalls, ToolDone, failed, gathered, or_fail, scope

Arguments = Mapping[str, Any]
Stream = Callable[[Arguments], AsyncGenerator[object, None]]
"""Begins a call with these arguments."""


class JournalledWorkbench(Workbench):
    """Any workbench: its calls are effects.

    `agents` names the tools that are agents whose own effects are journalled: such a call is a scope, and no effect.
    """

    component_provider_override = "moot.agents.journalled_tools.JournalledWorkbench"

    def __init__(self, inner: Workbench, calls: ToolCalls, agents: frozenset[str] = frozenset()) -> None:
        self._inner, self._calls, self._agents = inner, calls, agents
        self._own_names: Mapping[str, str] = getattr(inner, "_override_name_to_original", {})
        self._schemas: list[ToolSchema] | None = None

    async def list_tools(self) -> list[ToolSchema]:
        """The wrapped workbench's. Not recorded: a tool that vanished shows as divergence."""
        if self._schemas is not None:
            return self._schemas
        here = scope()
        try:
            with here.conversation.busy() if here is not None else nullcontext():
                schemas = await self._inner.list_tools()
        except BaseException as error:  # asked for during a tool call, too, out of which nothing may be raised
            if here is not None:
                await failed(here, "list_tools", error)
            raise
        if type(self._inner) in (StaticWorkbench, StaticStreamWorkbench):
            self._schemas = schemas  # AutoGen makes every JSON schema anew, whenever it is asked
        return schemas

    async def call_tool(
        self,
        name: str,
        arguments: Arguments | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """One call, made unless its result is recorded."""
        here = scope()
        if here is None:
            return await self._inner.call_tool(name, arguments, cancellation_token, call_id)
        own_name = self._own_names.get(name, name)
        call = self._calls.call(here, name, arguments, call_id, own_name)

        async def perform(given: Arguments) -> ToolDone:
            return ToolDone((), await self._inner.call_tool(name, given, cancellation_token, call_id))

        made = self._calls.within(call, perform) if own_name in self._agents else self._calls.once(call, perform)
        return (await or_fail(here, f"the tool {name!r}", made)).result

    async def start(self) -> None:
        """Start the wrapped workbench."""
        await self._inner.start()

    async def stop(self) -> None:
        """Stop the wrapped workbench."""
        await self._inner.stop()

    async def reset(self) -> None:
        """Reset the wrapped workbench."""
        await self._inner.reset()

    async def save_state(self) -> Mapping[str, Any]:
        """The wrapped workbench's."""
        return await self._inner.save_state()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Give the wrapped workbench its state."""
        await self._inner.load_state(state)


class JournalledStreamWorkbench(JournalledWorkbench, StaticStreamWorkbench):
    """The same for tools that say something while they work. AssistantAgent asks for it by its class: as any other
    workbench it would lose what they say.
    """

    component_provider_override = "moot.agents.journalled_tools.JournalledStreamWorkbench"

    def __init__(self, inner: StaticStreamWorkbench, calls: ToolCalls, agents: frozenset[str] = frozenset()) -> None:
        StaticStreamWorkbench.__init__(self, inner._tools, inner._tool_overrides)
        JournalledWorkbench.__init__(self, inner, calls, agents)
        self._stream = inner

    async def call_tool_stream(
        self,
        name: str,
        arguments: Arguments | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> AsyncGenerator[Any | ToolResult, None]:
        """One call, made unless its result is recorded; what the tool says meanwhile is given as it comes, or again."""
        own_name = self._own_names.get(name, name)  # AutoGen forgets this when it streams

        def stream(given: Arguments | None) -> AsyncGenerator[object, None]:
            return self._stream.call_tool_stream(own_name, given, cancellation_token, call_id)

        here = scope()
        if here is None:
            items = stream(arguments)
        else:
            call = self._calls.call(here, name, arguments, call_id, own_name)
            items = self._as_scope(call, stream) if own_name in self._agents else self._as_effect(call, stream)
        async with aclosing(items):
            async for item in items:
                yield item

    async def _as_effect(self, call: Call, stream: Stream) -> AsyncGenerator[object, None]:
        said: asyncio.Queue[object] = asyncio.Queue()
        over = object()
        performed = False

        async def perform(given: Arguments) -> ToolDone:
            nonlocal performed
            performed = True
            return await gathered(call.name, stream(given), said.put_nowait)

        # a task of its own: the effect must not be torn apart by the consumer's pauses between two events
        task = asyncio.ensure_future(or_fail(call.here, f"the tool {call.name!r}", self._calls.once(call, perform)))
        task.add_done_callback(lambda _: said.put_nowait(over))
        try:
            while (item := await said.get()) is not over:
                yield item
            done = await task
        finally:
            if not task.cancelling():  # a second time would cut off how it cleans up
                task.cancel()
        if not performed:
            for item in done.inner:
                yield item
        yield done.result

    async def _as_scope(self, asked: Call, stream: Stream) -> AsyncGenerator[object, None]:
        try:
            async with self._calls.turn(asked):
                call = await self._calls.allowed(asked)
                if isinstance(call, ToolResult):
                    yield call
                    return
                async with aclosing(stream(call.arguments)) as items:
                    while True:
                        with entered(call.below):  # around each step: a generator runs in its consumer's context
                            item = await anext(items, None)
                        if item is None:
                            return
                        yield call.result(item) if isinstance(item, ToolResult) else item
        except BaseException as error:
            await failed(asked.here, f"the agent {asked.name!r}", error)
            raise


class JournalledHandoff(BaseTool[BaseModel, Any]):
    """A hand-off tool with code of its own: its call is an effect."""

    component_provider_override = "moot.agents.journalled_tools.JournalledHandoff"

    def __init__(self, inner: BaseTool[Any, Any], calls: ToolCalls) -> None:
        super().__init__(inner.args_type(), inner.return_type(), inner.name, inner.description)
        self._inner, self._calls = inner, calls

    @property
    def schema(self) -> ToolSchema:
        """The wrapped tool's."""
        return self._inner.schema

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> Any:
        """The wrapped tool's."""
        return await self._inner.run(args, cancellation_token)

    async def run_json(self, args: Arguments, cancellation_token: CancellationToken, call_id: str | None = None) -> Any:
        """One call, made unless its result is recorded: the result as text."""
        here = scope()
        if here is None:
            return await self._inner.run_json(args, cancellation_token, call_id)
        args = _object(args)

        async def perform(given: Arguments) -> ToolDone:
            text = self._inner.return_value_as_string(await self._inner.run_json(given, cancellation_token, call_id))
            return ToolDone((), ToolResult.model_validate({"name": self.name, "result": [_content(text)]}))

        call = self._calls.call(here, self.name, args, call_id)
        return (await or_fail(here, f"the hand-off {self.name!r}", self._calls.once(call, perform))).result.to_text()

    def return_value_as_string(self, value: Any) -> str:
        """A text stays as it is."""
        return value if isinstance(value, str) else self._inner.return_value_as_string(value)


class PlainHandoff(JournalledHandoff):
    """AutoGen's own hand-off tool, which only returns a text: no effect. What it cannot take for arguments (small
    models give `null`) is none, and nothing is raised out of it.
    """

    component_provider_override = "moot.agents.journalled_tools.PlainHandoff"

    async def run_json(self, args: Arguments, cancellation_token: CancellationToken, call_id: str | None = None) -> Any:
        """The wrapped tool's."""
        here = scope()
        try:
            return await self._inner.run_json(_object(args), cancellation_token, call_id)
        except BaseException as error:
            if here is not None:
                await failed(here, f"the hand-off {self.name!r}", error)
            raise


def _object(given: object) -> Arguments:
    return given if isinstance(given, Mapping) else {}


def _content(text: str) -> dict[str, str]:
    return {"type": "TextResultContent", "content": text}
