"""The order in which events may stand: steps, turns, attempts and effects. Needs no agents and no fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from moot.chats import event_types as ev
from moot.chats.events import Event
from moot.chats.speakers import SELECT


def order_problems(events: Sequence[Event]) -> Iterator[str]:
    """What stands where it may not."""
    order = _Order()
    for event in events:
        for problem in order.take(event):
            yield f"event {event.seq} ({event.type}): {problem}"


@dataclass(slots=True)
class _Turn:
    participant: str
    attempt: int = 0
    running: bool = False
    finished: bool = False
    effects: dict[str, str] = field(default_factory=dict)
    """By key: `intended`, `completed` or `failed`."""


@dataclass(slots=True)
class _Order:
    turns: dict[int, _Turn] = field(default_factory=dict)
    choosing: _Turn = field(default_factory=lambda: _Turn(SELECT))
    """The choice of the next speaker."""
    over: bool = False
    resumable: bool = False

    def take(self, event: Event) -> Iterator[str]:
        data = event.data
        if self.over and not isinstance(data, ev.RunResumed | ev.Unknown):
            yield "the run is over"
        match data:
            case ev.RunCreated() if event.seq > 1:
                yield "a run is created once"
            case ev.SpeakerSelected():
                yield from self._selected(event, data)
            case ev.RunFinished(cause=cause):
                self.over, self.resumable = True, bool(cause)
            case ev.RunResumed():
                if self.over and not self.resumable:
                    yield "a run that reached its end is not resumed"
                self.over = False
            case _ if event.turn:
                yield from self._in_turn(event)

    def _selected(self, event: Event, data: ev.SpeakerSelected) -> Iterator[str]:
        open_turns = [number for number, turn in self.turns.items() if not turn.finished]
        if open_turns:
            yield f"turn {open_turns[0]} is not finished"
        if event.turn != len(self.turns) + 1:
            yield f"turn {len(self.turns) + 1} comes next, not {event.turn}"
        for number, name in enumerate(data.chosen, event.turn):
            self.turns[number] = _Turn(name)
        self.choosing = _Turn(SELECT)

    def _in_turn(self, event: Event) -> Iterator[str]:
        turn = self.turns.get(event.turn)
        if turn is None and event.participant == SELECT and event.turn == len(self.turns) + 1:
            yield from _effect(event.data, self.choosing)
            return
        if turn is None:
            yield f"nobody was given turn {event.turn}"
            return
        if turn.finished and not isinstance(event.data, ev.TurnFinished):
            yield f"turn {event.turn} is over"
        if event.participant and event.participant != turn.participant:
            yield f"turn {event.turn} is {turn.participant}'s, not {event.participant}'s"
        if isinstance(event.data, ev.TurnStarted):
            if event.attempt != turn.attempt + 1:
                yield f"attempt {turn.attempt + 1} comes next, not {event.attempt}"
            turn.attempt, turn.running = event.attempt, True
            return
        if event.attempt and event.attempt != turn.attempt:
            yield f"attempt {event.attempt} is not under way"
        yield from self._ended(event, turn)
        yield from _effect(event.data, turn)

    def _ended(self, event: Event, turn: _Turn) -> Iterator[str]:
        match event.data:
            case ev.TurnFinished():
                if turn.finished:
                    yield f"turn {event.turn} is finished twice"
                elif not turn.running:
                    yield f"attempt {event.attempt} of turn {event.turn} was given up before"
                turn.running, turn.finished = False, True
            case ev.TurnFailed() | ev.TurnAbandoned():
                turn.running = False
            case _:
                pass


def _effect(data: object, turn: _Turn) -> Iterator[str]:
    match data:
        case ev.EffectIntended(key=key):
            if turn.effects.get(key) == "completed":
                yield f"{key} has a result already"
            turn.effects[key] = "intended"
        case ev.EffectCompleted(key=key):
            if turn.effects.get(key) == "completed":
                yield f"{key} has two results"
            elif turn.effects.get(key) != "intended":
                yield f"{key} has a result and was never intended"
            turn.effects[key] = "completed"
        case ev.EffectFailed(key=key):
            if turn.effects.get(key) != "intended":
                yield f"{key} failed and was not under way"
            turn.effects[key] = "failed"
        case _:
            pass
