"""Forks: a new run whose journal begins as another's, cut where nobody was speaking. The other run is never touched.

What the copied part cost is the other run's: a fork begins with a ledger of its own, while its turns count on. Files of
a workspace come back by their content; variables of an interpreter do not, and whoever runs code is told.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from moot.chats.chat import Chat
from moot.chats.creating import made_of
from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import MessageSaid, RunCreated, RunForked, SpeakerSelected, TurnFinished, Warned
from moot.chats.events import Event
from moot.chats.find import find_run
from moot.chats.fork_edits import NO_EDITS, Edits, with_message, with_task
from moot.chats.fork_memory import check_fresh, remember
from moot.chats.home import open_store
from moot.chats.ids import new_run
from moot.chats.owner import new_owner
from moot.chats.rebuild import rebuild
from moot.chats.speakers import is_seated
from moot.chats.state import State
from moot.chats.store import Store
from moot.chats.table import factory
from moot.chats.verify_order import order_problems
from moot.termination.ledger import Ledger
from moot.termination.limits import Limits

KEPT_CHARACTERS = 200
"""How much of a new text is repeated in `run.forked`; all of it stands in its place."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A point at which nobody speaks: after how many turns, and the last event before it."""

    turn: int
    head: int


async def fork(
    run: str,
    *,
    turn: int | None = None,
    edits: Edits = NO_EDITS,
    chat: Chat | None = None,
    store: Store | Path | str | None = None,
) -> str:
    """A new run that goes on from the end of a turn of another one; its id, for `open_run`.

    `run` is the id or the beginning of one, of a run in any state, also one that is under way. `turn` 0 is before
    anybody spoke, None the last one that is finished. A run made of Python objects needs its `chat`, perhaps changed,
    to be forked and, after `edits.applied`, to be opened; its limits are then the chat's. The input files are those of
    the run. An agent of your own that is not AutoGen's `AssistantAgent` gets back what it saved after its last turn
    that is kept; one that spoke only later is refused where it remembers that: give a fresh one.

    Raises UserError for what does not exist or fit (before anything is written), SpecError, ModelError, StoreError.
    """
    kept, opened = open_store(store)
    try:
        name = await find_run(kept, run)
        plan = await _plan(kept, name, turn, edits, chat)
        await _write(kept, plan)
        return plan.run
    finally:
        if opened:
            await kept.close()


def boundaries(events: Sequence[Event]) -> list[Boundary]:
    """Everywhere a fork can begin, in order. Turns that were taken side by side have one at their common end."""
    found: list[Boundary] = []
    asked, last, speaking = 1, 0, set[int]()
    for number, event in enumerate(events, 1):
        match event.data:
            case MessageSaid(to=None) if not found:
                asked = number
            case SpeakerSelected(chosen=chosen):
                found = found or [Boundary(0, asked)]
                speaking = set(range(event.turn, event.turn + len(chosen)))
                last = max(speaking, default=last)
            case TurnFinished():
                speaking.discard(event.turn)
                found += [] if speaking else [Boundary(last, number)]
            case RunForked() if found:  # what was changed in a fork belongs to what its own forks begin with
                found[-1] = Boundary(found[-1].turn, number)
            case RunForked():
                asked = number
            case _:
                pass
    return found or [Boundary(0, asked)]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A fork that can be written."""

    run: str
    chat: str
    forked: RunForked
    events: list[Event]


async def _plan(store: Store, name: str, turn: int | None, edits: Edits, given: Chat | None) -> _Plan:
    events, created = await _sound(store, name)
    at = _chosen(name, events, turn)
    if edits.message is not None and at.turn == 0:
        raise UserError("nobody has spoken at turn 0, so no message can be another: the task can (task=..., --task)")
    chat = edits.applied(given or rebuild(name, created, to="fork"))
    if chat.names != created.participants:
        there = ", ".join(created.participants)
        raise UserError(f"run {name} was made with {there}, not with {', '.join(chat.names)}")
    seats, policy = chat.seats(), chat.policy()
    try:
        await check_fresh(seats, events, at.head)
        made = made_of(chat, seats, policy).model_copy(update={"inputs": created.inputs, "moot": created.moot})
        prefix = [events[0]._replace(data=made), *map(_uncounted, events[1 : at.head])]
        state = State(name, factory(seats))
    finally:
        for seat in seats.values():
            await seat.shut()
        if is_seated(policy):
            await policy.close()
    prefix = with_task(prefix, edits.task) if edits.task is not None else prefix
    prefix = with_message(prefix, at.turn, edits.message) if edits.message is not None else prefix
    _fold(name, state, prefix)
    await _files(store, state)
    forked = RunForked(parent=name, turn=at.turn, head=at.head, edits=_changes(created, made, edits, at.turn))
    said = [*_unheard(prefix, edits, at.turn), *_over(state, chat, at.turn)]
    added: list[BaseModel] = [forked, *(Warned(text=text) for text in said)]
    now = time.time()
    news = [Event(str(type(d).type), 0, 0, "", d, "", n, now) for n, d in enumerate(added, at.head + 1)]  # type: ignore[attr-defined]
    return _Plan(new_run(), chat.name, forked, [*prefix, *news])


async def _sound(store: Store, name: str) -> tuple[list[Event], RunCreated]:
    """The journal of a run, if it is what was written."""
    events, chain = await store.load(name), await store.chain(name)
    created = events[0].data if events else None
    if not isinstance(created, RunCreated):
        raise _damaged(name, "it does not begin with run.created")
    if chain.found != chain.recorded:
        raise _damaged(name, "it was changed after it was written")
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        raise _damaged(name, "events are missing")
    if (wrong := next(order_problems(events), None)) is not None:
        raise _damaged(name, wrong)
    return events, created


def _damaged(name: str, how: str) -> StoreError:
    return StoreError(f"the journal of run {name} is damaged ({how}): moot verify {name} says more")


def _chosen(name: str, events: Sequence[Event], turn: int | None) -> Boundary:
    """The boundary at a turn. Raises UserError where there is none, with the nearest."""
    found = boundaries(events)
    if turn is None:
        return found[-1]
    if type(turn) is not int or turn < 0:
        raise UserError(f"turn {turn!r}: give the number of a turn, 0 for before the first")
    for boundary in found:
        if boundary.turn == turn:
            return boundary
    last = found[-1].turn
    steps = [set(range(e.turn, e.turn + len(e.data.chosen))) for e in events if isinstance(e.data, SpeakerSelected)]
    step = next((step for step in steps if turn in step), None)
    if step is None:
        there = "no turns yet" if not last else f"{last} turns" if last > 1 else "1 turn"
        raise UserError(f"run {name} has {there}: it cannot be forked at turn {turn}, but at 0 to {last}")
    if turn > last:
        under_way = "is not finished" if len(step) == 1 else f"is one of {_listed(step)}, which are not all finished"
        raise UserError(f"turn {turn} of run {name} {under_way}: it can be forked at 0 to {last}")
    raise UserError(
        f"turns {_listed(step)} of run {name} were taken side by side: "
        f"it can be forked before them, at turn {min(step) - 1}, or after them, at turn {max(step)}"
    )


def _listed(numbers: set[int]) -> str:
    *most, last = sorted(numbers)
    return f"{', '.join(map(str, most))} and {last}"


def _uncounted(event: Event) -> Event:
    """What somebody asked of the other run stays, but for its number: of the fork's own commands none was taken yet."""
    if not getattr(event.data, "command", 0):
        return event
    return event._replace(data=event.data.model_copy(update={"command": 0}))


