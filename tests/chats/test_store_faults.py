"""What disks, systems and other processes do to a file of journals. Every test proves that its fault fired, and that
what was acknowledged is there.
"""

import asyncio
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from moot.chats.errors import Fenced, StoreError
from moot.chats.event_types import Warned
from moot.chats.events import Event
from moot.chats.owner import new_owner
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Claim

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


# The file and its log are cut.


def small_pages(path: Path) -> None:
    """A file in which a transaction takes few bytes, so that a log can be cut at each of them."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA page_size=512")
        db.execute("VACUUM")


async def test_a_log_that_is_cut_at_any_byte_of_its_last_transactions_holds_a_beginning(
    tmp_path: Path, dead_owner: str
) -> None:
    path, copy = tmp_path / "moot.db", tmp_path / "copy.db"
    small_pages(path)
    store = SqliteStore(path, "OFF")
    await store.create("r", "chat")
    claim = await store.claim("r", dead_owner)
    ends = []
    for head in range(20):
        await store.append(claim, head, [note(head + 1, f"{head + 1}")])
        ends.append((tmp_path / "moot.db-wal").stat().st_size)
    main, wal = path.read_bytes(), (tmp_path / "moot.db-wal").read_bytes()
    await store.close()
    assert ends[-1] == len(wal)
    found = {}
    for cut in range(ends[-4], len(wal) + 1):
        copy.write_bytes(main)
        copy.with_name("copy.db-wal").write_bytes(wal[:cut])
        copy.with_name("copy.db-shm").unlink(missing_ok=True)
        with closing(sqlite3.connect(copy)) as db:
            rows = db.execute("SELECT seq, data FROM event ORDER BY seq").fetchall()
            head = db.execute("SELECT head FROM run").fetchone()[0]
        assert rows == [(n, f'{{"text":"{n}","facts":{{}}}}') for n in range(1, head + 1)]
        found[cut] = head
    # a transaction is there as soon as its last byte is, and not before
    assert found == {cut: sum(end <= cut for end in ends) for cut in found}
    assert set(found.values()) == {17, 18, 19, 20}
    for cut in (ends[-3] - 1, ends[-3], ends[-3] + 1, len(wal) - 1):
        copy.write_bytes(main)
        copy.with_name("copy.db-wal").write_bytes(wal[:cut])
        await unharmed(copy, found[cut])


async def why_damaged(path: Path) -> str:
    """What is said when the file is opened, or else when the run is read."""
    with pytest.raises(StoreError) as raised:  # noqa: PT012 - either may find it
        store = SqliteStore(path)
        try:
            await store.load("r")
        finally:
            await store.close()
    return str(raised.value)


async def test_a_file_that_was_cut_anywhere_is_told_as_damaged_and_not_touched(tmp_path: Path) -> None:
    path, copy = tmp_path / "moot.db", tmp_path / "copy" / "moot.db"
    await first_run(path, 200)
    whole = path.read_bytes()
    for cut in (*range(2, len(whole), 1531), 100, 512, 4095, 4096, 4097, len(whole) - 1):
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.parent.mkdir()
        copy.write_bytes(whole[:cut])
        assert "damaged" in await why_damaged(copy), cut
        assert copy.read_bytes() == whole[:cut]
    await unharmed(path, 200)


# The disk is full, or fails.


FILL = """
async def main(path):
    store = SqliteStore(path)
    claim = await store.claim("r", new_owner())
    head = 1
    try:
        while True:
            await store.append(claim, head, [note(head + 1, "x" * 50_000)])
            head += 1
    except StoreError as error:
        refused(error)
    try:
        await store.append(claim, head, [note(head + 1, "y" * 5_000_000)])
    except StoreError as error:
        refused(error)
    say("acknowledged", head)
    await hear()
    try:
        await store.append(claim, head, [note(head + 1)])
    except StoreError as error:
        refused(error)
    else:
        say("went on")
    await store.close()
    say("closed")
