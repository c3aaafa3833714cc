"""A participant at the table of one run: the agent that speaks, and what the journal needs to know of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, Protocol

from autogen_agentchat.base import ChatAgent, Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory, ModelClientStreamingChunkEvent
from autogen_core import CancellationToken

from moot.agents.context import JournalContext, Mark
from moot.agents.effects import SCOPE, Codec, Effect, effect
from moot.agents.json_text import snapshot
from moot.termination.ledger import NOTHING, Cost

Item = BaseAgentEvent | BaseChatMessage | Response
ModelKind = Literal["scripted", "real"]


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

    inner: tuple[BaseAgentEvent | BaseChatMessage, ...]
    reply: BaseChatMessage
    state: Mapping[str, Any] | None
    tokens: tuple[int, int]


class SeatMark(NamedTuple):
    """Where a participant's private state stood before a turn."""

    contexts: Mapping[str, Mark]
    state: str | None


@dataclass(slots=True)
class Seat:
    """A participant. Where `state` is None its effects are journalled one by one; else its whole turn is one effect."""

    name: str
    agent: ChatAgent
    contexts: dict[str, JournalContext] = field(default_factory=dict)
    messages: MessageFactory = field(default_factory=MessageFactory)
    state: str | None = None
    """The agent's own state as JSON, cut off from the agent; empty as long as nobody has asked for it."""
    works: Works | None = None
    model_name: str | None = None
    model_kind: ModelKind | None = None
    _stale: bool = False
    """Whether the agent is to be given `state` back before it speaks: an attempt failed, or the process is a new
    one.
    """
    _spoken: WholeTurn | None = None

    def speak(self, inbox: Sequence[BaseChatMessage], token: CancellationToken) -> AsyncIterator[Item]:
        """The participant's turn: inner events and at last its `Response`."""
        if self.state is None:
            return self.agent.on_messages_stream(inbox, token)
        return self._whole_turn(inbox, token)

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
        """Take in what a finished turn had left in the contexts."""
        for path, added in contexts.items():
            if path in self.contexts:
                await self.contexts[path].restore(added, inbox, results)

    def restore_state(self, result: object) -> None:
        """Take in the state that a finished turn had left."""
        if self.state is not None and (state := self._load(result).state) is not None:
            self.state, self._stale = snapshot(state), True

    async def _whole_turn(self, inbox: Sequence[BaseChatMessage], token: CancellationToken) -> AsyncIterator[Item]:
        digest = blake2b("\n".join([m.id for m in inbox]).encode(), digest_size=12).hexdigest()
        request = Effect("turn", digest, Codec(_same, self._load), NOTHING, _spent)
        done = self._spoken = await effect(request, lambda: self._perform(inbox, token))
        if done.state is not None:
            self.state = snapshot(done.state)
        for item in done.inner:
            yield item
        yield Response(chat_message=done.reply)

    async def _perform(self, inbox: Sequence[BaseChatMessage], token: CancellationToken) -> WholeTurn:
        if not self.state:
            self.state = snapshot(await self.agent.save_state())
        elif self._stale:
            await self.agent.load_state(json.loads(self.state))
        self._stale = False
        inner: list[BaseAgentEvent | BaseChatMessage] = []
        reply: Response | None = None
        here = SCOPE.get()
        async for item in self.agent.on_messages_stream(inbox, token):
            if isinstance(item, Response):
                reply = item
            elif not isinstance(item, ModelClientStreamingChunkEvent):
                inner.append(item)
            elif here is not None:
                here.conversation.draft("token", item.content)
        said = None if reply is None else reply.chat_message
        if not isinstance(said, BaseChatMessage):
            raise RuntimeError(
                f"{self.name} gave no response"
                if said is None
                else f"{self.name} answered with a {type(said).__name__}"
            )
        after = snapshot(await self.agent.save_state())
        state = None if after == self.state else json.loads(after)
        return WholeTurn(tuple(inner), said, state, _tokens((*inner, said)))

    def _load(self, result: object) -> WholeTurn:
        """From itself, or from what JSON made of it."""
        if isinstance(result, WholeTurn):
            return result
        if not isinstance(result, dict):
            raise TypeError(f"a recorded turn must be an object, got {type(result).__name__}")
        reply = self.messages.create(result["reply"])
        if not isinstance(reply, BaseChatMessage):
            raise TypeError(f"{self.name} answered with a {type(reply).__name__}, which is no chat message")
        inner = tuple(self.messages.create(item) for item in result["inner"])
        given, taken = result["tokens"]
        return WholeTurn(inner, reply, result["state"], (given, taken))


def _same(done: WholeTurn) -> object:
    return done


def _tokens(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> tuple[int, int]:
    """Each message says what the model calls behind it took, where there were any."""
    used = [m.models_usage for m in messages if m.models_usage is not None]
    return sum(u.prompt_tokens for u in used), sum(u.completion_tokens for u in used)


def _spent(done: WholeTurn) -> Cost:
    given, taken = done.tokens
    return Cost(given, taken, None) if given or taken else NOTHING
