"""Content too large for a row of the journal, kept in files named by digest.

Content is shared: whoever puts what is there already gets the same name, and makes it young again. What is young is
never dropped, for a run that put it may not have named it yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

from moot.chats.errors import StoreError

GRACE_SECONDS = 600.0
"""How long content that no run names is kept after it was put last."""
_DIGEST = re.compile("[0-9a-f]{64}")
_WRITING = ".new-"


def sync_folder(folder: Path) -> None:
    """A rename is durable only when its folder is. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FileBlobs:
    """One file per content under `folder/ab/cdef...`, written beside and renamed, so that a name means whole
    content. `sync` makes the entries of a folder durable.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float] = time.time, *, sync: Callable[[Path], None] = sync_folder
    ) -> None:
        self.folder = folder
        self._clock = clock
        self._sync = sync
        self._entered = set[Path]()
        """Folders of which this object knows that they are durable in those above them."""

    async def put(self, data: bytes) -> str:
        """Durable when this returns."""
        return await asyncio.to_thread(self._put, data)

    async def get(self, digest: str) -> bytes:
        """The content, checked against its digest."""
        return await asyncio.to_thread(self._get, digest)

    def path(self, digest: str) -> Path:
        """Where content of this digest is."""
        return self.folder / digest[:2] / digest[2:]

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """While it lasts nothing is dropped, by whatever process."""
        with contextlib.ExitStack() as locked:
            with contextlib.suppress(OSError):  # where nothing can be locked, nothing is dropped
                locked.enter_context(_locked(self.folder, fcntl.LOCK_SH))
            yield

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """While it lasts nobody puts anything. False where somebody keeps content steady for longer than a moment."""
        for _ in range(100):
            try:
                with _locked(self.folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    yield True
                    return
            except BlockingIOError:
                await asyncio.sleep(0.01)
        yield False

    def old(self) -> set[str]:
        """What was put so long ago that it may be dropped, if no run names it."""
        return {path.parent.name + path.name for path in self.files() if self._is_old(path)}

    def drop(self, digests: Iterable[str]) -> int:
        """Remove what nobody has put again meanwhile; how many bytes that was. To be called while `alone`."""
        paths = (self.path(digest) for digest in digests)
        left = (path for path in self.folder.glob(f"*/{_WRITING}*") if self._is_old(path))  # by processes that died
        return sum(_unlinked(path) for path in (*paths, *left) if self._is_old(path))

    def files(self) -> Iterator[Path]:
        """Where all content is."""
        return (path for path in self.folder.glob("??/*") if _DIGEST.fullmatch(path.parent.name + path.name))

    def _is_old(self, path: Path) -> bool:
        try:
            return path.stat().st_mtime < self._clock() - GRACE_SECONDS
        except OSError:
            return False

    def _put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self.steady():
                if not _renewed(path, len(data)):
                    _write(path, data)
                self._sync(path.parent)  # also for what was there: whoever renamed it may not have come so far
            self._enter(path.parent)
        except OSError as error:
            raise StoreError(f"cannot keep {len(data)} bytes in {self.folder}: {error.strerror}") from error
        return digest

    def _enter(self, folder: Path) -> None:
        """Make the folders that content lies in durable, whoever made them; once in the life of this object."""
        for inner in (folder, self.folder):
            if inner not in self._entered:
                self._sync(inner.parent)
                self._entered.add(inner)

    def _get(self, digest: str) -> bytes:
        try:
            data = self.path(digest).read_bytes()
        except OSError as error:
            raise StoreError(f"content {digest[:12]} is missing from {self.folder}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"content {digest[:12]} in {self.folder} is damaged")
        return data


class MemoryBlobs:
    """The same in memory, for runs that are not kept."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._kept: dict[str, bytes] = {}
        self._put: dict[str, float] = {}
        self._clock = clock

    async def put(self, data: bytes) -> str:
        """Kept as long as this object."""
        digest = hashlib.sha256(data).hexdigest()
        self._kept[digest], self._put[digest] = data, self._clock()
        return digest

    async def get(self, digest: str) -> bytes:
        """The content."""
        try:
            return self._kept[digest]
        except KeyError:
            raise StoreError(f"content {digest[:12]} is missing") from None

    def old(self) -> set[str]:
        """What was put so long ago that it may be dropped, if no run names it."""
        return {digest for digest, put in self._put.items() if put < self._clock() - GRACE_SECONDS}

    def drop(self, digests: Iterable[str]) -> int:
        """Forget it; how many bytes that was."""
        return sum(len(self._kept.pop(digest)) for digest in digests if self._put.pop(digest, None) is not None)


def digests_in(text: str) -> list[str]:
    """Everything in a text that may be the name of content."""
    return _DIGEST.findall(text)


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """The folder itself is what is locked, so that nothing lies beside the content. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _renewed(path: Path, size: int) -> bool:
    """Whether the content is there already; then it is as young as if it had been written now."""
    try:
        whole = path.stat().st_size == size
        with contextlib.suppress(PermissionError):  # another user's
            os.utime(path)
    except FileNotFoundError:
        return False
    return whole


def _write(path: Path, data: bytes) -> None:
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=_WRITING)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _unlinked(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError:  # somebody else's, or gone: it takes no room of ours
        return 0
    return size
