"""The two streams: results on stdout, everything else on stderr. Neither gets escape bytes unless it is a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from moot.chats.clean import clean, shown_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


LOG_WIDTH = 120
"""Where nobody looks: lines of programs stay whole, and files can still be read in a window."""


def console(*, stderr: bool = True) -> Console:
    """Rich on one of the streams. Nothing in a text is markup, an emoji code or worth highlighting."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else LOG_WIDTH
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, legacy_windows=False, width=width)


def say(text: str) -> None:
    """A line on stderr, made safe."""
    print(clean(text), file=sys.stderr, flush=True)


def result(text: str) -> None:
    """A text on stdout, made safe."""
    sys.stdout.write(clean(text).rstrip("\n") + "\n")
    sys.stdout.flush()


def result_json(value: object) -> None:
    """One JSON value on stdout."""
    sys.stdout.write(shown_json(value) + "\n")
    sys.stdout.flush()


def table(renderable: RenderableType) -> None:
    """A table on stdout."""
    console(stderr=False).print(renderable)
