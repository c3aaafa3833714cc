"""The file behind a tape that is being recorded: whole lines at its end, whoever else writes, whatever is killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from moot.agents.errors import TapeError
from moot.agents.tape import Header, Line, read_header

_HEADER_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024


class TapeFile:
    """Opened for each line, so that nothing has to be closed and several processes may record on one tape."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self) -> None:
        """Make the tape, or see that the file is one and ends with a whole line. Raises TapeError."""
        with self._opened(os.O_CREAT) as file:
            size = os.fstat(file).st_size
            if size:
                size = self._mended(file, size)
            if not size:
                header = Header(made=utc_now()).model_dump_json()
                _write(file, f"{header}\n".encode())

    def add(self, line: Line) -> None:
        """Write one call down; it is with the system when this returns. Raises TapeError."""
        value = line.model_dump(mode="json", exclude_none=True)
        value = {name: item for name, item in value.items() if item != {}}
        try:
            data = json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # half a character, as models bring them
            data = json.dumps(value).encode()
        with self._opened() as file:
            _write(file, data + b"\n")

    @contextlib.contextmanager
    def _opened(self, flags: int = 0) -> Iterator[int]:
        """The file, and nobody else writes to it. Raises TapeError for whatever goes wrong inside."""
        try:
            if self.path.exists() and not stat.S_ISREG(self.path.stat().st_mode):
                kind = "is a directory" if self.path.is_dir() else "is no regular file"
                raise TapeError(f"cannot record to {str(self.path)!r}: it {kind}")
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | flags, 0o666)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
            finally:
                os.close(file)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise TapeError(f"cannot record to {str(self.path)!r}: {why}") from error

    def _mended(self, file: int, size: int) -> int:
        """Cut off what a killed process left of a line; the size that is left."""
        first = os.pread(file, _HEADER_BYTES, 0).partition(b"\n")
        if not first[1] and b'{"tape":"moot"'.startswith(first[0][:14]):  # killed with the header half written
            os.ftruncate(file, 0)
            return 0
        try:
            read_header(first[0].decode(), str(self.path))
        except (UnicodeDecodeError, TapeError) as error:
            why = "it is not UTF-8 text" if isinstance(error, ValueError) else error
            raise TapeError(f"cannot record to {str(self.path)!r}: {why}") from None
        end = _end_of_last_line(file, size)
        if end < size:
            try:
                json.loads(os.pread(file, size - end, end))
            except ValueError:
                os.ftruncate(file, end)
                return end
            _write(file, b"\n")  # whole, but edited by a program that ends the last line without a newline
        return size


def _end_of_last_line(file: int, size: int) -> int:
    at = size
    while at > 0:
        start = max(0, at - _PIECE_BYTES)
        found = os.pread(file, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _write(file: int, data: bytes) -> None:
    """All of it or nothing: a full disk must not leave half a line."""
    size = os.fstat(file).st_size
    try:
        while data:
            data = data[os.write(file, data) :]
    except OSError:
        os.ftruncate(file, size)
        raise


def utc_now() -> str:
    """The time, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
