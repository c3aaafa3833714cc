"""The world outside the processes that are killed: what it saw of them, one line for each time it was really asked."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from moot.agents.effects import idempotency_key


class World:
    """An append-only ledger. A line is with the system when `saw` returns: it outlives whoever wrote it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "world.jsonl"

    def saw(self, kind: str, what: str, **more: object) -> None:
        """Write down that it was asked, and under which name of the effect."""
        said = {"ts": time.time(), "pid": os.getpid(), "kind": kind, "what": what, "key": idempotency_key(), **more}
        append_line(self.path, said)

    def receipt(self, key: str) -> str | None:
        """What came of what was asked under that name, None if it never was."""
        return next((str(line["receipt"]) for line in read_lines(self.path) if line["key"] == key), None)


def append_line(path: Path, said: object) -> None:
    """One write for the whole line: several processes share the file."""
    line = json.dumps(said).encode() + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def read_lines(path: Path) -> Iterator[dict[str, object]]:
    """What was written so far."""
    if path.exists():
        yield from (json.loads(line) for line in path.read_text().splitlines())
