"""The journal as it is written, one envelope a line."""

from __future__ import annotations

from typing import TextIO

from moot.chats.clean import shown_json
from moot.chats.events import Event
from moot.chats.story import Story
from moot.cli.display_none import NoDisplay


class JsonlDisplay(NoDisplay):
    """Writes every event after it was committed; the events of a run that is resumed from the first on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def event(self, event: Event, story: Story, *, past: bool) -> None:
        """One line."""
        self._stream.write(shown_json(event.envelope(story.run), indent=None) + "\n")
        self._stream.flush()
