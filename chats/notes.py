"""What happens in a run besides its turns, in words: questions to people and their answers, what somebody asked of the
run from outside, effects that nobody knows the end of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moot.agents.approval import ANYONE
from moot.chats import event_types as ev
from moot.chats.calls import call_words
from moot.chats.clean import shown_json
from moot.chats.event_types import RequestDecided
from moot.chats.events import Event
from moot.chats.requests import Request


@dataclass(frozen=True, slots=True)
class Note:
    """Something besides the turns, in its place: after which turn, of what kind, in words on one line."""

    turn: int
    kind: str
    text: str
    body: str = ""
    """What was said, as it was said: any number of lines."""
    by: str = ""
    """Who said it, where it was somebody."""


@dataclass(slots=True)
class Asked:
    """A question to a person, and what became of it."""

    request: Request
    decided: RequestDecided | None = None
    dropped: bool = False
    """Whether its turn, or the run, ended without an answer: nobody waits for one any more."""

    @property
    def waits(self) -> bool:
        """Whether somebody is to decide it."""
        return self.decided is None and not self.dropped


VERDICTS: Mapping[str, str] = {
    "approve": "approved",
    "edit": "edited and approved",
    "reject": "rejected",
    "respond": "answered",
}
"""What was done to a question, by verdict."""
_DOUBTS: Mapping[str, str] = {
    "retry": "it is made again",
    "park": "a person is asked",
    "found": "it was looked up, and what came of it counts",
    "given up": "it is not asked for again",
}
_CODE_LOST = "it is not run again: the variables of the code before it went with that process, and the coder is told"


def question(request: Request) -> str:
    """`ann asks whether to run this code`."""
    facts, who = request.payload, request.participant or "somebody"
    asks = f"{who} asks {request.ask}" if request.ask not in (ANYONE, who) else f"{who} asks"
    match request.kind:
        case "code":
            return f"{asks} whether to run this code{_origin(facts)}"
        case "tool":
            return f"{asks} whether to call {facts.get('tool', 'a tool')}"
        case "input":
            return f"{who} is asked for an answer" if request.ask == who else f"{asks} for an answer"
        case "message":
            prompt = facts.get("prompt")
            words = f": {prompt}" if isinstance(prompt, str) and prompt.strip() else ""
            return f"{who} decides about what {facts.get('from', 'somebody')} says{words}"
        case "doubt":
            return f"{who}: nobody knows whether {doubted(request)} was made; is it to be made again?"
        case kind:
            return f"{who} asks for a decision ({kind})"


def _origin(facts: Mapping[str, object]) -> str:
    """Whose code it is, and what it would run in."""
    whose = f" of {facts['from']}" if facts.get("from") else ""
    places = ", ".join(f"{name} {facts[name]}" for name in ("image", "network") if facts.get(name))
    return whose + (f" ({places})" if places else "")


def doubted(request: Request) -> str:
    """What a question about an effect in doubt is about: `pay(amount=3)`, or its kind and key where it is no call."""
    facts = request.payload
    if "tool" in facts:
        return call_words(facts["tool"], facts.get("arguments", {}))
    return f"{facts.get('effect', 'effect')} {facts.get('key', '')}".strip()


def payload(request: Request) -> str:
    """What is decided about, as text: the message, the prompt, the code, the arguments; JSON where it is none of
    these.
    """
    facts = request.payload
    for name in ("message",) if request.kind == "message" else ("prompt", "code"):
        if isinstance(text := facts.get(name), str):
            return text
    shown = facts.get("arguments", {}) if request.kind == "tool" else facts
    return shown_json(shown)


def decided(asked: Asked | None, data: RequestDecided) -> Note:
    """Who decided what, in the turn it was asked in."""
    who = data.by or "somebody"
    text = f"{data.id} {VERDICTS[data.decision]} by {who}"
    changed = (data.diff or data.edited) if data.decision == "edit" else ""
    body = "\n\n".join(part for part in (data.text, changed) if part.strip())
    return Note(asked.request.turn if asked is not None else 0, "decided", text, body, who)


def doubt(event: Event, data: ev.EffectUnknown, called: tuple[str, str]) -> Note:
    """What was done about an effect of which nobody knows the end. `called`: its kind, and its name for people."""
    kind, what = called
    became = _CODE_LOST if (kind, data.then) == ("code", "found") else _DOUBTS.get(data.then, data.then)
    if data.then == "raised":
        error, _, more = data.error.partition("\n")
        text = f"{event.participant}: {what} ended with {error or 'an error'}: nobody knows whether it was made"
        return Note(event.turn, "doubt", text, more)
    return Note(event.turn, "doubt", f"{event.participant}: {what} was under way when its process ended: {became}")


def said(data: ev.HumanSaid, text: str, turn: int) -> Note:
    """What a person said, after that turn."""
    whom = ", ".join(data.to) if data.to is not None else "everybody"
    return Note(turn, "said", f"{data.by or 'somebody'} to {whom}", text, data.by)


def command(data: object, turn: int) -> Note | None:
    """What somebody outside asked of the run, None where it is no such event. `turn`: the last one taken."""
    match data:
        case ev.PauseAsked(by=by, now=now):
            return Note(turn, "pause", f"{by or 'somebody'} asked to pause{' now' if now else ''}", by=by)
        case ev.StopAsked(by=by, now=now, reason=reason):
            why = f": {reason}" if reason else ""
            return Note(turn, "stop", f"{by or 'somebody'} asked to stop{' now' if now else ''}{why}", by=by)
        case ev.CommandRefused(by=by, reason=reason):
            return Note(turn, "refused", f"what {by or 'somebody'} asked for changed nothing: {reason}", by=by)
        case _:
            return None
