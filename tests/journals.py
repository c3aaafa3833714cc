"""Small journals, and a process that drives a run of one."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Claim, Store

DAY = 86400.0


def notes(first: int, *texts: str) -> list[Event]:
    return [Event("warning", 0, 0, "", Warned(text=t), "", seq, 100.0 + seq) for seq, t in enumerate(texts, first)]


async def claimed(store: Store, run: str = "r1", owner: str = "") -> Claim:
    await store.create(run, "chat")
    return await store.claim(run, owner or new_owner())


async def texts(store: Store, run: str = "r1", after: int = 0) -> list[str]:
    return [e.data.text for e in await store.load(run, after) if isinstance(e.data, Warned)]


DRIVER = """
import asyncio, os, sys
from pathlib import Path
from moot.chats.errors import ChatError, StoreError
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore

def note(seq, text="x"):
    return Event("warning", 0, 0, "", Warned(text=text), "", seq, 100.0)

def say(*words):
    print(*words, flush=True)

async def hear():
    return (await asyncio.to_thread(sys.stdin.readline)).strip()

def refused(error):
    say("refused", type(error).__name__, error)
"""


def note(seq: int, text: str = "x") -> Event:
    return Event("warning", 0, 0, "", Warned(text=text), "", seq, 100.0)


class Child:
    """A process that runs a program on a store, line by line."""

    def __init__(self, path: Path, program: str) -> None:
        command = [sys.executable, "-c", f"{DRIVER}\n{program}\nasyncio.run(main(Path(sys.argv[1])))", str(path)]
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def heard(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def tell(self, text: str = "") -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{text}\n")
        self.popen.stdin.flush()

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()


@contextmanager
def child(path: Path, program: str) -> Iterator[Child]:
    started = Child(path, program)
    try:
        yield started
    finally:
        started.end()


async def first_run(path: Path, events: int = 1) -> None:
    """A run `r` with that many events, given back."""
    store = SqliteStore(path)
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    await store.append(claim, 0, [note(seq) for seq in range(1, events + 1)], "paused")
    await store.close()


async def unharmed(path: Path, events: int) -> None:
    """Those events and no others, as they were written, and room for more."""
    store = SqliteStore(path)
    assert [event.seq for event in await store.load("r")] == list(range(1, events + 1))
    chain = await store.chain("r")
    assert chain.recorded == chain.found
    await store.append(await store.claim("r", new_owner()), events, [note(events + 1)], "paused")
    await store.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
