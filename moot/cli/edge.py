"""From verbs to the event loop, and back out of the process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import TypeVar

from moot.cli.exit_codes import ExitCode

T = TypeVar("T")


def wait(work: Coroutine[None, None, T]) -> T:
    """Run something to its end. Ctrl-C cancels it."""
    return asyncio.run(work)


def drive(work: Coroutine[None, None, ExitCode]) -> ExitCode:
    """Run something that handles signals itself to its exit code."""
    return asyncio.run(_driven(work))


async def _driven(work: Coroutine[None, None, ExitCode]) -> ExitCode:
    from moot.cli.conduct import Interrupted
    from moot.cli.consoles import say

    try:
        code = await work
    except Interrupted:
        say("interrupted before the run began: nothing was started")
        code = ExitCode.INTERRUPTED
    if code is ExitCode.INTERRUPTED:
        # The run is left and its sandbox gone. A thread that still waits for an engine must not hold up the user.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