def _fold(name: str, state: State, events: Sequence[Event]) -> None:
    """What is going to be written must be readable: a journal nobody can open would be no fork."""
    try:
        state.fold(events)
    except (KeyError, AttributeError, ValueError, TypeError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from None


async def _files(store: Store, state: State) -> None:
    """Raises StoreError where something that workspaces need is missing or damaged. What is put again is not dropped
    when somebody removes the other run in this moment.
    """
    needed = [file for files in state.created.inputs.values() for file in files] + state.made()
    for digest in dict.fromkeys(file.sha256 for file in needed):
        await store.blobs.put(await store.blobs.get(digest))


def _changes(before: RunCreated, after: RunCreated, edits: Edits, turn: int) -> dict[str, str]:
    """What is different, by its place."""
    named = {f"participants.{name}.instructions": text for name, text in edits.instructions.items()}
    named |= {"model": edits.model} if edits.model is not None else {}
    chat = {**named, **edits.sets} if before != after or before.spec is None else {}
    for place, old, new in (("limits", before.limits, after.limits), ("models", before.models, after.models)):
        for key in [*old, *(k for k in new if k not in old)]:
            place_of = f"{place}.{key}"
            if old.get(key) != new.get(key) and place_of not in chat and not (place == "models" and "model" in chat):
                chat[place_of] = str(new.get(key, "none")).removesuffix(".0")
    if before != after and not chat and edits.task is None:
        chat["chat"] = after.chat
    said = {"task": edits.task, f"turn {turn}": edits.message}
    texts = {**chat, **{place: text for place, text in said.items() if text is not None}}
    return {k: v if len(v) <= KEPT_CHARACTERS else f"{v[: KEPT_CHARACTERS - 1]}…" for k, v in texts.items()}


def _unheard(prefix: Sequence[Event], edits: Edits, turn: int) -> list[str]:
    """Who does not hear what was changed."""
    told = remember(prefix, None) if edits.task is not None else []
    return told or (remember(prefix, turn) if edits.message is not None else [])


def _over(state: State, chat: Chat, turn: int) -> list[str]:
    """That the run will end before anybody speaks, if so."""
    ledger = Ledger(Limits(**state.created.limits))  # type: ignore[arg-type]
    said = state.transcript
    stop = (chat.stop.ask(said, ledger) if chat.stop is not None else None) or ledger.reached(said)
    if stop is None:
        return []
    return [f"{stop.rule} holds already at turn {turn} ({stop.reason}): the run ends before anybody speaks"]


async def _write(store: Store, plan: _Plan) -> None:
    """All at once: a run without events is seen by nobody, so that there is never half a fork."""
    await store.create(plan.run, plan.chat, parent=plan.forked.parent, base=plan.forked.head)
    claim = await store.claim(plan.run, new_owner())
    await store.append(claim, 0, plan.events, "paused")
