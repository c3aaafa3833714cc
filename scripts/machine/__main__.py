"""`python -m scripts.machine [environment] [engine] [image] [servers] [browser]`, started by scripts/setup."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.machine import browser, engine, environment, image, servers
from scripts.machine.step import BlockedError, StepError

STEPS = {
    "environment": environment.prepare,
    "engine": engine.prepare,
    "image": image.prepare,
    "servers": servers.prepare,
    "browser": browser.prepare,
}
USUAL = ("environment", "engine", "image")
"""What is taken where nothing is named: all that Moot itself needs."""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Only one setup at a time in one repository; the lock ends with the process."""
    held = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def main(wanted: list[str]) -> int:
    """Take the wanted steps in their order. 0: ready; 1: a step failed; 2: no such step; 6: only the user can help."""
    if unknown := set(wanted) - set(STEPS):
        print(f"error: no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}", file=sys.stderr)
        return 2
    root = Path.cwd()
    try:
        with alone(root):
            for name, prepare in STEPS.items():
                if name in (wanted or USUAL):
                    prepare(root)
    except BlockedError as blocked:
        print(f"error: {blocked.problem}. This helps:\n    {blocked.command}", file=sys.stderr)
        return 6
    except StepError as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the next call goes on from here", file=sys.stderr)
        return 130
    return 0


sys.exit(main(sys.argv[1:]))
