"""Which process a container belongs to, in a label, and whether that process still lives.

A pid alone proves nothing: it is used again, and means another process in another pid namespace or after a reboot.
So the label also has the process's start time, its pid namespace and the boot. Where that cannot be compared (another
machine, another namespace) the answer is "it may live", and the container is left alone.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

LABEL_OWNER = "moot.owner"
LABEL_RUN = "moot.run"

Life = Literal["alive", "dead", "unknown"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, so named that no other process ever has the same name."""

    boot: str
    namespace: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.boot}:{self.namespace}:{self.pid}:{self.started}"

    @classmethod
    def parse(cls, label: str) -> Owner | None:
        """The owner a label names; None if it is not one of ours."""
        parts = label.split(":")
        if len(parts) != 4 or not parts[2].isdigit():
            return None
        return cls(parts[0], parts[1], int(parts[2]), parts[3])

    def life(self) -> Life:
        """Whether that process lives, as far as can be told from here."""
        here = this_process()
        if (self.boot, self.namespace) != (here.boot, here.namespace):
            return "unknown"
        started = _started(self.pid)
        if started is None or (self.started and started != self.started):
            return "dead"
        return "alive"


def this_process() -> Owner:
    """The owner label of the process that asks (a fork is another owner)."""
    return _process(os.getpid())


@cache
def _process(pid: int) -> Owner:
    boot, namespace = _machine()
    return Owner(boot, namespace, pid, _started(pid) or "")


@cache
def _machine() -> tuple[str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:  # no /proc (macOS): the host's name has to do
        return socket.gethostname().replace(":", "_"), "host"


def _started(pid: int) -> str | None:
    """When a process was started, in ticks since boot; "" where there is no /proc; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None if Path("/proc/self").exists() or not _signals(pid) else ""
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
