"""Content too large for a row of the journal, kept in files named by digest."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path

from moot.chats.errors import StoreError


class FileBlobs:
    """One file per content under `folder/ab/cdef...`, written beside and renamed, so that a name means whole
    content.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, data: bytes) -> str:
        """Durable when this returns."""
        return await asyncio.to_thread(self._put, data)

    async def get(self, digest: str) -> bytes:
        """The content, checked against its digest."""
        return await asyncio.to_thread(self._get, digest)

    def path(self, digest: str) -> Path:
        """Where content of this digest is."""
        return self._folder / digest[:2] / digest[2:]

    def _put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest)
        if path.exists():
            return digest
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".new-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(beside).replace(path)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise
            _sync(path.parent)
        except OSError as error:
            raise StoreError(f"cannot keep {len(data)} bytes in {self._folder}: {error.strerror}") from error
        return digest

    def _get(self, digest: str) -> bytes:
        try:
            data = self.path(digest).read_bytes()
        except OSError as error:
            raise StoreError(f"content {digest[:12]} is missing from {self._folder}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"content {digest[:12]} in {self._folder} is damaged")
        return data


class MemoryBlobs:
    """The same in memory, for runs that are not kept."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        """Kept as long as this object."""
        digest = hashlib.sha256(data).hexdigest()
        self._kept[digest] = data
        return digest

    async def get(self, digest: str) -> bytes:
        """The content."""
        try:
            return self._kept[digest]
        except KeyError:
            raise StoreError(f"content {digest[:12]} is missing") from None


def _sync(folder: Path) -> None:
    """A rename is durable only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
