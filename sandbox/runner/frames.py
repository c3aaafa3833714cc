"""Length-prefixed frames: what travels between the host and PID 1, in both directions.

A frame is a magic number, the lengths of its two parts, a head (JSON) and a body (raw bytes: code, output, pieces of
files). Both ends use this file; it is injected into the container, so it needs the standard library alone.
"""

from __future__ import annotations

import json
import struct

MAGIC = b"\xabMT1"
PREFIX = struct.Struct(">4sII")
MAX_FRAME = 1 << 20
"""Bytes of head and body together."""


class BadFrame(ValueError):
    """Bytes that are no frame of ours, or one that is too long."""


def pack(head: dict[str, object], body: bytes = b"") -> bytes:
    """One frame as bytes; BadFrame if it would be longer than MAX_FRAME."""
    encoded = json.dumps(head, separators=(",", ":")).encode()
    if len(encoded) + len(body) > MAX_FRAME:
        raise BadFrame(f"a frame of {len(encoded) + len(body)} bytes is longer than {MAX_FRAME}")
    return b"".join((PREFIX.pack(MAGIC, len(encoded), len(body)), encoded, body))


class Unpacker:
    """Cuts a stream of bytes into frames, however the stream was cut on its way."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The frames that these bytes complete, as (head, body). BadFrame if they are not ours."""
        self._buffer += data
        frames: list[tuple[bytes, bytes]] = []
        start, have = 0, len(self._buffer)
        while have - start >= PREFIX.size:
            magic, head_size, body_size = PREFIX.unpack_from(self._buffer, start)
            if magic != MAGIC or head_size + body_size > MAX_FRAME:
                raise BadFrame("bytes that are not a frame")
            middle = start + PREFIX.size + head_size
            end = middle + body_size
            if have < end:
                break
            frames.append((bytes(self._buffer[start + PREFIX.size : middle]), bytes(self._buffer[middle:end])))
            start = end
        del self._buffer[:start]  # once a call: deleting after each small frame would be quadratic
        return frames
