"""The files a run made, as files with their own names that can be opened."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moot.chats.clean import clean
from moot.chats.errors import UserError
from moot.chats.home import home

if TYPE_CHECKING:
    from moot.agents.ran import StoredFile
    from moot.chats.store import Blobs


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """An artifact and where its copy lies."""

    name: str
    bytes: int
    sha256: str
    path: Path


def folder_for(run: str, wanted: Path | None) -> Path:
    """Where a run's files go: the folder asked for, else one of its own under Moot's home."""
    return wanted.absolute() if wanted is not None else home().absolute() / "files" / run


def prepare(wanted: Path | None) -> None:
    """Make sure, before anything is spent, that the folder asked for can be written. Raises UserError."""
    if wanted is None:
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write artifacts to {wanted}: {error.strerror}") from None
    if not os.access(wanted, os.W_OK | os.X_OK):
        raise UserError(f"cannot write artifacts to {wanted}: permission denied")


def found(run: str, file: StoredFile) -> Path:
    """Where a file of a run can be opened: its copy under its own name, else the stored content."""
    copy = _free(folder_for(run, None), file.name, set())
    if copy.is_file() and copy.stat().st_size == file.size:
        return copy
    return home().absolute() / "blobs" / file.sha256[:2] / file.sha256[2:]


async def copy_out(files: Iterable[StoredFile], blobs: Blobs, folder: Path) -> list[CopiedFile]:
    """Write each file under its name into the folder, replacing what an earlier run left there.

    Raises StoreError for content that is missing or damaged, UserError where the folder cannot be written.
    """
    copied: list[CopiedFile] = []
    for file in files:
        path = _free(folder, file.name, {c.path for c in copied})
        data = await blobs.get(file.sha256)
        try:
            await asyncio.to_thread(_write, path, data)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from None
        copied.append(CopiedFile(file.name, file.size, file.sha256, path))
    return copied


def _free(folder: Path, name: str, taken: set[Path]) -> Path:
    """A place inside the folder, whatever the name says: names come from programs."""
    parts = [_part(part) for part in name.replace("\\", "/").split("/")]
    path = folder.joinpath(*[part for part in parts if part not in ("", ".", "..")] or ["unnamed"])
    number, free = 2, path
    while free in taken:
        free, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return free


def _part(part: str) -> str:
    return clean(part).replace("\n", " ").replace("\t", " ").strip()[:200]


def _write(path: Path, data: bytes) -> None:
    """Beside, then renamed: a link that lies there is replaced, never followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".moot-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o644)
            file.write(data)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
