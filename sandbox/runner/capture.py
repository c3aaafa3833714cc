"""One output stream of one block: its beginning and end are kept, the rest is counted."""

from __future__ import annotations

import os

HEAD = 64 << 10
TAIL = 4 << 10
HARD_STOP = 32 << 20
"""A block that has printed this many bytes is stopped."""
_CHUNK = 64 << 10


class Capture:
    """Reads a pipe without ever waiting for it."""

    def __init__(self, name: str, pipe: int) -> None:
        self.name = name
        self.head = bytearray()
        self.tail = b""
        self.total = 0
        self.pipe: int | None = pipe
        os.set_blocking(pipe, False)

    def read(self, rounds: int) -> bytes:
        """Take what is there, at most `rounds` chunks; returns what is fit to be shown live (the head's part)."""
        live = bytearray()
        for _ in range(rounds):
            if self.pipe is None:
                break
            try:
                data = os.read(self.pipe, _CHUNK)
            except BlockingIOError:
                break
            if not data:
                self.close()
                break
            live += self._keep(data)
        return bytes(live)

    def _keep(self, data: bytes) -> bytes:
        self.total += len(data)
        room = HEAD - len(self.head)
        first, rest = data[:room], data[room:]
        self.head += first
        if rest:
            self.tail = (self.tail + rest)[-TAIL:]
        return first

    def note(self, text: str) -> None:
        """Add a line of our own to what the block has printed."""
        self._keep(text.encode())

    def close(self) -> None:
        """Stop reading; what was captured stays."""
        if self.pipe is not None:
            os.close(self.pipe)
            self.pipe = None
