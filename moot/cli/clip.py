"""Long texts cut to what a person reads, saying how much there is."""

from __future__ import annotations

from moot.chats.clean import clean
from moot.cli.words import count, size

LINES, CHARACTERS = 40, 4000
"""What is shown of one message or one output."""


def clip(text: str, lines: int = LINES, characters: int = CHARACTERS) -> tuple[str, str]:
    """The beginning of a text, made safe, and how much there is in all; the second is empty when nothing is missing."""
    head = clean(text[: 4 * characters]).strip("\n")  # escape sequences are cut before they count
    kept = head[:characters].split("\n")[:lines]
    shown = "\n".join(kept)
    if shown == head and len(text) <= 4 * characters:
        return shown, ""
    whole = size(len(text.encode("utf-8", "surrogatepass")))
    return shown, f"{whole} in all, {count(text.count(chr(10)) + 1, 'line')}"


def tail(text: str, lines: int) -> str:
    """The last lines of a text, made safe."""
    return "\n".join(clean(text).strip("\n").split("\n")[-lines:]) if lines > 0 else ""
