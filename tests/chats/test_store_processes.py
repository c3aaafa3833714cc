"""What other processes do to a file of journals. Every test proves that its fault fired, and that what was
acknowledged is there.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from moot.chats.errors import Fenced, StoreError
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Claim
from tests.journals import Child, child, first_run, note, unharmed

BUSY = """
import sqlite3
async def main(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    say("begun")
    await hear()
    db.execute("ROLLBACK")
    say("over")
    await hear()
"""


async def test_a_file_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    await first_run(path)
    store = SqliteStore(path)
    claim = await store.claim("r", new_owner())
    with child(path, BUSY) as busy:
        assert busy.heard() == "begun"
        waiting = asyncio.ensure_future(store.append(claim, 1, [note(2)], "paused"))
        readings = SqliteStore(path)  # who only reads is not held up
        assert [event.seq for event in await readings.load("r")] == [1]
        assert [row.status for row in await readings.runs()] == ["paused"]
        await readings.close()
        assert not waiting.done()
        busy.tell()
        await waiting
    await store.close()
    await unharmed(path, 2)


async def test_a_file_that_is_busy_for_too_long_is_told_and_nothing_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    await first_run(path)
    store = SqliteStore(path, patience_seconds=0.05)
    claims = [await store.claim("r", new_owner())]
    await store.create("other", "chat")
    claims.append(await store.claim("other", new_owner()))
    with child(path, BUSY) as busy:
        assert busy.heard() == "begun"
        first, events, second = await asyncio.gather(
            store.append(claims[0], 1, [note(2)]),
            store.load("r"),
            store.append(claims[1], 0, [note(1)]),
            return_exceptions=True,
        )
        assert events == [note(1)]  # who only reads is not held up
        for error in (first, second):
            assert isinstance(error, StoreError)
            assert "locked; another process has kept it busy for too long" in str(error)
        busy.tell()
        assert busy.heard() == "over"
        assert [len(await store.load(run)) for run in ("r", "other")] == [1, 0]
        await store.append(claims[0], 1, [note(2)], "paused")
    await store.close()
    await unharmed(path, 2)


APPEND = """
async def main(path):
    store = SqliteStore(path)
    name = await hear()
    await store.create(name, "chat")
    claim = await store.claim(name, new_owner())
    say("ready")
    await hear()
    for head in range(200):
        await store.append(claim, head, [note(head + 1, name)])
    await store.close()
    say("done")
"""


async def test_processes_that_append_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    names = ["a", "b", "c"]
    children = [Child(path, APPEND) for _ in names]
    try:
        for name, one in zip(names, children, strict=True):
            one.tell(name)
            assert one.heard() == "ready"
        for one in children:
            one.tell()
        assert [one.heard() for one in children] == ["done"] * 3
    finally:
        for one in children:
            one.end()
    store = SqliteStore(path)
    for name in names:
        assert await store.load(name) == [note(seq, name) for seq in range(1, 201)]
        chain = await store.chain(name)
        assert chain.recorded == chain.found
    await store.close()


RACE = """
async def main(path):
    store = SqliteStore(path)
    say("ready")
    await hear()
    won = 0
    while won < 20:
        try:
            claim = await store.claim("r", new_owner())
            await store.append(claim, claim.head, [note(claim.head + 1)], "paused")
            won += 1
        except ChatError as error:
            assert type(error).__name__ == "Fenced", error
    await store.close()
    say(won)
"""


async def test_processes_that_want_one_run_get_it_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    await first_run(path)
    children = [Child(path, RACE) for _ in range(3)]
    try:
        for one in children:
            assert one.heard() == "ready"
        for one in children:
            one.tell()
        won = [int(one.heard()) for one in children]
    finally:
        for one in children:
            one.end()
    assert won == [20, 20, 20]
    await unharmed(path, 61)


FREEZE = """
async def main(path):
    store = SqliteStore(path, lease_seconds=0.2)
    claim = await store.claim("r", new_owner())
    await store.append(claim, 1, [note(2)])
    say("driving", os.getpid())
    await hear()
    for action in (store.append(claim, 2, [note(3, "late")]), store.renew(claim)):
        try:
            await action
        except ChatError as error:
            refused(error)
        else:
            say("acknowledged")
    await store.release(claim)
    say("released")
    await hear()
"""


def stopped(child: Child) -> None:
    """Wait until it is."""
    os.waitid(os.P_PID, child.popen.pid, os.WSTOPPED)


async def claimed_after_the_lease(store: SqliteStore) -> Claim:
    while True:
        with suppress(Fenced):
            return await store.claim("r", new_owner())


async def test_who_was_frozen_for_longer_than_the_lease_finds_the_run_taken_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    await first_run(path)
    store = SqliteStore(path)
    with child(path, FREEZE) as frozen:
        assert frozen.heard() == f"driving {frozen.popen.pid}"
        frozen.popen.send_signal(signal.SIGSTOP)
        stopped(frozen)
        claim = await claimed_after_the_lease(store)
        await store.append(claim, 2, [note(3)])
        frozen.popen.send_signal(signal.SIGCONT)
        frozen.tell()
        for _ in range(2):
            refused = f"refused Fenced run r is driven by another process (pid {os.getpid()}); nothing was written"
            assert frozen.heard() == refused
        assert frozen.heard() == "released"
        assert (await store.row("r")).driven  # it was not its own to give back
        assert await store.load("r") == [note(1), note(2), note(3)]
        await store.append(claim, 3, [note(4)], "paused")
    await store.close()
    await unharmed(path, 4)


FOLLOWED = """
async def main(path):
    store = SqliteStore(path)
    await store.create("r", "chat")
    claim = await store.claim("r", new_owner())
    await store.append(claim, 0, [note(1)])
    say("driving")
    await store.knock("r")
    say("heard", *(posted.command for posted in await store.posted("r")))
    for head in range(1, 100):
        await store.append(claim, head, [note(head + 1)])
    say("acknowledged")
    if await hear() == "finish":
        await store.append(claim, 100, [note(101)], "finished")
        say("finished")
        await hear()
"""


@pytest.mark.parametrize("end", ["finish", "die"])
async def test_a_run_that_another_process_drives_is_followed_to_its_end(tmp_path: Path, end: str) -> None:
    path = tmp_path / "moot.db"
    with child(path, FOLLOWED) as driver:
        assert driver.heard() == "driving"
        store = SqliteStore(path)
        seen: list[int] = []

        async def follow() -> None:
            async for event in store.watch("r"):
                seen.append(event.seq)
                if event.seq == 1:
                    assert await store.post("r", "go") == 1
                if event.seq == 100:
                    if end == "finish":
                        driver.tell("finish")
                    else:
                        driver.popen.kill()
                        driver.popen.wait()

        following = asyncio.ensure_future(follow())
        assert await asyncio.to_thread(driver.heard) == "heard go"
        assert await asyncio.to_thread(driver.heard) == "acknowledged"
        await following
        assert seen == list(range(1, 102 if end == "finish" else 101))
        assert not (await store.row("r")).driven
        await store.close()
