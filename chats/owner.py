"""Who drives a run: a process, told from every other, and one of the runs it drives; and for how long."""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable
from typing import NamedTuple

from moot.sandbox.owner import Owner, this_process


class Hold(NamedTuple):
    """Who has a run, and until when: by the clock on the wall, and by the machine's own (seconds since its boot), which
    nobody sets. 0: not known, the run was claimed by an earlier version.
    """

    owner: str | None
    until: float
    ticks: float = 0.0


NOBODY = Hold(None, 0.0)
"""Of a run that is not driven."""


def new_owner() -> str:
    """A name for one driver in this process: `boot:namespace:pid:start:nonce`."""
    return f"{this_process()}:{uuid.uuid4().hex[:8]}"


def is_dead(owner: str) -> bool:
    """Whether the process is known to be gone. False where that cannot be told (another machine, another namespace)."""
    process = Owner.parse(owner.rpartition(":")[0])
    return process is not None and process.life() == "dead"


def is_held(hold: Hold, now: float, dead: Callable[[str], bool] = is_dead) -> bool:
    """Whether the run is driven: its owner lives, as far as can be told, and its lease is not over.

    On the owner's machine that is a matter of the machine's own clock: when somebody sets the clock on the wall, no run
    changes hands. `now` is the time on the wall.
    """
    if hold.owner is None:
        return False
    here = hold.ticks and hold.owner.partition(":")[0] == _boot()
    over = hold.ticks <= time.monotonic() if here else hold.until <= now
    return not over and not dead(hold.owner)


def pid_of(owner: str | None) -> str:
    """The pid of the process, for messages; `?` where the name is not one of ours."""
    process = Owner.parse((owner or "").rpartition(":")[0])
    return str(process.pid) if process is not None else "?"


@functools.cache
def _boot() -> str:
    return this_process().boot
