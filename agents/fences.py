"""Where the fenced blocks of a message stand: one pass over its lines, by the rules of CommonMark.

A fence is three or more backticks or tildes, at most three columns to the right of where the text of its list item (or
of the message) begins; the same sign, at least as often and with nothing but blanks behind it, closes it. Other than in
CommonMark, a line of code further left than its list item does not end the block: models write such blocks, and mean
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

NEVER_CLOSED = "a fence that is never closed"
QUOTED = "a fence in a quotation"
TOO_FAR_IN = "a fence indented so far that it is plain text"

# Possessive: nothing is tried twice, so a hostile line of megabytes takes no longer than any other.
_OPENING = re.compile(r"(?P<fence>`{3,}+(?=[^`]*+$)|~{3,}+)[ \t]*+(?P<label>[\w+#.-]*+)")
_ITEM = re.compile(r"(?P<mark>[-+*]|\d{1,9}[.)])(?P<gap> ++|$)")
_FARTHEST = 3
_WIDEST_GAP = 4
_TAB = 4


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block. `text[start:end]` is the whole of it: from the beginning of its first line to the end of its
    last, without that line's end.
    """

    label: str
    """The first word behind the opening fence, which names a language; empty where there is none."""
    code: str
    """The lines between the fences, without the indent of the first fence. Each ends with a newline."""
    start: int
    end: int
    flaw: str = ""
    """Why it is no block of code after all; empty where it is one."""


def fences(text: str) -> Iterator[Fence]:
    """Every fenced block in order, with those that are none for a flaw. Each line is looked at once."""
    items: list[int] = []
    block: _Block | None = None
    at = 0
    for whole in text.split("\n"):
        start, at = at, at + len(whole) + 1
        line = whole.removesuffix("\r")
        if block is None:
            block, flaw = _opening(line, start, items)
            if flaw:
                yield Fence("", "", start, start + len(line), flaw)
        elif block.closed_by(line):
            yield block.fence(start + len(line))
            block = None
        else:
            block.lines.append(_without_indent(line, block.column))
    if block is not None:
        yield block.fence(len(text), NEVER_CLOSED)


@dataclass(slots=True)
class _Block:
    """A block that is not closed yet."""

    sign: str
    label: str
    start: int
    column: int
    """Where the fence stands."""
    farthest: int
    """Where the closing fence may stand at most."""
    lines: list[str] = field(default_factory=list)

    def closed_by(self, line: str) -> bool:
        rest = line.lstrip(" \t")
        if not rest.startswith(self.sign) or rest.rstrip(" \t").strip(self.sign[0]):
            return False
        return len(line[: len(line) - len(rest)].expandtabs(_TAB)) <= self.farthest

    def fence(self, end: int, flaw: str = "") -> Fence:
        return Fence(self.label, "".join(f"{line}\n" for line in self.lines), self.start, end, flaw)


def _opening(line: str, start: int, items: list[int]) -> tuple[_Block | None, str]:
    """The block that a line opens, or why it opens none although it looks so; both are nothing for other lines.

    `items` are the columns at which the text of the list items begins that the line is in; it is brought up to date.
    """
    line = line.expandtabs(_TAB)
    column = len(line) - len(line.lstrip(" "))
    if column == len(line):
        return None, ""
    while items and items[-1] > column:
        items.pop()
    while column <= (margin := items[-1] if items else 0) + _FARTHEST and (item := _ITEM.match(line, column)):
        wide = not item["gap"] or len(item["gap"]) > _WIDEST_GAP
        items.append(item.end("mark") + 1 if wide else item.end())
        column = item.end()
    too_far = column > margin + _FARTHEST
    quoted = not too_far and line.startswith(">", column)
    inside = line[column:].lstrip("> ") if quoted else ""
    found = _OPENING.match(inside) if quoted else _OPENING.match(line, column)
    if found is None or too_far or quoted:
        return None, "" if found is None else QUOTED if quoted else TOO_FAR_IN
    return _Block(found["fence"], found["label"], start, column, margin + _FARTHEST), ""


def _without_indent(line: str, columns: int) -> str:
    """The line without blanks up to that column; of a tab that reaches beyond, the rest stays as blanks."""
    column = at = 0
    while column < columns and line[at : at + 1] in (" ", "\t"):
        column += _TAB - column % _TAB if line[at] == "\t" else 1
        at += 1
    return " " * (column - columns) + line[at:]
