"""Where a chat stands on its graph: a pure fold over the steps of the transcript."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moot.chats.edges import Edge

if TYPE_CHECKING:
    from moot.termination.transcript import Turn


class Ways:
    """The edges by speaker, in the order in which they are tried: as written, `otherwise` last."""

    def __init__(self, edges: tuple[Edge, ...]) -> None:
        self.edges = edges
        self._of: dict[str, list[Edge]] = {}
        for edge in sorted(edges, key=lambda edge: edge.otherwise):
            for name in edge.sources:
                self._of.setdefault(name, []).append(edge)

    def of(self, name: str) -> Sequence[Edge]:
        """The edges that leave a participant."""
        return self._of.get(name, ())

    def after(self, names: Iterable[str]) -> tuple[str, ...]:
        """Everybody who could follow these speakers."""
        return tuple(target for name in names for edge in self.of(name) for target in edge.targets)


@dataclass(frozen=True, slots=True)
class Walk:
    """Where the chat stands: who is to speak, who has arrived at which join, who has to be asked again."""

    ways: Ways
    due: tuple[str, ...]
    reasons: dict[str, str]
    spoke: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    arrived: dict[Edge, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def opening(ways: Ways) -> Walk:
        """Before the first turn."""
        first = ways.edges[0].sources
        return Walk(ways, first, {name: f"{name} opens: the first edge starts there" for name in first})

    def after(self, step: Sequence[Turn]) -> Walk:
        """Where the chat stands once these turns, taken in parallel, have been counted."""
        stride = _Stride(self, [turn.participant for turn in step])
        for turn in step:
            stride.take(turn)
        stride.fire_joins()
        stride.ask_who_led_nowhere()
        return Walk(
            self.ways,
            tuple(stride.reasons),
            {**stride.reasons, **stride.again},
            stride.spoke,
            tuple(stride.again),
            tuple(stride.failed),
            stride.arrived,
        )


class _Stride:
    """One step of a walk in the making."""

    def __init__(self, walk: Walk, spoke: Sequence[str]) -> None:
        self.walk = walk
        self.spoke = tuple(spoke)
        waiting = () if self._was_steered() else (*walk.due, *walk.again)
        left = {name: walk.reasons[name] for name in waiting if name not in spoke}
        self.reasons = {name: why for name, why in left.items() if name in walk.due}
        """Who is to speak next and why: whoever was to speak and has not yet, then those who follow."""
        self.again = {name: why for name, why in left.items() if name in walk.again}
        self.failed: list[str] = []
        self.ended: list[Turn] = []
        self.arrived = dict(walk.arrived)

    def _was_steered(self) -> bool:
        """Whether somebody on the graph spoke out of turn: then the chat goes on from there, waiting for nobody."""
        expected = {*self.walk.due, *self.walk.again}
        return not expected & {*self.spoke} and any(self.walk.ways.of(name) for name in self.spoke)

    def take(self, turn: Turn) -> None:
        name = turn.participant
        tried: list[Edge] = []
        for edge in self.walk.ways.of(name):
            if edge.when is None or edge.when.holds(turn):
                self.follow(edge, name, _seen(edge, tried, turn))
                return
            tried.append(edge)
        if tried:
            self.ask_again(turn, " and ".join(dict.fromkeys(e.when.fact(turn) for e in tried if e.when)))
        elif name in self.walk.due or name in self.walk.again:
            self.ended.append(turn)

    def follow(self, edge: Edge, name: str, why: str) -> None:
        if edge.is_join:
            so_far = self.arrived.get(edge, ())
            self.arrived[edge] = so_far if name in so_far else (*so_far, name)
        else:
            self.start(edge, why)

    def start(self, edge: Edge, why: str) -> None:
        for target in edge.targets:
            self.reasons.setdefault(target, f"{edge}{why}")

    def ask_again(self, turn: Turn, seen: str) -> None:
        """Once, and only who can answer otherwise: what code came to does not change by asking."""
        name = turn.participant
        if name in self.walk.again or turn.code_runs:
            self.failed.append(name)
        else:
            self.again[name] = f"{name} once more: no edge fits its reply ({seen})"

    def fire_joins(self) -> None:
        """A join goes on when all its sources have arrived; when nobody else is active, with those who have."""
        for edge, names in list(self.arrived.items()):
            if set(names) == set(edge.sources):
                self.start(edge, ": all have arrived")
                del self.arrived[edge]
        if self.arrived and not (self.reasons or self.again or self.failed):
            edge = min(self.arrived, key=self.walk.ways.edges.index)
            missing = ", ".join(name for name in edge.sources if name not in self.arrived[edge])
            self.start(edge, f": nobody else is active, {missing} did not come")
            del self.arrived[edge]

    def ask_who_led_nowhere(self) -> None:
        """Where no edge leaves, a branch just ends; but somebody must be left to speak."""
        if not (self.reasons or self.again or self.failed):
            for turn in self.ended:
                self.ask_again(turn, "no edge leads on and no stop rule accepted it")


def _seen(edge: Edge, tried: Sequence[Edge], turn: Turn) -> str:
    """What made the edge hold: its condition's fact, or, where it has none, why the edges before it did not hold."""
    if edge.when:
        return f": {edge.when.fact(turn)}"
    facts = dict.fromkeys(other.when.fact(turn) for other in tried if other.when)
    return f": {' and '.join(facts)}" if facts else ""
