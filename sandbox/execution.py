"""What comes back from one block of code: a value, whether the program did well or not."""

from __future__ import annotations

from dataclasses import dataclass

TIMEOUT_EXIT_CODE = 124
"""The exit code of a block that was stopped because its time was up, as in timeout(1)."""

INTERRUPTED_EXIT_CODE = 130
"""The exit code of a block that stopped when it was interrupted: 128 + SIGINT."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a block made or changed, with its content, copied out of the workspace."""

    name: str
    """Its path in the workspace, with `/` between the parts."""
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal, taken on the host from the bytes that arrived."""
    data: bytes


@dataclass(frozen=True, slots=True)
class NotKept:
    """A file that a block made or changed and whose content did *not* come out, with the reason."""

    name: str
    size: int
    """Bytes, as the container states them."""
    why: str


@dataclass(frozen=True, slots=True)
class File:
    """One regular file in the workspace, as `Box.list` shows it."""

    name: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The result of one block of code.

    Exit codes are those of a shell: 0 is success, 124 the timeout, 128 + n a death by signal n (137 is SIGKILL).
    """

    exit_code: int
    stdout: str = ""
    """The first 64 KiB and the last 4 KiB; what lies between is replaced by a line that says how much it was."""
    stderr: str = ""
    value: str | None = None
    """`repr` of the last expression of a Python block, as in a notebook; at most 8,192 characters."""
    timed_out: bool = False
    oom: bool = False
    """The kernel killed something in the container for want of memory during this block."""
    state_lost: bool = False
    """The interpreter died since the last block was reported: variables are gone, files are still there."""
    truncated: bool = False
    """Some of stdout, stderr or value is missing."""
    interrupted: bool = False
    """Somebody asked for this block to be stopped."""
    skipped: str | None = None
    """Why the block was not run at all, if it was not."""
    strays_killed: int = 0
    """Background processes that the block left behind, and that were ended with it."""
    artifacts: tuple[Artifact, ...] = ()
    not_kept: tuple[NotKept, ...] = ()
    seconds: float = 0.0
    """Wall time of the block in the container."""

    @property
    def ok(self) -> bool:
        """Whether the block ran to its end and succeeded."""
        return self.exit_code == 0 and self.skipped is None
