"""The questions of a run to people: which are open, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moot.chats.commands import Command, Decide
from moot.chats.event_types import RequestAsked, RequestDecided


@dataclass(frozen=True, slots=True)
class Request:
    """A durable question to a person about one exact payload. Decide with its `id` and `digest`."""

    id: str
    """Unique in its run: `q1`, `q2`, ..."""
    kind: str
    """`input`, `code`, `tool`, or `doubt`: whether to make an effect again of which nobody knows what became."""
    participant: str
    turn: int
    payload: Mapping[str, object]
    """What is decided about: a prompt, a block of code, a tool and its arguments."""
    digest: str
    allow: tuple[str, ...]
    """What may be decided: `approve`, `reject`, `respond`."""
    asked: float
    """Seconds since the epoch."""
    key: str
    """Where in the turn it was asked."""


@dataclass(slots=True)
class Requests:
    """Part of the fold. The first decision holds."""

    open: dict[str, Request] = field(default_factory=dict)
    decided: dict[str, RequestDecided] = field(default_factory=dict)
    asked: int = 0

    def ask(self, data: RequestAsked, turn: int, participant: str, ts: float) -> None:
        """Take a question in."""
        self.asked += 1
        self.open[data.id] = Request(
            id=data.id, kind=data.kind, participant=participant, turn=turn, payload=data.payload, digest=data.digest,
            allow=data.allow, asked=ts, key=data.key,
        )  # fmt: skip

    def decide(self, data: RequestDecided) -> Request | None:
        """Take a decision in: the question it answers, None where there is none."""
        self.decided[data.id] = data
        return self.open.pop(data.id, None)

    def take(self, command: Command | None) -> None:
        """Take in a decision that was posted and that no driver has seen yet."""
        if isinstance(command, Decide) and self.refusal(command.request, command.decision, command.digest) is None:
            self.decide(
                RequestDecided(
                    id=command.request, decision=command.decision, text=command.text, by=command.by,
                    digest=command.digest,
                )
            )  # fmt: skip

    def has(self, command: Decide) -> bool:
        """Whether just this was decided already."""
        before = self.decided.get(command.request)
        return before is not None and (before.decision, before.text) == (command.decision, command.text)

    def drop(self, turn: int) -> None:
        """The turn is over: nobody waits for what it still asked."""
        for name in [name for name, request in self.open.items() if request.turn == turn]:
            del self.open[name]

    def refusal(self, id: str, decision: str, digest: str) -> str | None:
        """Why a decision cannot be taken, None where it can."""
        if (before := self.decided.get(id)) is not None:
            who = f" by {before.by}" if before.by else ""
            return f"{id} was decided already: {before.decision}{who}"
        request = self.open.get(id)
        if request is None:
            waiting = f"; what waits: {', '.join(self.open)}" if self.open else "; nothing waits"
            return f"there is no question {id!r}{waiting}"
        if request.digest != digest:
            return f"{id} asks about something else than what was decided: look at it again"
        if decision not in request.allow:
            return f"{id} takes {' or '.join(request.allow)}, not {decision}"
        return None
