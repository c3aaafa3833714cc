"""A text on the command line, or `-` for what comes on stdin."""

from __future__ import annotations

import sys


def given_text(text: str) -> str:
    """The text; that of stdin, without line ends at its end, where it is `-`."""
    return sys.stdin.read().rstrip("\r\n") if text == "-" else text
