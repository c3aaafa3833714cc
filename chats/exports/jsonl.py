"""Every event as a line of JSON: nothing is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from moot.chats.clean import shown_json
from moot.chats.events import Event


def jsonl(run: str, events: Iterable[Event]) -> Iterator[str]:
    """The envelope of each event, one a line, without line ends."""
    return (shown_json(event.envelope(run), indent=None) for event in events)
