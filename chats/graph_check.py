"""What can be wrong with a graph before anybody has spoken."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from moot.chats.conditions import about_people
from moot.chats.edges import Edge
from moot.chats.errors import closest, did_you_mean


@dataclass(frozen=True, slots=True)
class GraphProblem:
    """One thing that is wrong: at an edge (its index from 0) and a column of its `text` (from 1), or at somebody."""

    message: str
    edge: int | None = None
    column: int = 1
    suggestion: str | None = None
    participant: str | None = None


def check_graph(edges: Sequence[Edge], participants: Sequence[str], watched: frozenset[str]) -> list[GraphProblem]:
    """Everything that is wrong, edges first and in their order, then participants."""
    problems = [*_unknown(edges, participants), *_repeated(edges), *_never_taken(edges)]
    edges = _as_meant(edges, participants)
    reached = _reached(edges, edges[0].sources)
    problems += _unreached(participants, reached)
    problems += _cannot_leave(edges, [name for name in participants if name in reached], watched)
    return sorted(problems, key=lambda problem: (problem.edge is None, problem.edge or 0, problem.column))


def undecided(edges: Sequence[Edge], people: Collection[str], others: Collection[str]) -> Iterator[GraphProblem]:
    """Edges that wait for a decision of somebody who never decides anything: `others` are no people."""
    for index, edge in enumerate(edges):
        if edge.when is None or not about_people(edge.when):
            continue
        for name, column in edge.named()[: len(edge.sources)]:
            if name in others:
                hint = f"people: {', '.join(people)}" if people else "a person is a participant with role: human"
                message = f"{name} is no person, so that {str(edge.when)!r} says nothing about it"
                yield GraphProblem(message, index, column, hint)


def _unknown(edges: Sequence[Edge], participants: Sequence[str]) -> Iterator[GraphProblem]:
    for index, edge in enumerate(edges):
        for name, column in edge.named():
            if name not in participants:
                message = f"nobody is called {name!r}"
                yield GraphProblem(message, index, column, did_you_mean(name, participants))


def _as_meant(edges: Sequence[Edge], participants: Sequence[str]) -> list[Edge]:
    """The edges with misspelt names put right, so that one slip is not reported again as someone nobody reaches."""

    def meant(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name if name in participants else closest(name, participants) or name for name in names)

    return [replace(edge, sources=meant(edge.sources), targets=meant(edge.targets)) for edge in edges]


def _repeated(edges: Sequence[Edge]) -> Iterator[GraphProblem]:
    for index, edge in enumerate(edges):
        first = list(edges).index(edge)
        if first != index:
            yield GraphProblem(f"the same as edge {first + 1}", index)
        for names, offset in ((edge.sources, 0), (edge.targets, len(edge.sources))):
            for place, name in enumerate(names):
                if name in names[:place]:
                    yield GraphProblem(f"{name} is named twice", index, edge.named()[offset + place][1])


def _never_taken(edges: Sequence[Edge]) -> Iterator[GraphProblem]:
    """An edge behind one that always holds, or behind one with the same condition."""
    for index, edge in enumerate(edges):
        for before, other in enumerate(edges):
            shared = [name for name in edge.sources if name in other.sources]
            if not shared or edge == other or not _shadows(other, before, edge, index):
                continue
            both = ", ".join(dict.fromkeys((*other.targets, *edge.targets)))
            hint = f"for both write '{', '.join(edge.sources)} -> {both}'" if edge.sources == other.sources else None
            yield GraphProblem(f"never taken: edge {before + 1} ({other}) always comes first", index, 1, hint)
            break


def _shadows(other: Edge, before: int, edge: Edge, index: int) -> bool:
    """Whether a speaker of both never comes to `edge` because of `other`."""
    if other.otherwise:
        return edge.otherwise and before < index
    if edge.otherwise:
        return other.when is None
    return before < index and (other.when is None or other.when == edge.when)


def _unreached(participants: Sequence[str], reached: frozenset[str]) -> Iterator[GraphProblem]:
    for name in participants:
        if name not in reached:
            yield GraphProblem("no edge ever reaches this participant", participant=name)


def _cannot_leave(edges: Sequence[Edge], reached: Sequence[str], watched: frozenset[str]) -> Iterator[GraphProblem]:
    leaving = {name for edge in edges for name in edge.sources}
    ends = [name for name in reached if name not in leaving and name not in watched]
    for name in ends:
        index = next(i for i, edge in enumerate(edges) if name in edge.targets)
        column = dict(edges[index].named())[name]
        message = f"the graph cannot be left: nobody follows {name} and no stop rule looks at what it says"
        yield GraphProblem(message, index, column, f"add an edge from {name} or a stop rule for it")
    if not watched:
        return
    lost = [name for name in reached if name not in ends and not _reached(edges, (name,)) & watched]
    if lost:
        index = next(i for i, edge in enumerate(edges) if lost[0] in edge.sources)
        listening = ", ".join(sorted(watched))
        message = f"the graph cannot be left: no stop rule looks at anybody reached from {', '.join(lost)}"
        hint = f"stop rules look at {listening}"
        yield GraphProblem(message, index, dict(edges[index].named())[lost[0]], hint)


def _reached(edges: Sequence[Edge], start: Iterable[str]) -> frozenset[str]:
    """Everybody who may come to speak once those at the start have, themselves included."""
    reached = set(start)
    frontier = list(reached)
    followers: dict[str, set[str]] = {}
    for edge in edges:
        for name in edge.sources:
            followers.setdefault(name, set()).update(edge.targets)
    while frontier:
        new = followers.get(frontier.pop(), set()) - reached
        reached |= new
        frontier += new
    return frozenset(reached)
