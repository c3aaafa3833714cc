"""Processes that are forked from one that has everything imported, run one thing, and end by their exit code."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

FINISHED, WAITING, FENCED, OVER, BUSY, FAILED = 0, 10, 11, 12, 13, 1
"""Exit codes: the run is finished; it waits for a person; another process drives it; it was finished before; another
process keeps the file busy; a bug.
"""
KILLED = -signal.SIGKILL
LONGEST_SECONDS = 60
"""What a process may take; one that hangs is ended by SIGALRM."""
Work = Callable[[], Coroutine[Any, Any, int]]


def fork(work: Work, folder: Path) -> int:
    """Start it; the pid. What it says goes to `stderr.txt`: a killed process, and whoever comes after it, say nothing.

    Only to be called where no thread and no event loop runs.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = FAILED
    try:
        said = os.open(folder / "stderr.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(said, 1)
        os.dup2(said, 2)
        signal.alarm(LONGEST_SECONDS)
        code = asyncio.run(work())
    except BaseException:  # noqa: BLE001 - nothing of this process may go on in the place where it was forked
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for it: its exit code, or minus the signal that killed it."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def killed_after(pid: int, seconds: float) -> int:
    """Let it run for so long, then kill it; how it ended."""
    handle = os.pidfd_open(pid)
    try:
        if not select.select([handle], [], [], seconds)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    return ended(pid)


def forked(work: Work, folder: Path) -> int:
    """Run it in a process of its own; how that ended."""
    return ended(fork(work, folder))
