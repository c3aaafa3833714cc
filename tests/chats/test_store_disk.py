"""What disks and systems do to a file of journals. Every test proves that its fault fired, and that what was
acknowledged is there.
"""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moot.chats.events import Event
from moot.chats.sqlite_store import SqliteStore
from tests.journals import child, first_run, note, unharmed

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
            assert "disk I/O error; the disk is full, or failed" in line
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
