"""PID 1's end of the attach stream. It never blocks: a host that does not read must not stop the clock in here."""

from __future__ import annotations

import collections
import json
import os

from moot.sandbox.runner.frames import Unpacker, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIVE_QUEUE = 256 << 10
_READ = 256 << 10


class Channel:
    """Frames in from one descriptor, frames out to another."""

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        os.set_blocking(source, False)
        os.set_blocking(sink, False)
        self._unpacker = Unpacker()
        self._queue: collections.deque[memoryview] = collections.deque()
        self._queued = 0

    @property
    def waits_to_write(self) -> bool:
        """Whether something is queued because the other end did not take it yet."""
        return bool(self._queue)

    def send(self, head: dict[str, object], body: bytes = b"", live: bool = False) -> None:
        """Queue a frame and write what goes. Live output is dropped for a slow host: the result has all of it."""
        if live and self._queued > _LIVE_QUEUE:
            return
        frame = pack(head, body)
        self._queue.append(memoryview(frame))
        self._queued += len(frame)
        self.flush()

    def flush(self) -> None:
        """Write as much as the other end takes now. OSError when it is gone."""
        while self._queue:
            first = self._queue[0]
            try:
                written = os.write(self.sink, first)
            except BlockingIOError:
                return
            self._queued -= written
            if written == len(first):
                self._queue.popleft()
            else:
                self._queue[0] = first[written:]

    def receive(self) -> list[tuple[dict[str, Any], bytes]] | None:
        """The frames that have come in; None when the host has hung up."""
        try:
            data = os.read(self.source, _READ)
        except BlockingIOError:
            return []
        if not data:
            return None
        return [(json.loads(head), body) for head, body in self._unpacker.feed(data)]
