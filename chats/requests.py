"""The questions of a run to people: which are open, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from moot.agents.edits import editable, fits, same
from moot.chats.commands import Command, Decide
from moot.chats.event_types import RequestAsked, RequestDecided, RunFinished


@dataclass(frozen=True, slots=True)
class Request:
    """A durable question to a person about one exact payload. Decide with its `id` and `digest`."""

    id: str
    """Unique in its run: `q1`, `q2`, ..."""
    kind: str
    """`input`, `code`, `tool`, `message`, or `doubt`: whether to make an effect again of which nobody knows what
    became.
    """
    participant: str
    turn: int
    payload: Mapping[str, object]
    """What is decided about: a prompt, a block of code, a tool and its arguments, what somebody said."""
    digest: str
    allow: tuple[str, ...]
    """What may be decided: `approve`, `edit`, `reject`, `respond`."""
    asked: float
    """Seconds since the epoch."""
    key: str
    """Where in the turn it was asked."""
    ask: str = "anyone"
    """Who is asked: a person at the table, or anyone."""


@dataclass(slots=True)
class Requests:
    """Part of the fold. The first decision holds."""

    open: dict[str, Request] = field(default_factory=dict)
    decided: dict[str, RequestDecided] = field(default_factory=dict)
    asked: int = 0
    approved: dict[tuple[str, str], int] = field(default_factory=dict)
    """The turn in which something was first approved as it was, by who had asked and of what kind it was."""

    def ask(self, data: RequestAsked, turn: int, participant: str, ts: float) -> None:
        """Take a question in."""
        self.asked += 1
        self.open[data.id] = Request(
            id=data.id, kind=data.kind, participant=participant, turn=turn, payload=data.payload, digest=data.digest,
            allow=data.allow, asked=ts, key=data.key, ask=data.ask,
        )  # fmt: skip

    def decide(self, data: RequestDecided) -> Request | None:
        """Take a decision in: the question it answers, None where there is none."""
        self.decided[data.id] = data
        request = self.open.pop(data.id, None)
        if request is not None and data.decision == "approve":
            self.approved.setdefault((request.participant, request.kind), request.turn)
        return request

    def let(self, participant: str, kind: str, *, before: int) -> bool:
        """Whether something of that kind that the participant asked about was approved as it was before that turn."""
        return self.approved.get((participant, kind), before) < before

    def take(self, command: Command | None) -> None:
        """Take in a decision that was posted and that no driver has seen yet."""
        if isinstance(command, Decide) and self.refusal(command) is None:
            self.decide(
                RequestDecided(
                    id=command.request, decision=command.decision, text=command.text, by=command.by,
                    edited=command.edited, digest=command.digest,
                )
            )  # fmt: skip

    def has(self, command: Decide) -> bool:
        """Whether just this was decided already."""
        before = self.decided.get(command.request)
        return before is not None and said_in(before) == said_in(command)

    def drop(self, turn: int) -> None:
        """The turn is over: nobody waits for what it still asked."""
        for name in [name for name, request in self.open.items() if request.turn == turn]:
            del self.open[name]

    def end(self, data: RunFinished) -> None:
        """The run is over: nobody waits for anything, unless it can be gone on with."""
        if not data.cause:
            self.open.clear()

    def refusal(self, command: Decide) -> str | None:
        """Why a decision cannot be taken, None where it can."""
        name = command.request
        if (before := self.decided.get(name)) is not None:
            who = f" by {before.by}" if before.by else ""
            return f"{name} was decided already: {before.decision}{who}"
        request = self.open.get(name)
        if request is None:
            waiting = f"; what waits: {', '.join(self.open)}" if self.open else "; nothing waits"
            return f"there is no question {name!r}{waiting}"
        if request.digest != command.digest:
            return f"{name} asks about something else than what was decided: look at it again"
        if command.decision not in request.allow:
            return f"{name} takes {' or '.join(request.allow)}, not {command.decision}"
        return unfit(request, command)


def said_in(decided: Decide | RequestDecided) -> tuple[str, str, str]:
    """What a decision says, whoever takes it: the same twice is the same decision."""
    return decided.decision, decided.text, decided.edited


def unfit(request: Request, command: Decide) -> str | None:
    """Why a decision that is allowed says too little or too much, None where it does not."""
    if command.decision == "respond" and not command.text.strip():
        return f"an answer to {request.id} needs some text"
    if command.decision != "edit":
        return f"only an edit of {request.id} takes an edited text" if command.edited else None
    shown = editable(request.kind, request.payload)
    if shown is None:
        return f"{request.id} shows nothing that can be edited"
    if (why := fits(request.kind, command.edited)) is not None:
        return f"what was made of {request.id} does not fit: {why}"
    if same(request.kind, shown, command.edited):
        return f"the edit of {request.id} changes nothing: approve it as it is"
    return None
