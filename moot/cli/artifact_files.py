"""The files a run made, as files with their own names that can be opened."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moot.chats.errors import UserError
from moot.chats.home import home
from moot.cli.artifact_folder import ArtifactFolder, parts

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
    numbered: bool = False
    """Whether something else lay there under its own name, and was left alone."""


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
    copy = folder_for(run, None).joinpath(*parts(file.name))
    if copy.is_file() and copy.stat().st_size == file.size:
        return copy
    return home().absolute() / "blobs" / file.sha256[:2] / file.sha256[2:]


async def copy_out(files: Iterable[StoredFile], blobs: Blobs, run: str, wanted: Path | None) -> list[CopiedFile]:
    """Write each file under its name into the folder that was wanted, else into the run's own (see `ArtifactFolder`).

    Raises StoreError for content that is missing or damaged, UserError where the folder cannot be written.
    """
    folder = ArtifactFolder(folder_for(run, wanted), own=wanted is None)
    copied: list[CopiedFile] = []
    for file in files:
        data = await blobs.get(file.sha256)
        named = folder.folder.joinpath(*parts(file.name))
        try:
            path = await asyncio.to_thread(folder.put, file.name, data)
        except OSError as error:
            raise UserError(f"cannot write {named}: {error.strerror}") from None
        copied.append(CopiedFile(file.name, file.size, file.sha256, path, numbered=path != named))
    return copied
