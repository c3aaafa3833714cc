"""Kill your own chat at every boundary, and prove that it converges.

async def test_my_chat_survives_a_crash_anywhere():
    (await crash_everywhere(make_chat, "a task")).check()
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

from moot.agents.questions import Decision
from moot.chats.chat import Chat
from moot.chats.commands import Decide
from moot.chats.errors import UserError
from moot.chats.event_types import RunFinished
from moot.chats.events import Event
from moot.chats.outside import post
from moot.chats.requests import Request
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.state import State
from moot.chats.table import factory
from moot.chats.verify import verify_run
from moot.testing.effects import effect_problems
from moot.testing.performed import Sighting, watched
from moot.testing.report import Point, Report, When
from moot.testing.store import DyingStore, Killed

MakeChat = Callable[[], Chat]
AnswerPerson = Callable[[Request], Decision]
Points = Literal["commits", "before", "after"]


async def crash_everywhere(
    make_chat: MakeChat, task: str, *, points: Points = "commits", answer: AnswerPerson | None = None
) -> Report:
    """Run the chat undisturbed, then kill it at every commit of its journal and drive it on, and compare.

    `make_chat` is called anew for each process there would be: it must not share live agents between its chats. The
    deaths are played in this process, by a store that refuses everything from then on. `points` says when: `before`
    each commit, `after` it, or both (`commits`). Where the chat asks a person, `answer` is called with each question
    and gives the decision; without it a tool in doubt is made again, and any other question is a UserError.

    Compared are what was said, how it ended, what each participant would be told next, and its state; and that no
    effect with a recorded result was performed again (see `performed`).
    """
    first, second = [await _undisturbed(make_chat, task, answer) for _ in range(2)]
    if unsteady := tuple(_differences(second, first)):
        return Report((), unsteady)
    whens: list[When] = ["before", "after"] if points == "commits" else [points]
    deaths = [(commit, when) for when in whens for commit in range(1, first.commits + 1)]
    return Report(tuple([await _killed(_World(make_chat, task, answer), first, c, w) for c, w in deaths]))


@dataclass(frozen=True)
class _World:
    """What every process of one run is given."""

    make_chat: MakeChat
    task: str
    answer: AnswerPerson | None

    async def drive(self, store: SqliteStore | DyingStore) -> None:
        """As one process does, until the run is finished; a person answers whenever it waits. Raises Killed."""
        while True:
            names = await store.names()
            if names and _finished(await store.load(names[0])):
                return
            chat = self.make_chat()
            run = await (open_run(names[0], chat=chat, store=store) if names else chat.start(self.task, store=store))
            await run.finish()
            if run.status == "waiting":
                await self._decide(run, store)
            elif run.status != "finished":
                raise UserError(f"the chat left its run {run.status}: only one that goes on to its end can be compared")

    async def _decide(self, run: Run, store: SqliteStore | DyingStore) -> None:
        for request in run.requests:
            if self.answer is not None:
                made = self.answer(request)
            elif request.kind == "doubt":
                made = Decision("approve")
            else:
                raise UserError(f"the chat asks a person ({request.kind}): give crash_everywhere an `answer` function")
            command = Decide(
                request=request.id, decision=made.decision, text=made.text, edited=made.edited, by=made.by or "test",
                digest=request.digest,
            )  # fmt: skip
            await post(run.id, command, store)


@dataclass(frozen=True)
class _Told:
    """How a run ended, and what it leaves behind."""

    said: tuple[tuple[str, str], ...]
    end: tuple[str, str, str | None]
    contexts: dict[str, list[str]]
    states: dict[str, str]
    commits: int = 0


async def _undisturbed(make_chat: MakeChat, task: str, answer: AnswerPerson | None) -> _Told:
    with tempfile.TemporaryDirectory(prefix="moot-testing-") as folder:
        inner = SqliteStore(Path(folder) / "moot.db", "OFF")
        store = DyingStore(inner)
        try:
            await _World(make_chat, task, answer).drive(store)
            return replace(await _told(make_chat, store), commits=store.appends)
        finally:
            await store.close()


async def _killed(world: _World, want: _Told, commit: int, when: When) -> Point:
    with tempfile.TemporaryDirectory(prefix="moot-testing-") as folder, watched() as seen:
        inner = SqliteStore(Path(folder) / "moot.db", "OFF")
        dying = DyingStore(inner, at=commit, after=when == "after")
        try:
            with contextlib.suppress(Killed):
                await world.drive(dying)
            differences = await _resumed(world, inner, want, seen)
        finally:
            await inner.close()
    return Point(commit, when, dying.last, dying.fired, tuple(differences))


async def _resumed(world: _World, store: SqliteStore, want: _Told, seen: Sequence[Sighting]) -> list[str]:
    """What a second process comes to, beside what is wanted."""
    try:
        await world.drive(store)
    except Exception as error:  # noqa: BLE001 - whatever the chat raises is a finding
        return [f"it cannot be driven on: {type(error).__name__}: {error}"]
    (run,) = await store.names()
    events = await store.load(run)
    found = [*_differences(await _told(world.make_chat, store), want), *effect_problems(run, events, seen)]
    return found + await verify_run(store, run)


async def _told(make_chat: MakeChat, store: SqliteStore | DyingStore) -> _Told:
    """Read from the journal alone, as the next process would."""
    (run,) = await store.names()
    seats = make_chat().seats()
    state = State(run, factory(seats))
    for past in state.fold(await store.load(run)):
        seat = seats[past.participant]
        await seat.restore(past.contexts, past.inbox, past.results)
        if past.state is not None:
            seat.restore_state(past.results[past.state])
    done = state.finished
    assert done is not None  # it was driven to its end
    contexts = {
        f"{name}{f' ({path})' if path else ''}": [str(m.model_dump()) for m in await context.get_messages()]
        for name, seat in seats.items()
        for path, context in seat.contexts.items()
    }
    return _Told(
        said=tuple((turn.participant, turn.text) for turn in state.transcript.history),
        end=(done.outcome.value, done.reason, done.result),
        contexts=contexts,
        states={name: seat.state or "" for name, seat in seats.items()},
    )


def _finished(events: Sequence[Event]) -> bool:
    return bool(events) and isinstance(events[-1].data, RunFinished)


def _differences(found: _Told, want: _Told) -> Iterator[str]:
    for turn, (mine, theirs) in enumerate(zip_longest(found.said, want.said), 1):
        if mine != theirs:
            yield f"turn {turn}: {_quoted(mine)} instead of {_quoted(theirs)}"
            break  # what follows follows from it
    if found.end != want.end:
        yield f"it ended as {found.end} instead of {want.end}"
    for name, context in found.contexts.items():
        if context != (other := want.contexts.get(name, [])):
            places = (n for n, (a, b) in enumerate(zip_longest(context, other), 1) if a != b)
            yield f"what {name} would be told next is another: message {next(places)} of {len(context)}"
    for name, state in found.states.items():
        if state != want.states.get(name):
            yield f"the state of {name} is {state[:80]} instead of {want.states.get(name, '')[:80]}"


def _quoted(said: tuple[str, str] | None) -> str:
    return "nothing" if said is None else f"{said[0]} said {said[1][:80]!r}"
