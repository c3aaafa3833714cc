"""From verbs to the event loop, and back out of the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NoReturn, ParamSpec, TypeVar

from moot.cli.exit_codes import ExitCode

T = TypeVar("T")
P = ParamSpec("P")


class Daemons(ThreadPoolExecutor):
    """A thread of its own for each blocking call. One that hangs (an engine that does not answer) does not keep the
    process from ending, as the threads of a pool would.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin at once."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
                future.set_exception(error)

        threading.Thread(target=work, daemon=True, name="moot-call").start()
        return future


def wait(work: Coroutine[None, None, T]) -> T:
    """Run something to its end. Ctrl-C cancels it and ends the process."""
    from moot.cli.conduct import Interrupted, Interrupts, before_run
    from moot.cli.consoles import say

    async def watched() -> T:
        interrupts = Interrupts()
        with interrupts.watched():
            try:
                return await before_run(interrupts, work)
            except Interrupted:
                say("interrupted")
                leave(ExitCode.INTERRUPTED)

    return _run(watched())


def drive(work: Coroutine[None, None, ExitCode]) -> ExitCode:
    """Run something that handles signals itself to its exit code."""
    return _run(_driven(work))


def _run(work: Coroutine[None, None, T]) -> T:
    async def main() -> T:
        asyncio.get_running_loop().set_default_executor(Daemons())
        return await work

    return asyncio.run(main())


async def _driven(work: Coroutine[None, None, ExitCode]) -> ExitCode:
    from moot.cli.conduct import Interrupted
    from moot.cli.consoles import say

    try:
        code = await work
    except Interrupted:
        say("interrupted before the run began: nothing was started")
        code = ExitCode.INTERRUPTED
    if code is ExitCode.INTERRUPTED:
        leave(code)
    return code


def leave(code: ExitCode) -> NoReturn:
    """End the process here. Whatever still waits for an engine that does not answer must not hold up the user."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
