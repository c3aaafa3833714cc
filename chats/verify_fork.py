"""Whether a fork begins as the run it was forked from, but for what it says was changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from moot.chats import event_types as ev
from moot.chats.errors import StoreError, UserError
from moot.chats.event_types import RunForked
from moot.chats.events import Event, dumped
from moot.chats.fork import boundaries
from moot.chats.store import Store


async def fork_problems(store: Store, events: Sequence[Event]) -> list[str]:
    """What is wrong with what a fork copied. A run that is not there any more is not asked for."""
    forks = [event for event in events if isinstance(event.data, RunForked)]
    problems = [problem for event in forks for problem in _place(events, event)]
    if problems or not forks:
        return problems
    own = forks[-1].data
    assert isinstance(own, RunForked)
    try:
        before = await store.load(own.parent)
    except UserError:
        return []
    except StoreError as error:
        return [f"what was copied from run {own.parent} cannot be compared with it: {error.one_line}"]
    return list(_differences(events[: own.head], before[: own.head], own))


def reworded_turns(events: Sequence[Event]) -> frozenset[int]:
    """The turns that say something else than their speaker said."""
    forks = [event.data for event in events if isinstance(event.data, RunForked)]
    return frozenset(data.turn for data in forks if _said(data.turn) in data.edits)


def _said(turn: int) -> str:
    return f"turn {turn}"


def _place(events: Sequence[Event], event: Event) -> Iterator[str]:
    data = event.data
    assert isinstance(data, RunForked)
    if data.head != event.seq - 1:
        yield f"run.forked (event {event.seq}) claims that {data.head} events were copied"
        return
    last = boundaries(events[: data.head])[-1]
    if (last.turn, last.head) != (data.turn, data.head):
        yield f"run.forked (event {event.seq}) does not stand at the end of turn {data.turn}"


def _differences(mine: Sequence[Event], theirs: Sequence[Event], own: RunForked) -> Iterator[str]:
    if len(theirs) < own.head:
        yield f"{own.head} events were copied from run {own.parent}, which has {len(theirs)}"
        return
    asked = next((e.seq for e in mine if isinstance(e.data, ev.MessageSaid) and e.data.to is None), 0)
    for ours, was in zip(mine, theirs, strict=True):
        if ours[:4] + ours[5:] == was[:4] + was[5:]:
            changed = _changeable(ours, own, asked)
            if _text(ours.data, changed) == _text(was.data, changed):
                continue
        yield f"event {ours.seq} ({ours.type}) is not what stands in run {own.parent}, which it was copied from"


def _changeable(event: Event, own: RunForked, asked: int) -> frozenset[str]:
    """What the edits of the fork may have changed in an event."""
    match event.data:
        case ev.RunCreated() if own.edits.keys() - {_said(own.turn)}:
            return frozenset({"chat", "limits", "models", "model_kind", "spec"})
        case ev.MessageSaid() if "task" in own.edits and event.seq == asked:
            return frozenset({"message"})
        case ev.TurnFinished() if _said(own.turn) in own.edits and event.turn == own.turn:
            return frozenset({"reply", "contexts"})
        case data if hasattr(data, "command"):  # a number among the commands of the other run
            return frozenset({"command"})
    return frozenset()


def _text(data: BaseModel, without: frozenset[str]) -> str:
    """As it is stored, but for what may differ."""
    return dumped(data.model_copy(update=dict.fromkeys(without))) if without else dumped(data)
