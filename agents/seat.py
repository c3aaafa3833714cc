"""A participant at the table of one run: the agent that speaks, and what the journal needs to know of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, Protocol

from autogen_agentchat.base import ChatAgent, Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory, ModelClientStreamingChunkEvent
from autogen_core import CancellationToken

from moot.agents.context import JournalContext
from moot.agents.effects import Codec, Effect, effect
from moot.termination.ledger import Cost

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


@dataclass(slots=True)
class Seat:
    """`state` is None for an agent whose effects are journalled one by one; else its whole turn is one effect."""

    name: str
    agent: ChatAgent
    contexts: dict[str, JournalContext] = field(default_factory=dict)
    messages: MessageFactory = field(default_factory=MessageFactory)
    state: Mapping[str, Any] | None = None
    works: Works | None = None
    model_name: str | None = None
    model_kind: ModelKind | None = None

    def speak(self, inbox: Sequence[BaseChatMessage], token: CancellationToken) -> AsyncIterator[Item]:
        """The participant's turn: inner events and at last its `Response`."""
        if self.state is None:
            return self.agent.on_messages_stream(inbox, token)
        return self._whole_turn(inbox, token)

    async def _whole_turn(self, inbox: Sequence[BaseChatMessage], token: CancellationToken) -> AsyncIterator[Item]:
        before = self.state

        async def perform() -> dict[str, Any]:
            if before:
                await self.agent.load_state(before)  # an attempt that failed may have left traces
            inner: list[Any] = []
            reply: Response | None = None
            async for item in self.agent.on_messages_stream(inbox, token):
                if isinstance(item, Response):
                    reply = item
                elif not isinstance(item, ModelClientStreamingChunkEvent):
                    inner.append(item.dump())
            if reply is None:
                raise RuntimeError(f"{self.name} gave no response")
            used = reply.chat_message.models_usage
            return {
                "inner": inner,
                "reply": reply.chat_message.dump(),
                "state": dict(await self.agent.save_state()),
                "tokens": [used.prompt_tokens, used.completion_tokens] if used else [0, 0],
            }

        done = await effect(Effect("turn", _digest([m.id for m in inbox]), _WHOLE, Cost(), _spent), perform)
        self.state = done["state"]
        for data in done["inner"]:
            yield self.messages.create(data)
        said = self.messages.create(done["reply"])
        if not isinstance(said, BaseChatMessage):
            raise RuntimeError(f"{self.name} answered with {type(said).__name__}, which is no chat message")
        yield Response(chat_message=said)


def _load(result: object) -> dict[str, Any]:
    if not isinstance(result, dict):
        raise TypeError(f"a recorded turn must be an object, got {type(result).__name__}")
    return result


def _spent(done: Mapping[str, Any]) -> Cost:
    tokens = done["tokens"]
    return Cost(tokens[0], tokens[1], None if any(tokens) else 0.0)


def _digest(value: object) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=12).hexdigest()


_WHOLE: Codec[dict[str, Any]] = Codec(lambda done: done, _load)
