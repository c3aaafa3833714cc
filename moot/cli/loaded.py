"""One run as its store knows it: its journal, whether somebody drives it, and what was posted and not taken in yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from moot.chats.commands import Decide, read_command
from moot.chats.event_types import RequestDecided
from moot.chats.find import find_run
from moot.chats.ids import short
from moot.chats.outside import last_command
from moot.chats.story import Story
from moot.cli.run_list import status_of

if TYPE_CHECKING:
    from moot.chats.events import Event
    from moot.chats.store import Posted, RunRow, Store


@dataclass(frozen=True)
class Loaded:
    """A run that is looked at. `short` is what it is called."""

    name: str
    short: str
    events: Sequence[Event]
    row: RunRow
    posted: Sequence[Posted]
    """What nobody has taken in yet."""

    @property
    def decisions(self) -> list[RequestDecided]:
        """Decisions that were posted and that no driver has taken in, as they will be."""
        read = ((posted.number, read_command(posted.command)) for posted in self.posted)
        return [
            RequestDecided(
                id=d.request,
                decision=d.decision,
                text=d.text,
                by=d.by,
                edited=d.edited,
                digest=d.digest,
                command=number,
            )
            for number, d in read
            if isinstance(d, Decide)
        ]

    @cached_property
    def story(self) -> Story:
        """Told to the end, with the decisions that were posted."""
        story = Story.of(self.name, self.events)
        self.decide(story)
        return story

    def decide(self, story: Story) -> None:
        """Take in what was decided after the last event."""
        for decision in self.decisions:
            story.expect(decision)

    @property
    def python(self) -> bool:
        """Whether it was made of Python objects: nobody else can drive it on."""
        created = self.story.created
        return created is None or created.spec is None

    @property
    def go_on(self) -> str:
        """How it is driven on."""
        return f"open_run({self.name!r}, chat=...)" if self.python else f"moot resume {self.short}"

    @property
    def status(self) -> str:
        """`running`, `waiting`, `paused` or `finished`."""
        return status_of(self.row, len(self.story.waiting))


async def load_run(store: Store, prefix: str) -> Loaded:
    """The run whose id begins like this. Raises UserError, StoreError."""
    name = await find_run(store, prefix)
    return await load_named(store, name, short(name, await store.names()))


async def load_named(store: Store, name: str, called: str) -> Loaded:
    """The run of that id. Raises StoreError."""
    row, events = await store.row(name), await store.load(name)
    return Loaded(name, called, events, row, await store.posted(name, last_command(events)))
