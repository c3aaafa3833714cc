"""Who drives a run: a process, told from every other, and one of the runs it drives."""

from __future__ import annotations

import uuid

from moot.sandbox.owner import Owner, this_process


def new_owner() -> str:
    """A name for one driver in this process: `boot:namespace:pid:start:nonce`."""
    return f"{this_process()}:{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the process is known to be gone. False where that cannot be told (another machine, another namespace)."""
    process = Owner.parse(owner.rpartition(":")[0])
    return process is not None and process.life() == "dead"


def pid_of(owner: str) -> str:
    """The pid of the process, for messages; `?` where the name is not one of ours."""
    process = Owner.parse(owner.rpartition(":")[0])
    return str(process.pid) if process is not None else "?"
