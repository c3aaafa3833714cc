"""The processes in the container, seen from PID 1: ending them, counting them, and noticing what the kernel did."""

# The standard library alone, as lean as can be (see __init__.py): so no pathlib, contextlib or logging here.
# ruff: noqa: PTH123, PTH208, SIM105

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time

MAX_FILE = 128 << 20
"""Bytes of any one file that user code may write."""
_PR_SET_DUMPABLE = 4
_OOM_COUNTERS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")  # cgroup v2, v1


def set_dumpable(allowed: bool) -> None:
    """Whether others of our user may trace this process and open its /proc/PID/{mem,fd,environ}."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1 if allowed else 0, 0, 0, 0)


def limit_file_size() -> None:
    """Limit the files that this process and its children may write, for good."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    most = MAX_FILE if hard == resource.RLIM_INFINITY else min(hard, MAX_FILE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def go_first() -> None:
    """If memory runs out it is this process and its children that are killed, never PID 1."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError:
        pass


def reap() -> dict[int, int]:
    """Collect all children that have ended: their wait statuses by pid."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def exit_code(status: int) -> int:
    """A wait status as a shell shows it: 128 + n for a death by signal n."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def cause(status: int) -> str:
    """A wait status in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"was killed by {signal.Signals(number).name if number < 32 else number}"
    return f"ended with exit code {os.WEXITSTATUS(status)}"


def living(without: set[int]) -> list[int]:
    """The processes in the container that still run, without those."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid not in without and not _is_zombie(pid)]


def _is_zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def _need_pid_1() -> None:
    # kill(-1) reaches every process we may signal: in the container that is the container, anywhere else it would
    # end everything the developer has running.
    if os.getpid() != 1:
        raise RuntimeError("only PID 1 of a container may signal everything")


def kill_everything() -> None:
    """End every process in the container but this one."""
    _need_pid_1()
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return
    _wait_until_gone({1})


def kill_strays(keep: int) -> int:
    """End every process but this one and `keep`; returns how many there were.

    Everything is stopped first: one kill(-1) is atomic in the kernel, also against a fork in progress, so that
    nothing can multiply while the list is read. The kept process sleeps for that moment and goes on.
    """
    _need_pid_1()
    if not living({1, keep}):
        return 0
    os.kill(-1, signal.SIGSTOP)
    doomed = living({1, keep})
    for pid in doomed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        os.kill(keep, signal.SIGCONT)
    except ProcessLookupError:
        pass
    _wait_until_gone({1, keep})
    return len(doomed)


def _wait_until_gone(without: set[int]) -> None:
    # Their pids count against the container's limit until they are really gone. Reading states collects nothing:
    # the exit statuses of children are left to the one place that reaps.
    deadline = time.monotonic() + 2
    while living(without) and time.monotonic() < deadline:
        time.sleep(0.0005)


def oom_kills() -> int:
    """How many processes of this container the kernel has ended for want of memory, so far."""
    for path in _OOM_COUNTERS:
        try:
            with open(path) as counters:
                for line in counters:
                    name, _, count = line.partition(" ")
                    if name == "oom_kill":
                        return int(count)
        except (OSError, ValueError):
            continue
    return 0
