"""A participant at the table of one run: the agent that speaks, and what the journal needs to know of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, Protocol
from weakref import WeakValueDictionary

from autogen_agentchat.base import ChatAgent, Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory, ModelClientStreamingChunkEvent
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient

from moot.agents.context import JournalContext, Mark
from moot.agents.effects import Codec, Effect, effect
from moot.agents.journalled_code import JournalledExecutor
from moot.agents.json_text import snapshot
from moot.agents.written import check_readable, check_written, writable
from moot.termination.ledger import NOTHING, Cost

Inner = BaseAgentEvent | BaseChatMessage
Hear = Callable[[Inner], None]
ModelKind = Literal["scripted", "replayed", "real"]


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a participant finds when the run is opened: its files by name, and whether it has worked here before."""

    run: str
    files: Mapping[str, bytes]
    resumed: bool = False


class Works(Protocol):
    """An agent with something to open before a run and to close after it, such as the executor's sandbox."""

    def open(self, workplace: Workplace) -> None:
        """Begin to open; must not block."""
        ...

    async def shut(self) -> None:
        """Give back everything, however the run ended."""
        ...


@dataclass(frozen=True, slots=True)
class WholeTurn:
    """All that came of a turn whose inside nobody can see. `state` is the agent's, None where it is as before."""

    inner: tuple[Inner, ...]
    reply: BaseChatMessage
    state: Mapping[str, Any] | None
    tokens: tuple[int, int]


class SeatMark(NamedTuple):
    """Where a participant's private state stood before a turn."""

    contexts: Mapping[str, Mark]
    state: str | None


