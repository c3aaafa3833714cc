"""One tool call of an agent as an effect: approved first where that is asked for, performed once, recorded."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MessageFactory,
    ModelClientStreamingChunkEvent,
)
from autogen_core.tools import TextResultContent, ToolResult

from moot.agents.edits import arguments_of
from moot.agents.effects import SCOPE, Codec, Doubt, Effect, Happened, Lookup, Scope, entered
from moot.agents.json_text import digest_of, whole_characters
from moot.agents.questions import NOT_MADE, Decision, Question
from moot.agents.seat import Inner
from moot.agents.tool_policy import AskOtherSide, ToolPolicy
from moot.agents.written import check_written, writable
from moot.termination.ledger import NOTHING, Cost

Hear = Callable[[object], None]
Arguments = Mapping[str, Any]
Perform = Callable[[Arguments], Awaitable["ToolDone"]]
"""Makes a call with these arguments."""


@dataclass(frozen=True, slots=True)
class ToolDone:
    """What came of a call: what the tool said while it worked, and its result."""

    inner: tuple[Inner, ...]
    result: ToolResult


class Call(NamedTuple):
    """One call and its place in the turn. The keys are taken at once: later, parallel calls could be in another order.

    `names` are all that the tool is known by.
    """

    here: Scope
    name: str
    names: frozenset[str]
    arguments: Arguments
    ident: str
    key: str
    asks: str
    below: Scope
    """The place of what is done inside the call."""
    edited_by: str = ""
    """Who replaced the arguments before the call was made."""

    @property
    def request(self) -> dict[str, object]:
        """What a person approves, and what a recorded result is bound to."""
        return {"tool": self.name, "arguments": self.arguments}

    def result(self, made: ToolResult) -> ToolResult:
        """What the model is told came of the call: where somebody edited it, that first, since its own arguments still
        stand before it.
        """
        if not self.edited_by:
            return made
        given = json.dumps(self.arguments, ensure_ascii=False)
        note = f"{self.edited_by} edited this call before it was made: {self.name} was called with {given}. Its result:"
        return made.model_copy(update={"result": [TextResultContent(content=whole_characters(note)), *made.result]})


class ToolCalls:
    """The tool calls of one agent. `messages` reads back what tools say while they work."""

    def __init__(self, policy: ToolPolicy, messages: MessageFactory) -> None:
        self._policy = policy
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Of each agent that is a tool, by the tool's name: whose call it is now, in the order of the calls."""
        self._codec: Codec[ToolDone] = Codec(_same, lambda recorded: _load(recorded, messages))

    def call(
        self, here: Scope, name: str, arguments: Arguments | None, call_id: str | None, own_name: str = ""
    ) -> Call:
        """A call that is about to be made. `own_name` is the tool's, where the model knows it by another one."""
        task = asyncio.current_task()
        if task is not None:  # one of AutoGen's, which waits for ever for a tool that was cut off
            here.conversation.own(task)
        given = arguments or {}
        ident = call_id or digest_of([name, given])
        names = frozenset({name, own_name or name})
        key, asks = here.key("tool", ident), here.key("ask-tool", ident)
        return Call(here, name, names, given, ident, key, asks, Scope(here.conversation, f"{key}/"))

    async def allowed(self, call: Call) -> Call | ToolResult:
        """The call as it may be made, or what the model is told instead. Asked before there is any intent: from inside
        an effect the turn could never become quiet.
        """
        approval = self._policy.approval(call.names)
        if approval is None:
            return call
        question = Question("tool", digest_of(call.request), call.request, approval.allow, approval.ask)
        decided = await call.here.conversation.ask(call.asks, question)
        match decided.decision:
            case "approve":
                return call
            case "edit":
                return call._replace(arguments=arguments_of(decided.edited), edited_by=decided.by or "a person")
            case _:
                return _told(call.name, decided, NOT_MADE)

    async def once(self, asked: Call, perform: Perform) -> ToolDone:
        """Make the call unless its result is recorded."""
        call = await self.allowed(asked)
        if isinstance(call, ToolResult):
            return ToolDone((), call)

        async def within() -> ToolDone:
            with entered(call.below):
                return _mended(await perform(call.arguments))

        request = Effect(
            "tool", digest_of(call.request), self._codec, NOTHING, _free, ident=call.ident, doubt=self._doubt(call),
            answered=lambda decided: ToolDone((), _told(call.name, decided, "may have been made, and is not repeated")),
            about=call.request,
        )  # fmt: skip
        done = await call.here.conversation.once(call.key, request, within)
        return ToolDone(done.inner, call.result(done.result))

    def turn(self, call: Call) -> asyncio.Lock:
        """Held while an agent that is a tool works, and while a person is asked whether it may. It has one memory: two
        calls at once would mix their messages, and after an interruption in another order.
        """
        return self._turns[call.name]

    async def within(self, asked: Call, perform: Perform) -> ToolDone:
        """A call whose own effects are journalled: no effect itself."""
        async with self.turn(asked):
            call = await self.allowed(asked)
            if isinstance(call, ToolResult):
                return ToolDone((), call)
            with entered(call.below):
                done = await perform(call.arguments)
            return ToolDone(done.inner, call.result(done.result))

    def _doubt(self, call: Call) -> Doubt | Lookup[ToolDone]:
        for name in sorted(call.names):
            if name in self._policy.lookup:
                return _asking(self._policy.lookup[name], call)
        return "park" if call.names & self._policy.side_effects else "retry"


