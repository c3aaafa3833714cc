"""Errors as one line on stderr and an exit code. Never a traceback, unless it is asked for."""

from __future__ import annotations

import os
import sys
import traceback

from moot.agents.errors import ModelError, PlaybookError, TapeError
from moot.chats.clean import clean
from moot.chats.errors import SpecError, StoreError, UserError
from moot.cli.exit_codes import ExitCode
from moot.sandbox.errors import SandboxError

DEBUG = "MOOT_DEBUG"
_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (SpecError, ExitCode.USAGE),
    (UserError, ExitCode.USAGE),
    (PlaybookError, ExitCode.USAGE),  # a file that is wrong
    (TapeError, ExitCode.USAGE),
    (ModelError, ExitCode.MODEL),
    (SandboxError, ExitCode.NO_SANDBOX),
    (StoreError, ExitCode.FAILED),
)


def report(error: BaseException) -> ExitCode:
    """Say what happened and what to do; the code to end with."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    code = _told(error)
    for note in _notes(error):
        _say(note)
    return code


def _told(error: BaseException) -> ExitCode:
    for kind, code in _CODES:
        if isinstance(error, kind):
            _say(error.explain() if isinstance(error, SpecError) else f"error: {_line(error)}")
            return code
    if isinstance(error, KeyboardInterrupt):
        _say("interrupted")
        return ExitCode.INTERRUPTED
    if isinstance(error, OSError):
        _say(f"error: {_line(error)}")
        return ExitCode.FAILED
    _say(f"error: unexpected {type(error).__name__}: {_line(error)} (this is a fault of Moot; {DEBUG}=1 shows where)")
    return ExitCode.FAILED


def usage(error: BaseException, command: str) -> ExitCode:
    """A command line that cannot be understood."""
    words = getattr(error, "format_message", lambda: str(error))()
    words = words.replace(": Value error, ", ": ")  # of pydantic, through typer
    _say(f"error: {_line_of(words)} (see {command} --help)")
    return ExitCode.USAGE


def _say(text: str) -> None:
    try:
        print(clean(text), file=sys.stderr, flush=True)
    except OSError:
        return  # nobody listens


def _notes(error: BaseException) -> list[str]:
    """What was added to an error on its way, also to one that another has taken the place of; each once."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:  # one that is raised again in its own handling leads back to itself
        chain.append(at)
        at = at.__cause__ or at.__context__
    return list(dict.fromkeys(note for one in chain for note in getattr(one, "__notes__", ())))


def _line(error: BaseException) -> str:
    return _line_of(str(error)) or type(error).__name__


def _line_of(text: str) -> str:
    return " ".join(text.split())[:1000]
