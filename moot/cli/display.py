"""What a person sees of a run while it goes on. Everything goes to stderr, but for `jsonl`."""

from __future__ import annotations

import os
import sys
from typing import Protocol

from moot.chats.events import Draft, Event
from moot.chats.story import Story
from moot.cli.options import Mode


class Display(Protocol):
    """Follows one run. The story is what has been told so far, this event included. May be opened again once closed."""

    asks: bool
    """Whether questions to people are shown when they are asked; not where somebody asks them here."""

    def open(self, short: str) -> None:
        """Begin, inside the event loop, with the id that the run is shown by."""
        ...

    def event(self, event: Event, story: Story, *, past: bool) -> None:
        """Something was recorded. `past`: before this process drove the run."""
        ...

    def draft(self, draft: Draft) -> None:
        """Text as it comes."""
        ...

    def notice(self, text: str) -> None:
        """Something about this process, not about the run."""
        ...

    def hint(self, text: str) -> None:
        """Something that may be of use after the run: a file, a command."""
        ...

    def end(self, story: Story) -> None:
        """Nothing more comes: say how it ended."""
        ...

    def close(self) -> None:
        """Give the terminal back. Safe to call twice."""
        ...


def display_for(mode: Mode, *, json: bool) -> Display:
    """The display of that name; `live` needs a terminal and is `plain` elsewhere."""
    if mode is Mode.NONE:
        from moot.cli.display_none import NoDisplay

        return NoDisplay()
    if mode is Mode.JSONL:
        from moot.cli.display_jsonl import JsonlDisplay

        return JsonlDisplay(sys.stderr if json else sys.stdout)
    if mode is not Mode.PLAIN and can_move():
        from moot.cli.display_live import LiveDisplay

        return LiveDisplay()
    from moot.cli.display_plain import PlainDisplay

    return PlainDisplay()


def can_move() -> bool:
    """Whether stderr is a terminal that can be drawn on. FORCE_COLOR asks for colours, not for that."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
