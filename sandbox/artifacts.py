"""Which of the files that a block left behind are wanted, and getting them out within the caps."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from moot.sandbox.docker import Docker
from moot.sandbox.errors import FileRefused
from moot.sandbox.execution import Artifact, NotKept
from moot.sandbox.sizes import parse_size, show_size
from moot.sandbox.wire import Entry

MOST_ARTIFACTS = 1000
"""Files copied out after one block."""

MOST_LISTED = 100
"""Files named as not kept after one block."""

_ODD = {
    "name": "its name is not valid UTF-8",
    "depth": "it lies too deep in folders, or its path is too long",
    "closed": "its folder cannot be read",
    "irregular": "it is not a regular file",
}


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def wanted(name: str, patterns: Iterable[str]) -> bool:
    """Whether a file matches one of the patterns.

    A pattern without `/` is compared with the last part of the name, others with all of it. Hidden files and
    `__pycache__` match only patterns that name them, as in a shell.
    """
    parts = name.split("/")
    hidden = [part for part in parts if part.startswith(".") or part == "__pycache__"]
    for pattern in patterns:
        if hidden and not ("__pycache__" in pattern or any(part.startswith(".") for part in pattern.split("/"))):
            continue
        if fnmatchcase(name if "/" in pattern else parts[-1], pattern):
            return True
    return False


@dataclass(slots=True)
class Harvest:
    """What is known of the workspace's files, across the blocks of one box."""

    spec: Docker
    seen: dict[str, str] = field(default_factory=dict)
    """Digests of what was put in or has been handed out, by name."""
    missed: dict[str, int] = field(default_factory=dict)
    """Sizes of what has been listed as not kept, by name."""
    waiting: dict[str, Entry] = field(default_factory=dict)
    """Changed files not handed out yet: those of this block, and of an earlier one that was cancelled."""

    def note(self, entries: Iterable[Entry]) -> None:
        """Remember files that a block has changed."""
        for name, size, note in entries:
            told = note == "maybe" and self.missed.get(name) == size  # not kept, and listed so already
            if wanted(name, self.spec.artifacts) and not told:
                self.waiting[name] = (name, size, note)

    def input(self, name: str, data: bytes) -> None:
        """Remember a file that was put in: it is no artifact until its content changes."""
        self.seen[name] = digest(data)
        self.waiting.pop(name, None)

    async def gather(
        self, get: Callable[[str, int], Awaitable[bytes]], *, cut: bool
    ) -> tuple[tuple[Artifact, ...], tuple[NotKept, ...]]:
        """Copy out what waits, in the order of names. `get` reads a file of at most so many bytes."""
        most, left = (parse_size(getattr(self.spec, what), what=what) for what in ("max_artifact", "max_artifacts"))
        kept: list[Artifact] = []
        missed: list[NotKept] = []
        for name, size, note in sorted(self.waiting.values()):
            why = _ODD.get(note) or self._over(size, most=most, left=left, count=len(kept))
            if why is None:
                try:
                    data = await get(name, min(most, left))
                except FileRefused as refusal:
                    why = str(refusal)
                else:
                    if self.seen.get(name) != digest(data):
                        left -= len(data)
                        kept.append(Artifact(name, len(data), digest(data), data))
                    continue
            missed.append(NotKept(name, size, why))
        if cut:
            missed.insert(0, NotKept("(more files)", 0, "there are more files in the workspace than can be looked at"))
        self.missed.update({each.name: each.size for each in missed})
        if len(missed) > MOST_LISTED:
            rest = missed[MOST_LISTED:]
            size = sum(each.size for each in rest)
            missed[MOST_LISTED:] = [NotKept(f"({len(rest)} more files)", size, "they are too many to be listed")]
        # only now: had we been cancelled on the way, the next block would have to hand them out
        self.waiting.clear()
        self.seen.update({artifact.name: artifact.sha256 for artifact in kept})
        return tuple(kept), tuple(missed)

    def _over(self, size: int, *, most: int, left: int, count: int) -> str | None:
        if size > most:
            return f"{show_size(size)} is more than max_artifact={self.spec.max_artifact}"
        if size > left:
            return f"the block's files together are more than max_artifacts={self.spec.max_artifacts}"
        if count >= MOST_ARTIFACTS:
            return f"a block made more than {MOST_ARTIFACTS} files"
        return None
