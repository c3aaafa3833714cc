"""Participants of a fork that keep what they remember to themselves: any agent that is not adopted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from moot.agents.json_text import snapshot
from moot.agents.seat import Seat
from moot.chats.errors import UserError
from moot.chats.event_types import EffectCompleted, TurnFinished
from moot.chats.events import Event


async def check_fresh(seats: Mapping[str, Seat], events: Sequence[Event], head: int) -> None:
    """Refuse an agent that went on speaking in the other run and had saved nothing by event `head`: nobody could take
    from it what it remembers. Raises UserError.
    """
    before = {event.participant for event, _ in _saved(events[:head])}
    latest = {event.participant: state for event, state in _saved(events[head:]) if event.participant not in before}
    for name, state in latest.items():
        seat = seats[name]
        if seat.state is not None and seat.keeps_state and _text(await seat.agent.save_state()) == _text(state):
            raise UserError(
                f"{name!r} is an agent that remembers what it said later in the run: give a fresh one (chat=...)"
            )


def remember(prefix: Sequence[Event], turn: int | None) -> list[str]:
    """Whose own memory still has what was said before it was changed: in that turn, or None: in the task."""
    names = dict.fromkeys(event.participant for event, _ in _saved(prefix) if turn in (None, event.turn))
    return [f"{name} keeps what it remembers to itself: its own memory still has the old words" for name in names]


def _saved(events: Sequence[Event]) -> Iterator[tuple[Event, object]]:
    """The end of every turn in which an agent changed what it remembers, with all of that."""
    results: dict[tuple[int, str], object] = {}
    for event in events:
        match event.data:
            case EffectCompleted(key=key, result=result):
                results[event.turn, key] = result
            case TurnFinished(state=str() as key):
                result = results.get((event.turn, key))
                yield event, result.get("state") if isinstance(result, dict) else getattr(result, "state", None)
            case _:
                pass


def _text(state: object) -> str:
    """As it compares, live or read back."""
    return json.dumps(json.loads(snapshot(state)), sort_keys=True)
