"""Which models a chat file names, and what each is asked for: a participant's words, or who speaks next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from moot.chats.chat_file import AssistantEntry, ChatFile, ModelEntry, SelectorEntry, SelectorSection

PICKS = "selector"
"""The part of a playbook, or of a tape, that picks the speakers."""


class Asking(NamedTuple):
    """Who asks which model, and the part of a playbook or a tape that answers."""

    who: str
    model: str | ModelEntry
    part: str


def picking(chat: ChatFile) -> SelectorEntry | None:
    """How a model picks the speakers, where one does."""
    if isinstance(chat.speakers, SelectorSection):
        return chat.speakers.selector
    return SelectorEntry() if chat.speakers == PICKS else None


def models_named(chat: ChatFile) -> Iterator[Asking]:
    """Every model that is asked; not those that nobody named."""
    for name, entry in chat.participants.items():
        if isinstance(entry, AssistantEntry) and (model := entry.model or chat.model):
            yield Asking(f"participant {name!r}", model, entry.part or name)
    picks = picking(chat)
    if picks is not None and (model := picks.model or chat.model):
        yield Asking("the selector", model, picks.part or PICKS)
