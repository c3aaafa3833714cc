"""Signs by which participants are told apart wherever a run is shown, also without colours."""

from __future__ import annotations

from moot.chats.story import Story

MARKS = "●▲■◆★✚▼◇"


def place(story: Story, name: str) -> int:
    """Which seat at the table is whose, from 0; 0 also where nobody of that name sits at it."""
    names = story.created.participants if story.created is not None else ()
    return names.index(name) if name in names else 0


def mark(story: Story, name: str) -> str:
    """A participant's sign."""
    return MARKS[place(story, name) % len(MARKS)]
