"""Who drives a run: a name that tells, on the same machine, whether that process still lives."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def new_owner() -> str:
    """A name for one driver in this process: `boot:namespace:pid:start:nonce`."""
    return f"{_machine()}:{os.getpid()}:{_started(os.getpid())}:{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the process is known to be gone. False where that cannot be told (another machine, another namespace)."""
    if owner.count(":") < 3:
        return False
    *machine, pid, start, _ = owner.split(":")
    if not pid.isdigit() or ":".join(machine) != _machine():
        return False
    return _started(int(pid)) != start


def _machine() -> str:
    """This boot of this machine, and this process's pid namespace; both empty where the system has no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{os.uname().nodename}:"


def _started(pid: int) -> str:
    """When the process began (clock ticks since boot), or '' when there is none; tells a reused pid."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if not _alive(pid) else "?"
    return "" if fields[0] == "Z" else fields[19]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