"""


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 2 MB, where this user may mount one."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a disk; the limit on files stands in for it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_disk_that_is_full_is_told_and_the_run_goes_on_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path, ballast = disk / "moot.db", disk / "ballast"
        ballast.write_bytes(b"x" * 300_000)
        await first_run(path)
        with child(path, FILL) as filling:
            for _ in range(2):
                line = filling.heard()
                assert line.startswith("refused StoreError")
                assert "database or disk is full; make room on that disk" in line
            acknowledged = int(filling.heard().split()[1])
            assert acknowledged > 5
            ballast.unlink()
            filling.tell()
            assert [filling.heard(), filling.heard()] == ["went on", "closed"]
        await unharmed(path, acknowledged + 1)


async def test_a_limit_on_the_size_of_files_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    await first_run(path)
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))\n"
    with child(path, limit + FILL) as filling:
        for _ in range(2):
            line = filling.heard()
            assert line.startswith("refused StoreError")
            assert "what was recorded before is safe" in line
        acknowledged = int(filling.heard().split()[1])
        assert acknowledged > 5
        filling.tell()
        while filling.heard() != "closed":
            pass
    await unharmed(path, len(await loaded(path)))
    assert len(await loaded(path)) - 1 in (acknowledged, acknowledged + 1)  # one more by the last question


async def loaded(path: Path) -> list[Event]:
    store = SqliteStore(path)
    try:
        return await store.load("r")
    finally:
        await store.close()


NO_SYNC = """
import ctypes, struct

def without_sync():
    '''From here on the system answers EIO to every fsync and fdatasync of this process.'''
    machine = os.uname().machine
    calls, seccomp = {"x86_64": ((74, 75), 317), "aarch64": ((82, 83), 277)}[machine]
    op = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k)
    program = op(0x20, 0, 0, 0) + op(0x15, 1, 0, calls[0]) + op(0x15, 0, 1, calls[1])
    program += op(0x06, 0, 0, 0x00050000 | 5) + op(0x06, 0, 0, 0x7FFF0000)
    kept = ctypes.create_string_buffer(program)
    class Prog(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    prog = Prog(5, ctypes.cast(kept, ctypes.c_void_p))
    assert libc.syscall(seccomp, 1, 1, ctypes.byref(prog)) == 0, ctypes.get_errno()  # of all threads
    try:
        with open(sys.argv[1], "rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno

async def main(path):
    store = SqliteStore(path)
    claim = await store.claim("r", new_owner())
    await store.append(claim, 1, [note(2)])
    say("fsync gives", without_sync())
    for _ in range(3):
        try:
            await store.append(claim, 2, [note(3)])
        except StoreError as error:
            refused(error)
        else:
            say("acknowledged")
    say(*(event.seq for event in await store.load("r")))
    await hear()
"""


async def test_a_disk_that_does_not_keep_what_it_was_given_acknowledges_nothing(tmp_path: Path) -> None:
    path = tmp_path / "moot.db"
    await first_run(path)
    with child(path, NO_SYNC) as writing:
        assert writing.heard() == f"fsync gives {errno.EIO}"
        for _ in range(3):
            line = writing.heard()
            assert line.startswith("refused StoreError"), line
            assert "disk I/O error; the disk failed" in line
        assert writing.heard() == "1 2"
    found = await loaded(path)
    assert found == [note(seq) for seq in range(1, len(found) + 1)]
    assert len(found) in (2, 3)  # what was refused may have reached the disk all the same, whole or not at all
    await unharmed(path, len(found))


READ_ONLY = """
async def main(path):
    os.setgroups([]), os.setgid(65534), os.setuid(65534)  # nobody
    try:
        SqliteStore(path)
    except StoreError as error:
        refused(error)
    await hear()
"""


@pytest.mark.parametrize("there", [True, False])
async def test_a_folder_that_may_not_be_written_is_told_and_nothing_in_it_changes(tmp_path: Path, there: bool) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    folder = Path(tempfile.mkdtemp(prefix="moot-read-only-"))  # what pytest gives is closed to everybody else
    try:
        path = folder / "moot.db"
        if there:
            await first_run(path)
        folder.chmod(0o555)
        before = {each.name: each.read_bytes() for each in folder.iterdir()}
        with child(path, READ_ONLY) as reading:
            line = reading.heard()
        assert line.startswith("refused StoreError"), line
        assert "must be" in line
        assert "set MOOT_HOME to a writable folder" in line
        assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    finally:
        shutil.rmtree(folder)


# Other processes.


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
    for _ in range(50):
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
    assert all(won)
    await unharmed(path, 1 + sum(won))


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


# Other processes are heard and followed.


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
