"""Something is asked of a run that another process may drive: what will become of it, and what became of it."""

from __future__ import annotations

import asyncio
import getpass
from contextlib import aclosing
from dataclasses import dataclass

from moot.chats.commands import End, Pause, Say
from moot.chats.errors import Fenced, StoreError, UserError, did_you_mean
from moot.chats.event_types import CommandRefused, SpeakerSelected
from moot.chats.events import Event
from moot.chats.outside import post
from moot.chats.stopping import stop_idle
from moot.chats.store import Store
from moot.cli.consoles import say
from moot.cli.exit_codes import ExitCode
from moot.cli.loaded import Loaded, load_named, load_run

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a command. `run` is the run as it is now."""

    run: Loaded
    do: str
    words: str
    number: int | None = None
    """Of the command in the run; None where nothing was posted, since nothing is left to be done."""
    taken: bool | None = None
    """Whether it was taken in; None: not known yet."""
    code: ExitCode = ExitCode.GOAL

    def as_object(self) -> Json:
        """For `--json`."""
        done = self.run.story.finished
        return {
            "run": self.run.name,
            "do": self.do,
            "command": self.number,
            "taken": self.taken,
            "driven": self.run.row.driven,
            "status": self.run.status,
            "outcome": None if done is None else str(done.outcome),
            "says": self.words,
            "exit_code": int(self.code),
        }


def login() -> str:
    """The name of whoever is at the terminal; empty where the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


async def ask(store: Store, prefix: str, command: Say | Pause | End, *, wait: bool) -> Answer:
    """Ask it, and wait until it was taken in where that is wanted.

    Raises UserError for an unknown run, one that is over, and something that cannot be said; StoreError.
    """
    run = await load_run(store, prefix)
    done = run.story.finished
    if done is not None and not run.row.driven:
        raise UserError(f"run {run.short} is over ({done.outcome}: {done.reason}); nothing can be asked of it any more")
    if isinstance(command, Say):
        _check(run, command)
    if run.row.driven:
        return await _asked(store, run, command, wait=wait)
    return await _idle(store, run, command, wait=wait)


def _check(run: Loaded, command: Say) -> None:
    if not command.text.strip():
        raise UserError("there is nothing in it to say")
    created = run.story.created
    known = created.participants if created is not None else ()
    for name in command.to or ():
        if name not in known:
            hint = did_you_mean(name, known) or f"they are {', '.join(known)}"
            raise UserError(f"{name!r} is no participant of run {run.short} ({hint})")


async def _asked(store: Store, run: Loaded, command: Say | Pause | End, *, wait: bool) -> Answer:
    number = await post(run.name, command, store)
    if wait:
        return await _followed(store, run, command, number)
    at_once = isinstance(command, Pause | End) and command.now
    when = "at once" if at_once else "after the turns that are under way"
    what = {"say": "is heard", "pause": "is left", "stop": "ends"}[command.do]
    subject = "it" if isinstance(command, Say) else f"run {run.short}"
    how = "" if not isinstance(command, Pause) else f"; to go on then: {run.go_on}"
    return Answer(run, command.do, f"{subject} {what} {when}{how}", number)


async def _idle(store: Store, run: Loaded, command: Say | Pause | End, *, wait: bool) -> Answer:
    """Nobody drives it."""
    if isinstance(command, Pause):
        return Answer(run, "pause", f"nobody drives run {run.short}: it is left already; to go on: {run.go_on}")
    number = await post(run.name, command, store)
    if isinstance(command, End):
        return await _ended_here(store, run, number)
    words = f"nobody drives run {run.short} just now: it is heard when the run goes on: {run.go_on}"
    return Answer(run, "say", words, number, code=ExitCode.WAITING if wait else ExitCode.GOAL)


async def _ended_here(store: Store, run: Loaded, number: int) -> Answer:
    try:
        await stop_idle(store, run.name)
    except Fenced:
        return Answer(run, "stop", f"somebody drives run {run.short} on just now: it ends after the next turn", number)
    except StoreError as error:
        words = f"run {run.short} ends when it is opened again ({run.go_on}), not before: {error.one_line}"
        return Answer(run, "stop", words, number, code=ExitCode.WAITING)
    now = await load_named(store, run.name, run.short)
    return Answer(now, "stop", f"nobody drove run {run.short}: it is ended", number, taken=True)


async def _followed(store: Store, run: Loaded, command: Say | Pause | End, number: int) -> Answer:
    try:
        return await _until_taken(store, run, command, number)
    except asyncio.CancelledError:
        say(f"what was asked of run {run.short} stays posted; it is only not waited for any more")
        raise


async def _until_taken(store: Store, run: Loaded, command: Say | Pause | End, number: int) -> Answer:
    """Until it was taken in; where the run is to be left, until it is."""
    taken: Event | None = None
    async with aclosing(store.watch(run.name, run.events[-1].seq)) as events:  # type: ignore[type-var]
        async for event in events:
            if getattr(event.data, "command", 0) == number:
                taken = event
                if isinstance(event.data, CommandRefused):
                    break
            elif taken is not None and isinstance(command, Say) and isinstance(event.data, SpeakerSelected):
                break  # somebody speaks after it
    now = await load_named(store, run.name, run.short)
    if taken is not None and isinstance(taken.data, CommandRefused):
        raise UserError(f"run {run.short} refused it: {taken.data.reason}")
    if taken is None and isinstance(command, End) and now.story.finished is None:
        return await _ended_here(store, run, number)
    return Answer(now, command.do, _became(now, command, taken), number, taken is not None, _code(now, command, taken))


def _became(run: Loaded, command: Say | Pause | End, taken: Event | None) -> str:
    done = run.story.finished
    if taken is not None and isinstance(command, Say):
        if done is not None:
            return (
                f"it was said, and run {run.short} ended then ({done.outcome}: {done.reason}): nobody speaks after it"
            )
        if not run.row.driven:
            return f"it was said, and run {run.short} was left then: it is heard when the run goes on: {run.go_on}"
        return "it was said: everybody it is meant for hears it at their next turn, if there is one"
    if done is not None:
        first = "" if taken is not None else " before it took that in"
        return f"run {run.short} ended{first} ({done.outcome}: {done.reason})"
    if taken is not None:
        return f"run {run.short} is left; to go on: {run.go_on}"
    return f"run {run.short} was left before it took that in: it does when it goes on: {run.go_on}"


def _code(run: Loaded, command: Say | Pause | End, taken: Event | None) -> ExitCode:
    if taken is not None or (run.story.finished is not None and not isinstance(command, Say)):
        return ExitCode.GOAL
    return ExitCode.WAITING
