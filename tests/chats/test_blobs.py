"""Content that is too large for a row, by its digest."""

import hashlib
from pathlib import Path

import pytest

from moot.chats.blobs import FileBlobs
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
    assert blobs.path(first).stat() == written
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
    with pytest.raises(StoreError, match="cannot keep 4000 bytes in"):
        await FileBlobs(Path(place.format(file=file))).put(DATA)
