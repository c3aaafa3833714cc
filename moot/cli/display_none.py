"""Nothing but what went wrong."""

from __future__ import annotations

import sys

from moot.chats.events import Draft, Event
from moot.chats.story import Story


class NoDisplay:
    """A `Display` that shows no run."""

    def open(self, short: str) -> None:
        """Nothing to begin."""

    def event(self, event: Event, story: Story, *, past: bool) -> None:
        """Not shown."""

    def draft(self, draft: Draft) -> None:
        """Not shown."""

    def notice(self, text: str) -> None:
        """One line on stderr: it answers something the user did."""
        print(text, file=sys.stderr, flush=True)

    def hint(self, text: str) -> None:
        """Not shown."""

    def end(self, story: Story) -> None:
        """Not shown."""

    def close(self) -> None:
        """Nothing to give back."""
