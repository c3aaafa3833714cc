"""Content that is too large for a row, by its digest."""

import asyncio
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moot.chats.blobs import GRACE_SECONDS, FileBlobs
from moot.chats.errors import StoreError

DATA = b"plot" * 1000


async def test_content_is_a_file_that_is_named_by_its_digest(tmp_path: Path) -> None:
    digest = await FileBlobs(tmp_path).put(DATA)
    assert FileBlobs(tmp_path).path(digest) == tmp_path / digest[:2] / digest[2:]
    assert FileBlobs(tmp_path).path(digest).read_bytes() == DATA
    assert await FileBlobs(tmp_path).get(digest) == DATA


async def test_the_same_content_is_written_once_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    first = await blobs.put(DATA)
    written = blobs.path(first).stat()
    assert await blobs.put(DATA) == first
    assert blobs.path(first).stat().st_ino == written.st_ino
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [first[2:]]


async def test_damaged_content_is_told_and_never_served(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = await blobs.put(DATA)
    blobs.path(digest).write_bytes(DATA[:-1])
    with pytest.raises(StoreError, match=f"content {digest[:12]} in .* is damaged"):
        await blobs.get(digest)


async def test_missing_content_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is missing from"):
        await FileBlobs(tmp_path).get(hashlib.sha256(DATA).hexdigest())


@pytest.mark.parametrize("place", ["/proc/moot", "/dev/null/blobs", "{file}"])
async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, place: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError, match=r"cannot keep 4000 bytes in"):
        await FileBlobs(Path(place.format(file=file))).put(DATA)


def aged(blobs: FileBlobs, digest: str) -> None:
    """As if it had been put long ago."""
    path = blobs.path(digest)
    before = path.stat().st_mtime - GRACE_SECONDS - 60
    os.utime(path, (before, before))


async def test_content_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = await blobs.put(DATA)
    blobs.path(digest).write_bytes(DATA[:-1])
    assert await blobs.put(DATA) == digest
    assert await blobs.get(digest) == DATA


async def test_only_what_was_put_long_ago_is_dropped(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    old, young, again = [await blobs.put(DATA + end) for end in (b"1", b"2", b"3")]
    aged(blobs, old)
    aged(blobs, again)
    assert blobs.old() == {old, again}
    await blobs.put(DATA + b"3")  # while somebody is about to drop it
    async with blobs.alone() as alone:
        assert alone
        assert blobs.drop([old, young, again]) == len(DATA) + 1
    assert [blobs.path(digest).exists() for digest in (old, young, again)] == [False, True, True]


async def test_what_a_process_that_died_left_half_written_goes_too(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = await blobs.put(DATA)
    half, fresh = (blobs.path(digest).with_name(f".new-{name}") for name in ("half", "fresh"))
    half.write_bytes(b"half")
    os.utime(half, (1, 1))
    fresh.write_bytes(b"on its way")
    assert blobs.drop([]) == 4
    assert (half.exists(), fresh.exists(), blobs.path(digest).exists()) == (False, True, True)


HOLD = """
import sys
from pathlib import Path
from moot.chats.blobs import FileBlobs
with FileBlobs(Path(sys.argv[1])).steady():
    print("here", flush=True)
    sys.stdin.readline()
"""


async def test_nothing_is_dropped_while_another_process_keeps_content_steady(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.put(DATA)
    pipe = subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLD, str(tmp_path), stdin=pipe, stdout=pipe)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"here\n"
    async with blobs.alone() as alone:
        assert not alone
    assert await blobs.put(DATA + b"more")  # whoever puts is not held up
    await holder.communicate(b"\n")
    async with blobs.alone() as alone:
        assert alone


async def test_who_puts_waits_until_what_is_old_was_dropped(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = await blobs.put(DATA)
    aged(blobs, digest)
    async with blobs.alone():
        putting = asyncio.ensure_future(blobs.put(DATA))
        await asyncio.to_thread(blobs.old)
        assert not putting.done()
        assert blobs.drop([digest]) == len(DATA)
    assert await putting == digest
    assert await blobs.get(digest) == DATA


def durable(syncs: list[Path], path: Path, top: Path) -> bool:
    """Whether every folder from the content's own up to the top was synced."""
    return {path.parent, *path.parent.parents} & set(syncs) >= {path.parent, path.parent.parent, top}


async def test_content_is_durable_with_every_folder_that_was_made_for_it(tmp_path: Path) -> None:
    syncs: list[Path] = []
    blobs = FileBlobs(tmp_path / "blobs", sync=syncs.append)
    path = blobs.path(await blobs.put(DATA))
    assert durable(syncs, path, tmp_path)


async def test_content_that_somebody_else_has_just_put_is_durable_when_the_second_put_returns(tmp_path: Path) -> None:
    first: list[Path] = []
    path = FileBlobs(tmp_path / "blobs").path(await FileBlobs(tmp_path / "blobs", sync=first.append).put(DATA))
    second: list[Path] = []
    blobs = FileBlobs(tmp_path / "blobs", sync=second.append)  # as another process, that knows of nobody's syncs
    await blobs.put(DATA)
    assert durable(second, path, tmp_path)
    await blobs.put(DATA)
    assert second[3:] == [path.parent]  # by then only the entry may be another's


async def test_a_folder_that_cannot_be_made_durable_is_told_each_time(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        if folder == tmp_path / "blobs":
            raise OSError(5, "Input/output error")

    blobs = FileBlobs(tmp_path / "blobs", sync=fails)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"cannot keep 4000 bytes in .*: Input/output error"):
            await blobs.put(DATA)
