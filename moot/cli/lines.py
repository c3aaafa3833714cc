"""How a person at the terminal types an answer."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

Ended = Literal["sent", "editor", "all"]


class Left(Exception):
    """Ctrl-C, Ctrl-D, or the terminal has gone: whoever was asked does not answer now."""


class Typed(NamedTuple):
    """A text, and what ended it: it was sent, or its writer wants an editor for it, or to see all of the question."""

    text: str
    ended: Ended = "sent"


class Lines(Protocol):
    """Where lines come from."""

    keeps: bool
    """Whether a text can be handed in to be written on."""
    hint: str
    """The keys that end a text."""

    def open(self) -> None:
        """Take the keyboard."""
        ...

    def close(self) -> None:
        """Give it back. Safe to call twice, and in a signal handler."""
        ...

    def ahead(self) -> str:
        """What was typed before now and has been read by nobody. It answers nothing: no question had been shown."""
        ...

    async def line(self, label: str, text: str = "") -> Typed:
        """What is typed after `label`, beginning with `text`; several lines that were pasted are one. Raises Left."""
        ...


def lines_here() -> Lines:
    """With an editor for the line where the terminal can move its cursor."""
    from moot.cli.display import can_move

    if can_move():
        from moot.cli.line_editor import LineEditor

        return LineEditor()
    from moot.cli.plain_lines import PlainLines

    return PlainLines()
