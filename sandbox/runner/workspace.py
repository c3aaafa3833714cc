"""The workspace as PID 1 sees it: writing, reading and listing files without following anything planted there.

The code that runs in the sandbox owns this folder and may put links, pipes and odd names into it while we look. So
every path is walked part by part with O_NOFOLLOW from one descriptor of the root, and only regular files are read.
"""

# The standard library alone, as lean as can be (see __init__.py): so no pathlib, contextlib or logging here.
# ruff: noqa: SIM105

from __future__ import annotations

import os
import stat
import time

MAX_DEPTH = 16
MAX_NAME = 1024
MAX_LISTED = 10_000
_MAX_LISTED_BYTES = 1 << 21
_RACY_NS = 20_000_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

TYPE_CHECKING = False
if TYPE_CHECKING:
    Entry = tuple[str, int, str]  # name, size, note: "", "maybe", "name", "depth", "closed" or "irregular"


def name_parts(name: str) -> list[str]:
    """The parts of a file name within the workspace. ValueError if it is empty, absolute, too long or leads out."""
    parts = name.split("/")
    if not name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise ValueError("it must be a relative path without '..'")
    if len(parts) > MAX_DEPTH or len(name.encode("utf-8", "surrogateescape")) > MAX_NAME:
        raise ValueError("it is too long or too deep")
    return parts


class Workspace:
    """The folder behind one descriptor, and what has been seen in it so far."""

    def __init__(self, path: str) -> None:
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._seen: dict[str, tuple[tuple[int, ...], bool]] = {}

    def put(self, name: str, offset: int, data: bytes) -> None:
        """Write a piece of a file (offset 0 begins it anew), making folders as needed. OSError, ValueError."""
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if offset == 0 else 0)
        file = self._open(name, flags, make_folders=True)
        try:
            self._need_regular(file)
            view = memoryview(data)
            while view:
                written = os.pwrite(file, view, offset)
                view, offset = view[written:], offset + written
            # The clock of a file system ticks slowly: a block may overwrite this file with as many bytes within the
            # same tick. A modification time in the past makes every later write visible.
            past = time.time_ns() - 1_000_000_000
            os.utime(file, ns=(past, past))
            self._seen[name] = (_key(os.fstat(file)), False)
        finally:
            os.close(file)

    def get(self, name: str, offset: int, size: int) -> tuple[int, bytes]:
        """The size of a regular file and a piece of it. OSError, ValueError."""
        file = self._open(name, os.O_RDONLY)
        try:
            total = self._need_regular(file)
            return total, os.pread(file, size, offset)
        finally:
            os.close(file)

    def _open(self, name: str, flags: int, make_folders: bool = False) -> int:
        parts = name_parts(name)
        folder = os.dup(self._root)
        try:
            for part in parts[:-1]:
                if make_folders:
                    try:
                        os.mkdir(part, 0o755, dir_fd=folder)
                    except FileExistsError:
                        pass
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            # O_NONBLOCK: a pipe planted under that name must not hold us.
            return os.open(parts[-1], flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644, dir_fd=folder)
        finally:
            os.close(folder)

    @staticmethod
    def _need_regular(file: int) -> int:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        return status.st_size

    def everything(self) -> tuple[list[Entry], bool]:
        """All regular files as entries, and whether the list had to be cut."""
        walk = _Walk(self._root)
        return [(name, status.st_size, "") for name, status in walk.files], walk.cut

    def changes(self) -> tuple[list[Entry], bool]:
        """What is new or touched since the last call, odd things included, and whether the list had to be cut."""
        walk = _Walk(self._root)
        seen: dict[str, tuple[tuple[int, ...], bool]] = {}
        entries: list[Entry] = []
        for name, status in walk.files:
            key = _key(status)
            # Too young to tell: it may be changed again within the same tick and look the same.
            racy = time.time_ns() - status.st_ctime_ns < _RACY_NS
            before = self._seen.get(name)
            seen[name] = (key, racy)
            if before is None or before[0] != key:
                entries.append((name, status.st_size, ""))
            elif before[1]:
                entries.append((name, status.st_size, "maybe"))
        for name, note in walk.odd:
            if name not in self._seen:
                entries.append((name, 0, note))
            seen[name] = ((), False)
        if walk.cut:  # keep what is known of the files that this walk did not reach
            seen = {**self._seen, **seen}
        self._seen = seen
        return entries, walk.cut

    def reopen(self) -> None:
        """Undo a chmod of the workspace itself: the code owns the folder and may have locked us out."""
        if stat.S_IMODE(os.fstat(self._root).st_mode) & 0o700 != 0o700:
            os.fchmod(self._root, 0o750)


def _key(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class _Walk:
    """One pass over the workspace, bounded in depth, number and bytes of names."""

    def __init__(self, root: int) -> None:
        self.files: list[tuple[str, os.stat_result]] = []
        self.odd: list[tuple[str, str]] = []
        self.cut = False
        self._bytes = 0
        self._folder(os.dup(root), "", 1)

    def _folder(self, folder: int, prefix: str, depth: int) -> None:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if self.cut:
                        return
                    self._entry(folder, entry, prefix + entry.name, depth)
        except OSError:
            self._note(prefix or ".", "closed")
        finally:
            os.close(folder)

    def _entry(self, folder: int, entry: os.DirEntry[str], name: str, depth: int) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return  # gone in the meantime
        if not self._is_text(name):
            self._note(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), "name")
        elif stat.S_ISREG(status.st_mode):
            self._count(name)
            self.files.append((name, status))
        elif not stat.S_ISDIR(status.st_mode):
            self._note(name, "irregular")
        elif depth >= MAX_DEPTH or len(name.encode()) > MAX_NAME - 256:
            self._note(name, "depth")
        else:
            self._descend(folder, entry.name, name, depth)

    def _descend(self, folder: int, part: str, name: str, depth: int) -> None:
        try:
            inner = os.open(part, _FOLDER, dir_fd=folder)
        except OSError:
            self._note(name, "closed")
        else:
            self._folder(inner, name + "/", depth + 1)

    @staticmethod
    def _is_text(name: str) -> bool:
        try:
            name.encode()
        except UnicodeEncodeError:
            return False
        return True

    def _note(self, name: str, note: str) -> None:
        self._count(name)
        self.odd.append((name, note))

    def _count(self, name: str) -> None:
        self._bytes += len(name)
        self.cut = len(self.files) + len(self.odd) + 1 >= MAX_LISTED or self._bytes > _MAX_LISTED_BYTES
