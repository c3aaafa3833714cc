"""What commands from outside come to in a run: the driver's side of `chats/commands.py`."""

from __future__ import annotations

from typing import TypeAlias

from autogen_agentchat.messages import TextMessage

from moot.agents.edits import difference, editable
from moot.chats.commands import Command, Decide, End, Pause, Say, read_command
from moot.chats.edges import TAKEN
from moot.chats.errors import did_you_mean
from moot.chats.event_types import CommandRefused, HumanSaid, PauseAsked, RequestDecided, StopAsked
from moot.chats.state import State

Taken: TypeAlias = HumanSaid | PauseAsked | StopAsked | RequestDecided | CommandRefused


def taken(state: State, number: int, posted: str) -> Taken:
    """What a command comes to in the run as it stands: the event that says so."""
    command = read_command(posted)
    if command is None:
        return CommandRefused(command=number, reason="it is no command that this version knows")
    if (refusal := refused(state, command)) is not None:
        return CommandRefused(command=number, by=command.by, reason=refusal)
    match command:
        case Pause(by=by, now=now):
            return PauseAsked(command=number, by=by, now=now)
        case End(by=by, now=now, reason=reason):
            return StopAsked(command=number, by=by, now=now, reason=reason)
        case Say(by=by, text=text, to=to):
            at_the_table = by in (*state.transcript.participants, *TAKEN)  # in their name nobody else speaks
            source = by if by and not at_the_table else "user"
            return HumanSaid(command=number, by=by, to=to, message=TextMessage(content=text, source=source))
        case Decide():
            return _decided(state, number, command)


def _decided(state: State, number: int, command: Decide) -> RequestDecided:
    """The decision, with what an edit changes."""
    diff = ""
    if command.decision == "edit":
        request = state.requests.open[command.request]
        diff = difference(request.kind, editable(request.kind, request.payload) or "", command.edited)
    return RequestDecided(
        command=number, by=command.by, id=command.request, decision=command.decision, text=command.text,
        edited=command.edited, diff=diff, digest=command.digest,
    )  # fmt: skip


def refused(state: State, command: Command) -> str | None:
    """Why a command changes nothing in the run as it stands, if so."""
    if isinstance(command, Decide):
        return state.requests.refusal(command)
    return _unheard(state, command) if isinstance(command, Say) else None


def _unheard(state: State, command: Say) -> str | None:
    """Why nobody would hear it, if so."""
    if not command.text.strip():
        return "there is nothing in it to say"
    known = state.transcript.participants
    stranger = next((name for name in command.to or () if name not in known), None)
    if stranger is None:
        return None
    hint = did_you_mean(stranger, known)
    return f"{stranger!r} is no participant" + (f" ({hint})" if hint else "")
