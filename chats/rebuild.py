"""A chat from its run's own journal: the resolved chat file and the playbooks stand in the first event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from moot.chats.errors import UserError
from moot.chats.event_types import RunCreated

if TYPE_CHECKING:
    from moot.chats.chat import Chat


_CALLS = {"open": "open_run", "fork": "fork"}


def rebuild(run: str, created: RunCreated, *, to: Literal["open", "fork"] = "open") -> Chat:
    """The chat of a run that came from a chat file, `to` open or fork it. Raises UserError for one that was made of
    Python objects.
    """
    from moot.chats.build import chat_from_source

    if created.spec is None:
        raise UserError(
            f"run {run} was made of Python objects (chat {created.chat!r}): "
            f"{to} it with them, {_CALLS[to]}({run!r}, chat=...)"
        )
    return chat_from_source(created.spec)
