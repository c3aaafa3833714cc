"""What a process that does not drive a run can do with it: look, say something, decide, ask it to pause or to end.

Commands are posted to the store, from any process; whoever drives the run takes them in after the turns that are under
way, or at once where they say `now`. Nobody needs to drive it at the time: a decision waits until somebody opens the
run again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from moot.chats.commands import Command, Decide, read_command
from moot.chats.errors import UserError
from moot.chats.event_types import (
    CommandRefused,
    HumanSaid,
    PauseAsked,
    RequestAsked,
    RequestDecided,
    RequestExpired,
    RunFinished,
    StopAsked,
    TurnFinished,
)
from moot.chats.events import Event
from moot.chats.find import find_run
from moot.chats.home import open_store
from moot.chats.requests import Request, Requests
from moot.chats.store import Store

Where = Store | Path | str | None
"""A store, its file or folder; None: the user's own."""
_SAID = tuple(
    data.type
    for data in (RequestAsked, RequestDecided, RequestExpired, HumanSaid, PauseAsked, StopAsked, CommandRefused)
)
"""What tells of questions, and of commands that were taken in."""


async def requests(run: str, store: Where = None) -> list[Request]:
    """The questions of a run that wait for a person, oldest first. Raises UserError for an unknown run, StoreError."""
    async with _opened(store) as kept:
        name = await find_run(kept, run)
        return [*(await _questions(kept, name)).open.values()]


async def post(run: str, command: Command, store: Where = None) -> int:
    """Ask something of a run: `Say`, `Pause`, `End` or `Decide`. Durable when this returns: its number among the run's
    commands, 0 for a decision that had been taken in the same words.

    Raises UserError for an unknown or finished run, and for a decision that cannot be taken (decided already, also by
    somebody who was faster by a hair; about something else; not asked); StoreError.
    """
    async with _opened(store) as kept:
        name = await find_run(kept, run)
        if (done := await _finished(kept, name)) is not None:
            raise UserError(f"run {name} is finished ({done.outcome}: {done.reason}); nothing more can be asked of it")
        if isinstance(command, Decide):
            found = await _questions(kept, name)
            if found.has(command):
                return 0
            _check(name, found.refusal(command))
        number = await kept.post(name, command.model_dump_json())
        if isinstance(command, Decide):  # somebody else may have posted between the look and the post
            found = await _questions(kept, name)
            if not found.has(command):
                _check(name, found.refusal(command))
        return number


async def watch(run: str, store: Where = None, *, after: int = 0) -> AsyncIterator[Event]:
    """Every event with a higher `seq` than `after`, each after it was committed, until nobody drives the run."""
    async with _opened(store) as kept:
        async for event in kept.watch(await find_run(kept, run), after):
            yield event


def asked(events: Iterable[Event]) -> Requests:
    """The questions to people in a journal."""
    found = Requests()
    for event in events:
        match event.data:
            case RequestAsked() as data:
                found.ask(data, event.turn, event.participant, event.ts)
            case RequestDecided() as data:
                found.decide(data)
            case RequestExpired(id=name):
                found.open.pop(name, None)
            case TurnFinished():
                found.drop(event.turn)
            case RunFinished() as data:
                found.end(data)
    return found


def _check(run: str, refusal: str | None) -> None:
    if refusal is not None:
        raise UserError(f"run {run}: {refusal}")


async def _finished(store: Store, run: str) -> RunFinished | None:
    """The run's end, if it has one that it cannot be driven on from: nothing comes after that."""
    ends = [event.data for event in await store.load(run, types=(RunFinished.type,))]
    return next((end for end in ends if isinstance(end, RunFinished) and not end.cause), None)


async def _questions(store: Store, run: str) -> Requests:
    """The questions, and also the decisions that no driver has taken in yet. No more of the journal is loaded than
    tells of them: it may be long.
    """
    events = await store.load(run, types=_SAID)
    first = next((event.seq for event in events if isinstance(event.data, RequestAsked)), 0)
    if first:
        since = await store.load(run, first - 1, types=(*_SAID, TurnFinished.type, RunFinished.type))
        events = [*(event for event in events if event.seq < first), *since]
    found = asked(events)
    for pending in await store.posted(run, last_command(events)):
        found.take(read_command(pending.command))
    return found


def last_command(events: Iterable[Event]) -> int:
    """The number of the last command that a driver took in."""
    return max((getattr(event.data, "command", 0) for event in events), default=0)


@asynccontextmanager
async def _opened(where: Where) -> AsyncIterator[Store]:
    store, opened = open_store(where)
    try:
        yield store
    finally:
        if opened:
            await store.close()
