"""A folder into which files go whose names and content strangers chose."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from moot.chats.clean import clean

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_BYTES = 200
"""Of 255 that file systems allow, so that a number fits."""


class ArtifactFolder:
    """Puts files in. No link is followed below the folder, so nothing ever leaves it; what lies there already stays,
    and the newcomer gets a number. Only in a folder that is the run's `own` an earlier content is replaced.
    """

    def __init__(self, folder: Path, *, own: bool = False) -> None:
        self.folder = folder
        self._own = own
        self._put: set[Path] = set()
        self._next: dict[Path, int] = {}
        """The number to try next for a name that was taken; many files may ask for the same."""

    def put(self, name: str, data: bytes) -> Path:
        """Write a file and say where it lies: under its own name, or a numbered one where that is taken by something
        else. A file that is there with just this content is left as it is. Raises OSError.
        """
        *parents, last = parts(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        folder, handle = self.folder, os.open(self.folder, _DIRECTORY & ~os.O_NOFOLLOW)  # this one the user chose
        try:
            for part in parents:
                inner, there = self._enter(handle, folder, part)
                os.close(handle)
                folder, handle = folder / there, inner
            return folder / self._place(handle, folder, last, data)
        finally:
            os.close(handle)

    def _enter(self, handle: int, folder: Path, part: str) -> tuple[int, str]:
        """A folder in this one, opened; made where it is missing, numbered where a link or a file has the name."""
        for name in self._names(folder, part):
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=handle)
            try:
                return os.open(name, _DIRECTORY, dir_fd=handle), name
            except OSError as error:
                if _is_folder(name, handle):  # the one meant, and it cannot be entered
                    raise error from None
        raise AssertionError("names never end")

    def _place(self, handle: int, folder: Path, last: str, data: bytes) -> str:
        for name in self._names(folder, last):
            path = folder / name
            if path in self._put:
                continue
            if self._own and not _is_folder(name, handle):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=handle)
            try:
                _write(name, handle, data)
            except FileExistsError:
                if not _is_same(name, handle, data):
                    continue
            self._put.add(path)
            return name
        raise AssertionError("names never end")

    def _names(self, folder: Path, name: str) -> Iterator[str]:
        """`plot.png`, `plot-2.png`, `plot-3.png`, ..."""
        yield name
        wanted, path = folder / name, Path(name)
        while True:
            number = self._next.get(wanted, 2)
            yield f"{path.stem}-{number}{path.suffix}"
            self._next[wanted] = number + 1


def parts(name: str) -> list[str]:
    """The components of a file's name that can be shown and lead nowhere else; at least one."""
    shown = (_shown(part) for part in name.replace("\\", "/").split("/"))
    return [part for part in shown if part not in ("", ".", "..")] or ["unnamed"]


def _shown(part: str) -> str:
    text = clean(part).replace("\n", " ").replace("\t", " ").strip()
    path = Path(text)
    kept = len(path.suffix.encode()) if len(path.suffix) < 20 else 0
    if len(text.encode()) <= _NAME_BYTES:
        return text
    ending = path.suffix if kept else ""
    stem = text.removesuffix(ending).encode()[: _NAME_BYTES - kept].decode(errors="ignore")
    return stem + ending


def _write(name: str, handle: int, data: bytes) -> None:
    """A new file. Raises FileExistsError where anything has the name, also a link that leads nowhere."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(name, flags, 0o644, dir_fd=handle)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(data)
    except BaseException:  # half a file would stand in the way of the whole one
        with suppress(OSError):
            os.unlink(name, dir_fd=handle)
        raise


def _is_same(name: str, handle: int, data: bytes) -> bool:
    """Whether a regular file of that name has this content already."""
    try:
        with _opened(name, handle) as file:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size != len(data):
                return False
            with os.fdopen(os.dup(file), "rb") as content:
                return content.read(len(data) + 1) == data
    except OSError:
        return False


@contextmanager
def _opened(name: str, handle: int) -> Iterator[int]:
    # not blocking: a pipe of that name has perhaps no writer
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    try:
        yield file
    finally:
        os.close(file)


def _is_folder(name: str, handle: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
    except OSError:
        return False
