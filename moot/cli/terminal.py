"""The terminal's modes: what is typed while nobody asks is neither shown nor lost, and all is given back."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
from collections.abc import Iterator
from typing import TextIO

Modes = list[int | list[bytes | int]]
LOCAL, CHARACTERS = 3, 6
"""Where the local modes and the special characters stand among those that termios gives."""
PIECE = 4096
RESTORED = "\x1b[?2004l\x1b[?25h\x1b[0m"
"""No brackets around what is pasted, a cursor, no colours."""


def can_ask() -> bool:
    """Whether somebody is there to be asked: they see stderr, their keys come on stdin, and neither belongs to another
    program now, as it does to the shell where this one was started with `&`.
    """
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr) and in_front(sys.stdin)


def in_front(stream: TextIO) -> bool:
    """Whether the terminal is ours to change; a program in the background would be stopped for trying."""
    with contextlib.suppress(OSError, ValueError):
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    return False


def _is_terminal(stream: TextIO | None) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return stream is not None and stream.isatty()
    return False


class Quiet:
    """Between `begin` and `end` keys are not echoed, for they would fall into what is drawn. They are not lost: the
    terminal keeps them for whoever reads next. Nothing happens where there is no terminal, or it is not ours.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before: Modes | None = None

    def begin(self) -> None:
        """Echo no more."""
        if self._before is not None or not _is_terminal(self._stream) or not in_front(self._stream):
            return
        with contextlib.suppress(termios.error, OSError):
            before = termios.tcgetattr(self._stream.fileno())
            _change(self._stream.fileno(), without=termios.ECHO)
            self._before = before

    def end(self) -> None:
        """As it was. Safe to call twice, and in a signal handler."""
        before, self._before = self._before, None
        if before is not None and in_front(self._stream):
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self._stream.fileno(), termios.TCSANOW, before)


class Restoring:
    """Remembers how the terminal is, for a program that is left in the middle of everything."""

    def __init__(self) -> None:
        self._before: Modes | None = None
        with contextlib.suppress(termios.error, OSError, ValueError):
            self._before = termios.tcgetattr(sys.stdin.fileno())

    def __call__(self) -> None:
        """As it was then, the cursor and the colours too. The stream may be in the middle of a write: it is gone
        around.
        """
        with contextlib.suppress(termios.error, OSError, ValueError):
            if self._before is not None and in_front(sys.stdin):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._before)
            os.write(2, RESTORED.encode())


def typed_ahead(stream: TextIO) -> str:
    """What was typed and read by nobody yet, the line that was not ended included; nothing waits for more."""
    pieces: list[bytes] = []
    with _by_character(stream), contextlib.suppress(OSError, ValueError):
        while select.select([stream], [], [], 0)[0] and (piece := os.read(stream.fileno(), PIECE)):
            pieces.append(piece)
    return b"".join(pieces).decode(stream.encoding or "utf-8", errors="ignore")


@contextlib.contextmanager
def _by_character(stream: TextIO) -> Iterator[None]:
    """What stands in a line that was not ended can be read, too."""
    try:
        before = termios.tcgetattr(stream.fileno())
        _change(stream.fileno(), without=termios.ICANON)
    except (termios.error, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(stream.fileno(), termios.TCSANOW, before)


def _change(number: int, *, without: int) -> None:
    modes = termios.tcgetattr(number)
    modes[LOCAL] &= ~without
    if without & termios.ICANON:
        modes[CHARACTERS][termios.VMIN], modes[CHARACTERS][termios.VTIME] = 0, 0
    termios.tcsetattr(number, termios.TCSANOW, modes)
