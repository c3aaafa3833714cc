"""What a run has spent as its events tell it, and what calls may have cost of which no result is known."""

from __future__ import annotations

from collections.abc import Iterable

from moot.chats import event_types as ev
from moot.chats.event_types import Spent
from moot.chats.events import Event
from moot.termination.ledger import Cost, Usage


class Spending:
    """Of one run, by participant. `apply` takes every event of its turns once, in order."""

    def __init__(self) -> None:
        self.total = Usage()
        self.by_participant: dict[str, Usage] = {}
        self.open: dict[tuple[int, str], tuple[str, Cost]] = {}
        """Effects that were begun and have no result yet: whose they are, and what they may cost at most."""
        self.given_up: list[tuple[str, Cost]] = []
        """Effects of which nobody will ever know the end."""

    def apply(self, event: Event) -> None:
        """Take one event of a turn in."""
        match event.data:
            case ev.EffectIntended(key=key, reserved=reserved):
                self._doubt(event.turn, key)  # it is made again
                self.open[event.turn, key] = event.participant, _cost(reserved)
            case ev.EffectCompleted(key=key, spent=spent):
                self.open.pop((event.turn, key), None)
                for usage in (self.total, self.by_participant.setdefault(event.participant, Usage())):
                    usage.add(_cost(spent))
            case ev.EffectFailed(key=key, performed=performed):
                if performed:
                    self._doubt(event.turn, key)
                self.open.pop((event.turn, key), None)
            case ev.EffectUnknown(key=key, then=then):
                if then != "found":
                    self._doubt(event.turn, key)
            case ev.TurnFinished():
                for turn, key in [each for each in self.open if each[0] == event.turn]:
                    self._doubt(turn, key)
            case _:
                pass

    def doubtful(self, participant: str | None = None) -> Usage:
        """What calls without a result may have cost at most, of everybody or of one; no part of what was spent."""
        found = Usage()
        for who, cost in (*self.given_up, *self.open.values()):
            if participant in (None, who):
                found.add(cost)
        return found

    def doubted_before(self) -> Usage:
        """The same without what is under way: what counts against the limits."""
        return _sum(cost for _, cost in self.given_up)

    def _doubt(self, turn: int, key: str) -> None:
        held = self.open.pop((turn, key), None)
        if held is not None:
            self.given_up.append(held)


def _sum(costs: Iterable[Cost]) -> Usage:
    usage = Usage()
    for cost in costs:
        usage.add(cost)
    return usage


def _cost(spent: Spent) -> Cost:
    return Cost(spent.input_tokens, spent.output_tokens, spent.usd, spent.code_runs)
