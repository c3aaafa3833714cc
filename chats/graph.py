"""The graph policy: edges say who speaks after whom, and under which condition.

    graph("coder -> executor", "executor -> coder when exit_code != 0", "executor -> reviewer otherwise")

A policy keeps nothing of its own: where the chat stands is a fold of the transcript. So that a choice costs the same at
turn 10 and at turn 10,000 the fold is remembered per transcript (weakly) and carried on from where it was.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from moot.chats.edge_tokens import EdgeSyntaxError
from moot.chats.edges import Edge, parse_edge
from moot.chats.errors import Problem, SpecError, UserError
from moot.chats.graph_check import GraphProblem, check_graph
from moot.chats.graph_walk import Walk, Ways
from moot.chats.speakers import Choice
from moot.termination.outcome import Outcome, Stop

if TYPE_CHECKING:
    from moot.termination.transcript import Transcript, Turn


@dataclass(frozen=True)
class Graph:
    """Who speaks next, by edges. The first edge's source opens; of a speaker's edges the first that holds is taken.

    A reply that satisfies no edge is asked for once more, with a note that names the forms expected; then the run ends
    as failed. `endings` says in words what a participant may say to end the chat (its stop rules), so that the note
    can name that too.
    """

    edges: tuple[Edge, ...]
    endings: tuple[tuple[str, str], ...] = ()

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice | Stop:
        """The targets of the edge that holds, with the condition and what was seen as the reason."""
        walk = self._walk(said)
        if walk.failed:
            return Stop("graph", self._failure(walk.failed), Outcome.FAILED, said.turns)
        waiting = walk.again or walk.due
        names = tuple(name for name in waiting if name in eligible)
        if not names:
            who = ", ".join(waiting) or "nobody"
            return Stop("graph", f"{who} would speak next, but may not", Outcome.FAILED, said.turns)
        reason = "; ".join(dict.fromkeys(walk.reasons[name] for name in names))
        if held := ", ".join(name for name in waiting if name not in names):
            reason += f"; {held} may not speak now"
        candidates = tuple(dict.fromkeys((*names, *self._ways.after(walk.spoke))))
        if not walk.again:
            return Choice(names, reason, "graph", candidates)
        return Choice(names, reason, "graph", candidates, attempts=2, note=self._note(names))

    def validate(self, participants: Iterable[str], watched: Iterable[str]) -> list[GraphProblem]:
        """What is wrong with the graph for these participants, in the order of the edges.

        `watched` are the participants whose turns some stop rule looks at: only they may be where the graph ends.
        """
        return check_graph(self.edges, tuple(participants), frozenset(watched))

    def __reduce__(self) -> tuple[type[Graph], tuple[object, ...]]:
        return type(self), (self.edges, self.endings)  # what is remembered is no part of the value

    @cached_property
    def _ways(self) -> Ways:
        return Ways(self.edges)

    @cached_property
    def _remembered(self) -> dict[int, _Memory]:
        return {}

    def _walk(self, said: Transcript) -> Walk:
        """Where the chat stands: every step before the last from memory, the last one afresh (it may still grow)."""
        memory = self._memory(said)
        history, at = said.history, memory.turns
        while at < len(history):
            step = _step_at(history, at)
            at += len(step)
            if at == len(history):
                return memory.walk.after(step)
            memory.walk = memory.walk.after(step)
            memory.turns, memory.last = at, step[-1]
        return memory.walk

    def _memory(self, said: Transcript) -> _Memory:
        key = id(said)
        memory = self._remembered.get(key)
        if memory is None or memory.transcript() is not said or not memory.fits(said.history):
            forget = partial(_forget, self._remembered, key)
            memory = self._remembered[key] = _Memory(weakref.ref(said, forget), Walk.opening(self._ways))
        return memory

    def _expected(self, name: str) -> str:
        forms = [edge.when.form() for edge in self._ways.of(name) if edge.when]
        forms += [form for who, form in self.endings if who == name]
        return ", or ".join(dict.fromkeys(forms))

    def _note(self, names: tuple[str, ...]) -> str:
        lines = []
        for name in names:
            who = f"{name}, your" if len(names) > 1 else "Your"
            expected = self._expected(name)
            wanted = f"what is expected is {expected}" if expected else "no stop rule of this chat accepted it"
            lines.append(f"{who} last reply leads nowhere: {wanted}. Reply once more in the form that is expected.")
        return "\n".join(lines)

    def _failure(self, names: tuple[str, ...]) -> str:
        parts = []
        for name in names:
            expected = self._expected(name) or "something that a stop rule accepts, since no edge leads on"
            parts.append(f"no edge fits the last reply of {name}; expected {expected}")
        return "; ".join(parts)


@dataclass(slots=True)
class _Memory:
    """The fold of a transcript's first `turns` turns."""

    transcript: weakref.ref[Transcript]
    walk: Walk
    turns: int = 0
    last: Turn | None = None

    def fits(self, history: Sequence[Turn]) -> bool:
        """Whether these turns go on from those that were folded (turns are frozen and only ever appended)."""
        return self.turns == 0 or (len(history) >= self.turns and history[self.turns - 1] is self.last)


def graph(*edges: str) -> Graph:
    """A graph policy from its edges, such as `graph("writer -> critic", 'critic -> writer when says "REDO:"')`.

    Raises SpecError with the edge, the column, a caret and a suggestion for edges that cannot be read.
    """
    if not edges:
        raise SpecError(Problem("graph", "a graph needs at least one edge, such as 'writer -> critic'"))
    parsed, problems = [], []
    for number, text in enumerate(edges, start=1):
        if not isinstance(text, str):
            raise UserError(f"graph() takes its edges as texts, graph('a -> b', 'b -> a'); got {type(text).__name__}")
        try:
            parsed.append(parse_edge(text))
        except EdgeSyntaxError as error:
            place = f"edge {number}"
            line = re.sub(r"\s", " ", text)
            problems.append(Problem("graph", error.problem, number, error.column, place, error.suggestion, line))
    if problems:
        raise SpecError(*problems)
    return Graph(tuple(parsed))


def _step_at(history: Sequence[Turn], start: int) -> Sequence[Turn]:
    end = start + 1
    while end < len(history) and history[end].step == history[start].step:
        end += 1
    return history[start:end]


def _forget(remembered: dict[int, _Memory], key: int, gone: weakref.ref[Transcript]) -> None:
    memory = remembered.get(key)
    if memory is not None and memory.transcript is gone:
        del remembered[key]
