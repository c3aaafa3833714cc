"""A turn that was given to somebody: what is known of it before it is finished, and what it leaves then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from autogen_agentchat.messages import BaseChatMessage

from moot.chats.event_types import CodeFinished


class Recorded(NamedTuple):
    """What an open turn already knows of one effect."""

    digest: str
    state: Literal["intended", "completed", "failed", "doubtful", "asked", "decided"]
    """`doubtful`: nobody knows what became of it, and a person is to say."""
    result: object = None
    """Of a question: its `Decision`."""
    tries: int = 0
    """How often it was begun."""


@dataclass(slots=True)
class OpenTurn:
    """A turn that was given to somebody and is not finished. Everything but `recorded` belongs to the latest
    attempt.
    """

    number: int
    step: int
    participant: str
    attempts: int = 0
    failures: int = 0
    """Attempts that failed since somebody began to drive the run."""
    started: float = 0.0
    seen: int = 0
    """How much of the inbox the attempt was given."""
    running: bool = False
    """Whether the latest attempt has neither finished, failed nor been abandoned."""
    recorded: dict[str, Recorded] = field(default_factory=dict)
    code: list[CodeFinished] = field(default_factory=list)


@dataclass(slots=True)
class Gained:
    """What a finished turn left for its participant's private state."""

    participant: str
    inbox: list[BaseChatMessage]
    contexts: Mapping[str, list[object]]
    results: Mapping[str, object]
    state: str | None
    """The key of the result that holds the participant's changed state."""
