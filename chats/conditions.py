"""The conditions on a graph's edges: questions about one turn, written as `exit_code != 0 or says "REDO:"`.

- condition: part `or` part ...
- part: term `and` term ...
- term: `not` term, `(` condition `)`, or a fact
- fact: `exit_code` with `== != < <= > >=` and a number, `timed_out`, `says "TEXT"`, `contains "TEXT"`, and of a person
  `approved`, `rejected`
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from moot.chats.edge_tokens import EdgeSyntaxError, Tokens
from moot.termination.transcript import APPROVED

if TYPE_CHECKING:  # a turn's message is AutoGen's, and `moot validate` should not pay for importing it
    from moot.termination.transcript import Turn

_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FACTS = ("exit_code", "says", "contains", "timed_out", "approved", "rejected", "not")
_DECISIONS = {"approved": APPROVED, "rejected": ("reject",)}
_DEEPEST = 40


class Condition(Protocol):
    """A question about one turn. Frozen values: equal when they ask the same."""

    def holds(self, turn: Turn) -> bool:
        """Whether it is so."""
        ...

    def fact(self, turn: Turn) -> str:
        """What was seen, whether it holds or not: `exit code was 1`."""
        ...

    def form(self) -> str:
        """For the speaker: what a reply must be for this to hold."""
        ...

    @property
    def about_code(self) -> bool:
        """Whether only a participant that runs code can make it hold."""
        ...


@dataclass(frozen=True, slots=True)
class ExitCode:
    """Compares the exit code of the turn's last block of code. A turn that ran no code differs from every number."""

    op: str
    number: int

    def __str__(self) -> str:
        return f"exit_code {self.op} {self.number}"

    def holds(self, turn: Turn) -> bool:
        """Whether the comparison holds; without code only `!=` does, so that "no code found" goes back to the coder."""
        if turn.exit_code is None:
            return self.op == "!="
        return bool(_COMPARE[self.op](turn.exit_code, self.number))

    def fact(self, turn: Turn) -> str:
        """The exit code."""
        return "no code ran" if turn.exit_code is None else f"exit code was {turn.exit_code}"

    def form(self) -> str:
        """In words."""
        return f"code that ends with {self}"

    @property
    def about_code(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A block of code of the turn hit its timeout."""

    def __str__(self) -> str:
        return "timed_out"

    def holds(self, turn: Turn) -> bool:
        """Whether any block did."""
        return any(run.timed_out for run in turn.code_runs)

    def fact(self, turn: Turn) -> str:
        """Whether any block did, in words."""
        return "the code timed out" if self.holds(turn) else "the code did not time out"

    def form(self) -> str:
        """In words."""
        return "code that runs into its timeout"

    @property
    def about_code(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class Says:
    """The reply has a line that starts with the text (blanks before it do not count)."""

    text: str

    def __str__(self) -> str:
        return f"says {_quoted(self.text)}"

    def holds(self, turn: Turn) -> bool:
        """Whether a line does."""
        return re.search(rf"^[ \t]*{re.escape(self.text)}", turn.text, re.MULTILINE) is not None

    def fact(self, turn: Turn) -> str:
        """Whether a line does, in words."""
        return f"it {'says' if self.holds(turn) else 'does not say'} {_quoted(self.text)}"

    def form(self) -> str:
        """In words."""
        return f"a line that starts with {_quoted(self.text)}"

    @property
    def about_code(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class Contains:
    """The reply has the text somewhere."""

    text: str

    def __str__(self) -> str:
        return f"contains {_quoted(self.text)}"

    def holds(self, turn: Turn) -> bool:
        """Whether it does."""
        return self.text in turn.text

    def fact(self, turn: Turn) -> str:
        """Whether it does, in words."""
        return f"it {'contains' if self.holds(turn) else 'does not contain'} {_quoted(self.text)}"

    def form(self) -> str:
        """In words."""
        return f"the words {_quoted(self.text)}"

    @property
    def about_code(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class Decided:
    """The person approved what they were shown, as it was or edited; or rejected it. Their words decide nothing."""

    verdict: str
    """`approved` or `rejected`."""

    def __str__(self) -> str:
        return self.verdict

    def holds(self, turn: Turn) -> bool:
        """Whether that is what they decided."""
        return turn.decision in _DECISIONS[self.verdict]

    def fact(self, turn: Turn) -> str:
        """What they decided, in words."""
        became = next((word for word, decisions in _DECISIONS.items() if turn.decision in decisions), "")
        return f"it was {became}" if became else "nothing was decided"

    def form(self) -> str:
        """In words."""
        return "an approval" if self.verdict == "approved" else "a rejection"

    @property
    def about_code(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True, slots=True)
class Not:
    """Holds when the other does not."""

    part: Condition

    def __str__(self) -> str:
        return f"not ({self.part})" if isinstance(self.part, And | Or) else f"not {self.part}"

    def holds(self, turn: Turn) -> bool:
        """The opposite."""
        return not self.part.holds(turn)

    def fact(self, turn: Turn) -> str:
        """What the other saw."""
        return self.part.fact(turn)

    def form(self) -> str:
        """In words."""
        return f"anything but {self.part.form()}"

    @property
    def about_code(self) -> bool:
        """A turn without code can satisfy it."""
        return False


@dataclass(frozen=True, slots=True)
class And:
    """Holds when every part does (`and`)."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)

    def holds(self, turn: Turn) -> bool:
        """Whether all of them do."""
        return all(part.holds(turn) for part in self.parts)

    def fact(self, turn: Turn) -> str:
        """What each of them saw."""
        return _listed(part.fact(turn) for part in self.parts)

    def form(self) -> str:
        """In words."""
        return " together with ".join(part.form() for part in self.parts)

    @property
    def about_code(self) -> bool:
        """When any part is."""
        return any(part.about_code for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Holds when at least one part does (`or`)."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(str(part) for part in self.parts)

    def holds(self, turn: Turn) -> bool:
        """Whether one of them does."""
        return any(part.holds(turn) for part in self.parts)

    def fact(self, turn: Turn) -> str:
        """What those saw that hold; when none does, what each saw."""
        holding = [part for part in self.parts if part.holds(turn)]
        return _listed(part.fact(turn) for part in holding or self.parts)

    def form(self) -> str:
        """In words."""
        return " or ".join(part.form() for part in self.parts)

    @property
    def about_code(self) -> bool:
        """When all parts are."""
        return all(part.about_code for part in self.parts)


def about_people(condition: Condition) -> bool:
    """Whether it asks what a person decided."""
    match condition:
        case And(parts=parts) | Or(parts=parts):
            return any(about_people(part) for part in parts)
        case Not(part=part):
            return about_people(part)
        case _:
            return isinstance(condition, Decided)


def parse_condition(text: str) -> Condition:
    """A condition from its text. Raises EdgeSyntaxError with the column."""
    tokens = Tokens(text)
    condition = read_condition(tokens)
    if tokens.next.kind != "end":
        raise tokens.unexpected("'and', 'or' or the end", "and", "or")
    return condition


def read_condition(tokens: Tokens, depth: int = 0) -> Condition:
    """Takes a condition from the tokens and leaves what follows it."""
    parts = [_read_part(tokens, depth)]
    while tokens.takes("or"):
        parts.append(_read_part(tokens, depth))
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _read_part(tokens: Tokens, depth: int) -> Condition:
    terms = [_read_term(tokens, depth)]
    while tokens.takes("and"):
        terms.append(_read_term(tokens, depth))
    return terms[0] if len(terms) == 1 else And(tuple(terms))


def _read_term(tokens: Tokens, depth: int) -> Condition:
    if depth > _DEEPEST:
        raise EdgeSyntaxError(f"nested more than {_DEEPEST} deep", tokens.next.column)
    if tokens.takes("not"):
        return Not(_read_term(tokens, depth + 1))
    if tokens.takes("("):
        inside = read_condition(tokens, depth + 1)
        if not tokens.takes(")"):
            raise tokens.unexpected("')', 'and' or 'or'", ")", "and", "or")
        return inside
    return _read_fact(tokens)


def _read_fact(tokens: Tokens) -> Condition:
    if tokens.takes("timed_out"):
        return TimedOut()
    for verdict in _DECISIONS:
        if tokens.takes(verdict):
            return Decided(verdict)
    if tokens.takes("exit_code"):
        return _read_comparison(tokens)
    if tokens.takes("says"):
        return Says(_read_text(tokens, "says"))
    if tokens.takes("contains"):
        return Contains(_read_text(tokens, "contains"))
    raise tokens.unexpected(
        'a condition (exit_code, says "TEXT", contains "TEXT", timed_out, approved, rejected)', *_FACTS
    )


def _read_comparison(tokens: Tokens) -> ExitCode:
    if tokens.next.kind != "op":
        raise tokens.unexpected("one of == != < <= > >=", *_COMPARE)
    op = tokens.take().text
    if tokens.next.kind != "number":
        raise tokens.unexpected("a whole number")
    return ExitCode(op, int(tokens.take().text))


def _read_text(tokens: Tokens, after: str) -> str:
    if tokens.next.kind != "text":
        raise tokens.unexpected(f'a text in quotes after {after}, such as {after} "DONE:"')
    token = tokens.take()
    text = re.sub(r"\\([\"'\\])", r"\1", token.text[1:-1])
    if not text.strip():
        raise EdgeSyntaxError(f"the text after {after} is empty", token.column)
    return text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(facts: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(facts))
