"""Where a process is to die: it tells every boundary that it crosses to its `Fate`, which kills it for real at one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from moot.chats.blobs import FileBlobs
from moot.chats.events import Event
from moot.chats.sqlite_store import PATIENCE_SECONDS, SqliteStore
from moot.chats.sqlite_writer import Job
from moot.chats.store import LEASE_SECONDS, Claim
from tests.crash.world import append_line

_TYPE = re.compile(r"'([a-z]+\.[a-z]+|message|inner|warning)'")


@dataclass(frozen=True)
class Death:
    """At the n-th boundary of one kind (`""`: of any) that has to do with this event, or participant, or tool (`""`:
    with any). With `after_seconds` it comes from outside, wherever the process is by then.
    """

    at: str = ""
    what: str = ""
    nth: int = 1
    after_seconds: float = 0.0
    signal: int = signal.SIGKILL


class Fate:
    """Of one process. Told of boundaries from the loop's thread and from the store's."""

    def __init__(self, folder: Path, death: Death | None = None) -> None:
        self.path = folder / "fate.jsonl"
        self.crossed = 0
        self.transaction = threading.Lock()
        """Held around each: whoever is frozen inside of one would keep the file busy for all others."""
        self._death, self._matched = death, 0
        self._lock = threading.Lock()

    def cross(self, boundary: str, what: frozenset[str] = frozenset()) -> None:
        """Get past it, or do not."""
        death = self._death
        with self._lock:
            self.crossed += 1
            if death is None or death.after_seconds or death.at not in ("", boundary):
                return
            if death.what and death.what not in what:
                return
            self._matched += 1
            if self._matched != death.nth:
                return
        append_line(self.path, {"pid": os.getpid(), "at": boundary, "what": sorted(what)})
        frozen = death.signal == signal.SIGSTOP and boundary not in ("begun", "written")
        with self.transaction if frozen else nullcontext():
            # to this thread: sent to the process, a freeze may reach another one first, and this one goes on a little
            signal.pthread_kill(threading.get_ident(), death.signal)

    def soon(self, boundary: str, what: frozenset[str]) -> None:
        """As soon as the step of the loop that is under way is over."""
        asyncio.get_running_loop().call_soon(self.cross, boundary, what)


class FatefulStore(SqliteStore):
    """The store that every user has, and its boundaries: `created`, `claimed`, `append` (before anything is written),
    `begun` and `written` (in the transaction, before and after its rows), `committed` (before anybody hears of it).
    """

    def __init__(
        self,
        path: Path,
        fate: Fate,
        *,
        lease_seconds: float = LEASE_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__(path, lease_seconds=lease_seconds, patience_seconds=patience_seconds)
        self._fate = fate
        self._kept = self.blobs
        self.blobs = _FatefulBlobs(self._kept, fate)
        self._writing: set[str] = set()
        self._writer._db.set_trace_callback(self._statement)
        self._do, self._writer._do = self._writer._do, self._in_transaction  # type: ignore[method-assign]

    def _in_transaction(self, jobs: Sequence[Job]) -> None:
        with self._fate.transaction:
            self._do(jobs)

    def _statement(self, sql: str) -> None:
        if sql.startswith("BEGIN IMMEDIATE"):
            self._writing.clear()
            self._fate.cross("begun")
        elif sql.startswith("INSERT INTO event"):
            found = _TYPE.search(sql)
            self._writing.update(found.groups() if found is not None else ())
        elif sql == "COMMIT" and self._writing:
            self._fate.cross("written", frozenset(self._writing))
            self._writing.clear()

    async def create(self, run: str, chat: str, *, parent: str = "", base: int = 0) -> None:
        await super().create(run, chat, parent=parent, base=base)
        self._fate.cross("created")

    async def claim(self, run: str, owner: str) -> Claim:
        claim = await super().claim(run, owner)
        self._fate.cross("claimed")
        return claim

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> asyncio.Future[None]:
        types = frozenset({*(event.type for event in events), *([status] if status else [])})
        self._fate.cross("append", types)
        done = asyncio.ensure_future(super().append(claim, expected_head, events, status))

        def committed(commit: asyncio.Future[None]) -> None:
            if not commit.cancelled() and commit.exception() is None:
                self._fate.cross("committed", types)

        done.add_done_callback(committed)
        return done


class _FatefulBlobs(FileBlobs):
    def __init__(self, kept: FileBlobs, fate: Fate) -> None:
        self.__dict__.update(kept.__dict__)
        self._fate = fate

    async def put(self, data: bytes) -> str:
        self._fate.cross("keep")
        digest = await super().put(data)
        self._fate.cross("kept")
        return digest