@dataclass(slots=True, weakref_slot=True, eq=False)
class Seat:
    """A participant. Where `state` is None its effects are journalled one by one; else its whole turn is one effect."""

    name: str
    agent: ChatAgent
    contexts: dict[str, JournalContext] = field(default_factory=dict)
    messages: MessageFactory = field(default_factory=MessageFactory)
    state: str | None = None
    """The agent's own state as JSON, cut off from the agent; empty as long as nobody has asked for it."""
    keeps_state: bool = True
    """Whether there is any: an agent that inherits AutoGen's empty `save_state` need not be asked after every turn."""
    works: Works | None = None
    executors: list[JournalledExecutor] = field(default_factory=list)
    """What runs the code of an agent, and of agents that are its tools."""
    model_name: str | None = None
    model_kind: ModelKind | None = None
    made_client: ChatCompletionClient | None = None
    """The model client that was made for this seat and goes with it; one of the user's own is theirs to close."""
    says: Callable[[BaseChatMessage], BaseChatMessage] | None = None
    """How what the agent replies is said in the chat, where that is another message."""
    _stale: bool = False
    """Whether the agent is to be given `state` back before it speaks: an attempt failed, the process is a new one, or
    its turn was served from the journal.
    """
    _performed: bool = False
    _spoken: WholeTurn | None = None
    _codec: Codec[WholeTurn] = field(init=False)

    def __post_init__(self) -> None:
        self._codec = Codec(_dump, self._load)

    def take(self) -> bool:
        """Hold the agent until `shut`; False while another run holds it: an agent that is not copied has one memory."""
        return self.state is None or _HELD.setdefault(id(self.agent), self) is self

    async def shut(self) -> None:
        """Give back all that the seat holds, however the run ended: workplace, model client and agent."""
        if _HELD.get(id(self.agent)) is self:
            del _HELD[id(self.agent)]
        try:
            if self._stale and self.state:  # it goes back to its owner as it was before the turn that was cut off
                await self.agent.load_state(json.loads(self.state))
            if self.works is not None:
                await self.works.shut()
        finally:
            if self.made_client is not None:
                await self.made_client.close()

    async def speak(self, inbox: Sequence[BaseChatMessage], token: CancellationToken, hear: Hear) -> BaseChatMessage:
        """Take the turn: the reply. What comes before it (thoughts, tool calls, pieces of text) is given to `hear`."""
        if self.state is None:
            return await self._reply(inbox, token, hear)
        digest = blake2b("\n".join([m.id for m in inbox]).encode(), digest_size=12).hexdigest()
        request = Effect("turn", digest, self._codec, NOTHING, _spent)
        self._performed = False
        done = self._spoken = await effect(request, lambda: self._whole_turn(inbox, token, hear))
        if not self._performed:
            self.restore_state(done)
        for item in done.inner:
            hear(item)
        return done.reply

    async def _reply(self, inbox: Sequence[BaseChatMessage], token: CancellationToken, hear: Hear) -> BaseChatMessage:
        reply: Response | None = None
        async for item in self.agent.on_messages_stream(inbox, token):  # to the end: some work on after the Response
            if isinstance(item, Response):
                reply = item
            else:
                check_written(self.name, item)
                hear(item)
        if reply is None:
            raise RuntimeError(f"{self.name} gave no response")
        said = reply.chat_message if self.says is None else self.says(reply.chat_message)
        check_written(self.name, said)
        if getattr(said, "source", self.name) != self.name:
            # whose code is run, and whose words a person approves, goes by the source: nobody speaks in another's name
            said = said.model_copy(update={"source": self.name})
        return said

    async def _whole_turn(self, inbox: Sequence[BaseChatMessage], token: CancellationToken, hear: Hear) -> WholeTurn:
        if self.keeps_state and not self.state:
            self.state = snapshot(await self.agent.save_state())
        elif self.state and self._stale:
            await self.agent.load_state(json.loads(self.state))
        self._stale, self._performed = False, True
        inner: list[Inner] = []

        def keep(item: Inner) -> None:
            # pieces of text are shown as they come; the rest is heard when the turn is recorded
            (hear if isinstance(item, ModelClientStreamingChunkEvent) else inner.append)(item)

        reply = await self._reply(inbox, token, keep)
        if not isinstance(reply, BaseChatMessage):
            raise RuntimeError(f"{self.name} answered with a {type(reply).__name__}")
        state, before = None, self.state
        if self.keeps_state and (after := snapshot(await self.agent.save_state())) != before:
            check_readable(f"the state of {self.name}", after)
            self.state, state = after, json.loads(after)
        return WholeTurn(tuple(inner), reply, state, _tokens((*inner, reply)))

    def mark(self) -> SeatMark:
        """Where the private state stands now."""
        return SeatMark({path: context.mark() for path, context in self.contexts.items()}, self.state)

    def rollback(self, mark: SeatMark) -> None:
        """Undo what an attempt did to the private state."""
        for path, context in self.contexts.items():
            context.rollback(mark.contexts[path])
        self.state, self._stale = mark.state or self.state, True

    def gained(
        self, mark: SeatMark, inbox: Sequence[BaseChatMessage], results: Mapping[int, str]
    ) -> dict[str, list[object]]:
        """What each context gained in the turn. `results` maps ids of this turn's results to their keys."""
        return {path: context.added(mark.contexts[path], inbox, results) for path, context in self.contexts.items()}

    def state_key(self, results: Mapping[int, str]) -> str | None:
        """The key of the result that holds the agent's new state, None where it did not change."""
        spoken, self._spoken = self._spoken, None
        return results[id(spoken)] if spoken is not None and spoken.state is not None else None

    async def restore(
        self, contexts: Mapping[str, list[object]], inbox: Sequence[BaseChatMessage], results: Mapping[str, object]
    ) -> None:
        """Take in what a finished turn had left in the contexts, and whether code had run in it."""
        for executor in self.executors:
            executor.worked |= any(key.rpartition("/")[0].endswith("code") for key in results)
        for path, added in contexts.items():
            if path in self.contexts:
                await self.contexts[path].restore(added, inbox, results)

    def restore_state(self, result: object) -> None:
        """Take in the state that a finished turn had left."""
        if self.state is not None and (state := self._load(result).state) is not None:
            self.state, self._stale = snapshot(state), True

    def _load(self, result: object) -> WholeTurn:
        """From itself, or from what JSON made of it."""
        if isinstance(result, WholeTurn):
            return result
        if not isinstance(result, dict):
            raise TypeError(f"a recorded turn must be an object, got {type(result).__name__}")
        reply = self._message(result["reply"])
        if not isinstance(reply, BaseChatMessage):
            raise TypeError(f"{self.name} answered with a {type(reply).__name__}, which is no chat message")
        inner = tuple(self._message(item) for item in result["inner"])
        given, taken = result["tokens"]
        return WholeTurn(inner, reply, result["state"], (given, taken))

    def _message(self, recorded: Any) -> Inner:
        return recorded if isinstance(recorded, BaseAgentEvent | BaseChatMessage) else self.messages.create(recorded)


_HELD: WeakValueDictionary[int, Seat] = WeakValueDictionary()
"""The seat that holds an agent, by the agent's `id`, which stays its own as long as the seat is there."""


def _dump(done: WholeTurn) -> object:
    inner, reply = [writable(item) for item in done.inner], writable(done.reply)
    return {"inner": inner, "reply": reply, "state": done.state, "tokens": done.tokens}


def _tokens(messages: Sequence[Inner]) -> tuple[int, int]:
    """Each message says what the model calls behind it took, where there were any."""
    given = taken = 0
    for message in messages:
        if (used := message.models_usage) is not None:
            given, taken = given + used.prompt_tokens, taken + used.completion_tokens
    return given, taken


def _spent(done: WholeTurn) -> Cost:
    given, taken = done.tokens
    return Cost(given, taken, None) if given or taken else NOTHING
