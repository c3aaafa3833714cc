"""A fork that is made and driven at once: `await run.fork(turn=3)`, or `await run.fork(turn=3).finish()`."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from moot.chats.fork import fork
from moot.chats.fork_edits import NO_EDITS, Edits

if TYPE_CHECKING:
    from moot.chats.chat import Chat
    from moot.chats.run import Run
    from moot.chats.store import Store


class Forking:
    """Made when it is awaited, which gives the new run, driven in the background; `finish` gives it once it is over.

    Takes what `fork` takes, and raises what `fork` and `open_run` raise. Whatever the edits change of a chat of Python
    objects is changed in the new run's.
    """

    def __init__(
        self,
        run: str,
        *,
        turn: int | None = None,
        edits: Edits = NO_EDITS,
        chat: Chat | None = None,
        store: Store | Path | str | None = None,
    ) -> None:
        self._run, self._turn, self._edits, self._chat, self._store = run, turn, edits, chat, store

    def __await__(self) -> Generator[object, None, Run]:
        return self._begin().__await__()

    async def _begin(self) -> Run:
        from moot.chats.run import open_run

        new = await fork(self._run, turn=self._turn, edits=self._edits, chat=self._chat, store=self._store)
        python = self._chat if self._chat is not None and self._chat.source is None else None
        chat = self._edits.applied(python) if python is not None else None
        return await open_run(new, chat=chat, store=self._store)

    async def finish(self) -> Run:
        """The new run, over or paused."""
        return await (await self).finish()
