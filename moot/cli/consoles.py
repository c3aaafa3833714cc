"""The two streams: results on stdout, everything else on stderr. Neither gets escape bytes unless it is a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from moot.chats.clean import clean, shown_json

if TYPE_CHECKING:
    from rich.console import Console


LOG_WIDTH = 120
"""Where nobody looks: lines of programs stay whole, and files can still be read in a window."""


def console(*, stderr: bool = True) -> Console:
    """Rich on one of the streams. Nothing in a text is markup, an emoji code or worth highlighting."""
    from rich.console import Console

    class Patient(Console):
        """Falls silent when its reader has gone; Rich would end the process, and the run with it."""

        def on_broken_pipe(self) -> None:
            self.quiet = True

    stream = sys.stderr if stderr else sys.stdout
    width = _width(stream)
    return Patient(stderr=stderr, markup=False, emoji=False, highlight=False, legacy_windows=False, width=width)


def _width(stream: TextIO) -> int | None:
    """None: whatever the terminal has from now on. Rich takes every terminal that cannot be drawn on for 80 wide."""
    if "COLUMNS" in os.environ:
        return None
    if not stream.isatty():
        return LOG_WIDTH
    if os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        with contextlib.suppress(OSError):
            return os.get_terminal_size(stream.fileno()).columns or None
    return None


class _Stderr(io.TextIOBase):
    """Whatever stderr is at the moment: a live display puts itself in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


_results: list[TextIO] = []
"""Where results go while `stdout` is kept for them."""


@contextlib.contextmanager
def stdout_for_results() -> Iterator[None]:
    """Inside, what tools of the user's print goes to stderr: stdout carries results and nothing else."""
    _results.append(sys.stdout)
    try:
        with contextlib.redirect_stdout(_Stderr()):
            yield
    finally:
        _results.pop()


def _stdout() -> TextIO:
    return _results[-1] if _results else sys.stdout


def say(text: str) -> None:
    """A line on stderr, made safe."""
    _write(sys.stderr, clean(text) + "\n")


def result(text: str) -> None:
    """A text on stdout, made safe."""
    _write(_stdout(), clean(text).rstrip("\n") + "\n")


def result_json(value: object) -> None:
    """One JSON value on stdout."""
    _write(_stdout(), shown_json(value) + "\n")


def write(text: str) -> None:
    """A text on stdout that is safe already."""
    _write(_stdout(), text)


def _write(stream: TextIO, text: str) -> None:
    """A reader that has gone changes nothing about how the process ends."""
    with contextlib.suppress(BrokenPipeError):
        stream.write(text)
        stream.flush()
