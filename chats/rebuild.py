"""A chat from its run's own journal: the resolved chat file and the playbooks stand in the first event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moot.chats.errors import UserError
from moot.chats.event_types import RunCreated

if TYPE_CHECKING:
    from moot.chats.chat import Chat


def rebuild(run: str, created: RunCreated) -> Chat:
    """The chat of a run that came from a chat file. Raises UserError for one that was made of Python objects."""
    from moot.chats.build import chat_from_source

    if created.spec is None:
        raise UserError(
            f"run {run} was made of Python objects (chat {created.chat!r}): "
            f"open it with them, open_run({run!r}, chat=...)"
        )
    return chat_from_source(created.spec)
