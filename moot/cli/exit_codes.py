"""What the process says when it ends, for scripts."""

from __future__ import annotations

from enum import IntEnum

from moot.termination.outcome import Outcome


class ExitCode(IntEnum):
    """One number per kind of ending; what stands here is part of the interface."""

    GOAL = 0
    """The goal was reached; or the command did what it was asked."""
    FAILED = 1
    """The run failed, the journal is out of reach, or something is wrong with Moot itself."""
    USAGE = 2
    """The file or the command is wrong."""
    LIMIT = 3
    WAITING = 4
    """Paused, or waiting for a person."""
    REJECTED = 5
    NO_SANDBOX = 6
    MODEL = 7
    """A model or its key is missing or refuses."""
    STALLED = 8
    STOPPED = 9
    INTERRUPTED = 130


_OF_OUTCOME = {
    Outcome.GOAL: ExitCode.GOAL,
    Outcome.LIMIT: ExitCode.LIMIT,
    Outcome.REJECTED: ExitCode.REJECTED,
    Outcome.STALLED: ExitCode.STALLED,
    Outcome.STOPPED: ExitCode.STOPPED,
    Outcome.FAILED: ExitCode.FAILED,
}
_OF_CAUSE = {"sandbox": ExitCode.NO_SANDBOX, "model": ExitCode.MODEL}


def exit_code(outcome: Outcome | None, cause: str = "") -> ExitCode:
    """For a run that ended like this; None: it has not ended, it waits or was paused."""
    if outcome is None:
        return ExitCode.WAITING
    if outcome is Outcome.FAILED:
        return _OF_CAUSE.get(cause, ExitCode.FAILED)
    return _OF_OUTCOME[outcome]
