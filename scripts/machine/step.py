"""One step of the setup: one line that says what it is and how long it took."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class BlockedError(Exception):
    """Setup cannot help itself here; `command` is the one command that does."""

    def __init__(self, problem: str, command: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.command = command


class StepError(Exception):
    """A step went wrong; the message ends with what its program said last."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` at once and the seconds when it is done."""
    print(f"setup: {what} ...", end="", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(file=sys.stderr)
        raise
    print(f" {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end, quietly, and return what it printed; raise StepError with its last lines if it fails.

    Ctrl-C reaches the program too, as both are in one process group.
    """
    done = subprocess.run(
        command,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise StepError(f"`{' '.join(map(str, command))}` ended with {done.returncode}:\n{tail}")
    return done.stdout