def _asking(other_side: AskOtherSide, call: Call) -> Lookup[ToolDone]:
    async def look(key: str) -> Happened[ToolDone] | Doubt:
        found = await other_side(key, call.arguments)
        return "retry" if found is None else Happened(ToolDone((), _text(call.name, found)))

    return look


async def gathered(name: str, stream: AsyncIterator[object], hear: Hear) -> ToolDone:
    """All that a tool yields, heard as it comes. Pieces of text are shown and not kept."""
    inner: list[Inner] = []
    result: ToolResult | None = None
    async for item in stream:
        if isinstance(item, ToolResult):
            result = item
            continue
        if isinstance(item, BaseAgentEvent | BaseChatMessage) and not isinstance(item, ModelClientStreamingChunkEvent):
            check_written(f"the tool {name!r}", item)
            inner.append(item)
        hear(item)
    if result is None:
        raise RuntimeError(f"the tool {name!r} ended without a result")
    return ToolDone(tuple(inner), result)


async def or_fail(here: Scope, what: str, work: Awaitable[ToolDone]) -> ToolDone:
    """Nothing may be raised out of a tool: AssistantAgent would wait for ever for the end of its calls. What goes wrong
    beyond the tool's own errors, which are results, ends the turn instead.
    """
    try:
        return await work
    except BaseException as error:
        await failed(here, what, error)
        raise


async def failed(here: Scope, what: str, error: BaseException) -> None:
    """End the attempt, and do not return, unless it is being cut off anyway."""
    task = asyncio.current_task()
    cut_off = here.conversation.closed or (task is not None and task.cancelling())
    if cut_off or isinstance(error, GeneratorExit | KeyboardInterrupt | SystemExit):
        return
    if isinstance(error, Exception):
        await here.conversation.fail(error)
    try:
        raise RuntimeError(f"{what} cancelled itself") from error
    except RuntimeError as told:
        await here.conversation.fail(told)


def scope() -> Scope | None:
    """The place in the run where this is called from; None outside a run."""
    return SCOPE.get()


def _told(name: str, decided: Decision, became: str) -> ToolResult:
    """What the model is told of a call that a person decided about."""
    by = decided.by or "a person"
    if decided.decision == "respond":
        return _text(name, f"This call {became}. {by} answers: {decided.text}")
    why = f": {decided.text}" if decided.text else ""
    return _text(name, f"This call {became}: rejected by {by}{why}", is_error=True)


def _text(name: str, text: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(name=name, result=[TextResultContent(content=text)], is_error=is_error)


def _mended(done: ToolDone) -> ToolDone:
    """A result that models can be sent: half a character in it would break every later request."""
    parts = done.result.result
    if all(not isinstance(part, TextResultContent) or part.content.isascii() for part in parts):
        return done
    whole = [
        TextResultContent(content=whole_characters(part.content)) if isinstance(part, TextResultContent) else part
        for part in parts
    ]
    return ToolDone(done.inner, done.result.model_copy(update={"result": whole}))


def _same(done: ToolDone) -> object:
    """Written as it is, but for messages that lose something that way."""
    return {"inner": [writable(item) for item in done.inner], "result": done.result}


def _load(recorded: object, messages: MessageFactory) -> ToolDone:
    if isinstance(recorded, ToolDone):
        return recorded
    if not isinstance(recorded, dict):
        raise TypeError(f"a recorded tool call must be an object, got {type(recorded).__name__}")
    said, result = recorded["inner"], recorded["result"]
    inner = tuple(item for item in (_read(item, messages) for item in said) if item is not None)
    return ToolDone(inner, result if isinstance(result, ToolResult) else ToolResult.model_validate(result))


def _read(item: Any, messages: MessageFactory) -> Inner | None:
    """None for what cannot be read back, such as a message of a kind that nobody told of: it is for people to see, and
    no reason to fail every attempt.
    """
    if isinstance(item, BaseAgentEvent | BaseChatMessage):
        return item
    try:
        return messages.create(item)
    except ValueError:
        return None


def _free(done: ToolDone) -> Cost:
    return NOTHING
