"""What the processes do: one drives the run as far as it gets, another one answers for the person."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from moot.chats.chat import Chat
from moot.chats.commands import Decide
from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.events import Draft, dumped
from moot.chats.outside import post, requests
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import PATIENCE_SECONDS, SqliteStore
from moot.chats.store import LEASE_SECONDS
from moot.chats.verify import verify_run
from tests.crash.fate import Death, Fate, FatefulStore
from tests.crash.process import BUSY, FENCED, FINISHED, OVER, WAITING
from tests.crash.scenario import TASK, answer, chat
from tests.crash.world import append_line

POLL_SECONDS = 0.005
"""How often somebody looks whether a run that nobody drives is driven again."""


async def drive(
    folder: Path,
    death: Death | None,
    *,
    make: Callable[[Path, Fate], Chat] = chat,
    lease_seconds: float = LEASE_SECONDS,
    patience_seconds: float = PATIENCE_SECONDS,
) -> int:
    """Start the run, or go on with it, until it is finished or waits; write down what a viewer gets to see."""
    fate = Fate(folder, death)
    store = FatefulStore(folder / "moot.db", fate, lease_seconds=lease_seconds, patience_seconds=patience_seconds)
    try:
        names = await store.names()
        talk = make(folder, fate)
        run = await (open_run(names[0], chat=talk, store=store) if names else talk.start(TASK, store=store))
        viewer = asyncio.create_task(view(folder, run))
        await run.finish()
        await viewer
        append_line(folder / "fate.jsonl", {"pid": os.getpid(), "crossed": fate.crossed, "status": run.status})
        problems = await verify_run(store, run.id) if run.status == "finished" else []
        assert problems == [], problems
    except Fenced:
        return FENCED
    except UserError as refused:
        if "is finished" not in str(refused):
            raise
        return OVER
    except StoreError as error:
        if "busy" not in str(error):
            raise
        return BUSY
    finally:
        await store.close()
    return FINISHED if run.status == "finished" else WAITING


async def view(folder: Path, run: Run) -> None:
    """The client's log: what was published to somebody who follows the run in the process that drives it."""
    viewer = token_hex(4)
    async for event in run.events():
        assert not isinstance(event, Draft)
        digest = sha256(dumped(event.data).encode()).hexdigest()
        append_line(folder / "client.jsonl", {"viewer": viewer, "seq": event.seq, "type": event.type, "data": digest})


async def answer_at_once(folder: Path, *, careful: bool = True) -> int:
    """A person who follows the run and answers while it is still driven, until it is finished."""
    store = SqliteStore(folder / "moot.db")
    try:
        while not (names := await store.names()):  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(POLL_SECONDS)
        seen, finished = 0, False
        while not finished:
            async for event in store.watch(names[0], seen):
                seen, finished = event.seq, event.type == "run.finished"
                if event.type == "request.asked":
                    await _answer_all(names[0], store, folder, careful=careful, fate=Fate(folder))
            await asyncio.sleep(POLL_SECONDS)  # nobody drives it: whoever drove it was killed
    finally:
        await store.close()
    return FINISHED


async def decide(folder: Path, death: Death | None, *, careful: bool = True) -> int:
    """Answer every question that waits, from a process that does not drive."""
    fate = Fate(folder, death)
    store = FatefulStore(folder / "moot.db", fate)
    try:
        (name,) = await store.names()
        await _answer_all(name, store, folder, careful=careful, fate=fate)
    finally:
        await store.close()
    return FINISHED


async def _answer_all(run: str, store: SqliteStore, folder: Path, *, careful: bool, fate: Fate) -> None:
    for request in await requests(run, store):
        decision, text = answer(request.kind, request.payload, folder, careful=careful)
        command = Decide(request=request.id, decision=decision, text=text, by="ada", digest=request.digest)
        fate.cross("posting")
        try:
            await post(run, command, store)
        except UserError as refused:  # whoever was killed, or was faster, had posted it
            if "decided already" not in str(refused):
                raise
        fate.cross("posted")
