"""One edge of a graph: `critic, referee -> author when says "REVISE:"`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from moot.chats.conditions import Condition, read_condition
from moot.chats.edge_tokens import EdgeSyntaxError, Tokens

RESERVED = ("when", "otherwise")
"""Words of the edges' own language, which no participant may be called."""

TAKEN = {"user": "whoever gives the task", "moot": "the runtime", "select": "whoever picks the next speaker"}
"""Names under which others speak in a transcript."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Who may speak after whom.

    Several targets speak in parallel. Several sources make a join: its targets speak when all of them have arrived.
    The condition is put to the reply of each source; `otherwise` holds when no other edge of that source does.
    Edges are equal when they mean the same; `text`, as it was written, and `columns` in it (of sources, then targets,
    from 1) are for messages only.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    when: Condition | None = None
    otherwise: bool = False
    columns: tuple[int, ...] = field(default=(), compare=False, repr=False)
    text: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        tail = " otherwise" if self.otherwise else f" when {self.when}" if self.when else ""
        return f"{', '.join(self.sources)} -> {', '.join(self.targets)}{tail}"

    @property
    def is_join(self) -> bool:
        """Whether it waits for more than one source."""
        return len(self.sources) > 1

    def named(self) -> tuple[tuple[str, int], ...]:
        """Every name in the edge with its column, sources first."""
        names = (*self.sources, *self.targets)
        return tuple(zip(names, self.columns or (1,) * len(names), strict=True))


def parse_edge(text: str) -> Edge:
    """An edge from its text. Raises EdgeSyntaxError with the column and a suggestion."""
    tokens = Tokens(text)
    sources, source_columns = _read_names(tokens, "a participant's name")
    if tokens.next.kind != "arrow":
        raise tokens.unexpected("'->'", "->")
    tokens.take()
    targets, target_columns = _read_names(tokens, "the name of who speaks next")
    when, otherwise = None, tokens.takes("otherwise")
    if not otherwise and tokens.takes("when"):
        when = read_condition(tokens)
    if tokens.next.kind != "end":
        raise _unexpected_tail(tokens, bool(when or otherwise))
    return Edge(sources, targets, when, otherwise, source_columns + target_columns, text)


def name_refusal(name: str) -> tuple[str, str | None] | None:
    """Why a participant may not have this name, and a name that could do; None when it may.

    AutoGen takes Python identifiers only, and model providers ASCII only.
    """
    if name in RESERVED:
        return f"{name!r} is a word of the edges and cannot name a participant", None
    if name in TAKEN:
        return f"{name!r} cannot be a participant's name: it stands for {TAKEN[name]}", None
    if name.isascii() and name.isidentifier():
        return None
    better = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
    better = f"_{better}" if better[:1].isdigit() else better
    problem = f"{name!r} cannot be a participant's name: only letters, digits and _, not a digit first"
    return problem, f"did you mean {better!r}?" if better.isidentifier() else None


def _read_names(tokens: Tokens, expected: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    names: list[str] = []
    columns: list[int] = []
    while True:
        token = tokens.next
        if token.kind not in ("word", "number") or token.text in RESERVED:
            raise tokens.unexpected(expected)
        if refusal := name_refusal(token.text):
            raise EdgeSyntaxError(refusal[0], token.column, refusal[1])
        tokens.take()
        names.append(token.text)
        columns.append(token.column)
        if not tokens.takes(",", "and"):
            return tuple(names), tuple(columns)


def _unexpected_tail(tokens: Tokens, complete: bool) -> EdgeSyntaxError:
    if complete:
        return tokens.unexpected("'and', 'or' or the end of the edge", "and", "or")
    if tokens.next.kind == "arrow":
        hint = "write each step as an edge of its own"
        return EdgeSyntaxError("an edge has one '->'", tokens.next.column, hint)
    return tokens.unexpected("'when CONDITION', 'otherwise' or the end of the edge", "when", "otherwise", ",")
