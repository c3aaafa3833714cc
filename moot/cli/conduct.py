"""Driving a run from a terminal: it is shown while it goes on, and Ctrl-C leaves it where it can be resumed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from moot.chats.events import Draft, Event
from moot.chats.ids import short
from moot.chats.store import Store
from moot.chats.story import Story
from moot.cli.display import Display
from moot.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from moot.chats.run import Run

T = TypeVar("T")
AFTER_TURN = "stopping after this turn; Ctrl-C again stops now"
NOW = "stopping now"
STOP_SECONDS = 3.0
"""How long an engine that does not answer is waited for. A sandbox goes by itself once this process is gone."""


class Interrupted(Exception):
    """Ctrl-C before there was a run: nothing was started, nothing spent."""


@dataclass(slots=True)
class Conducted:
    """A run that is over or was left, and its story."""

    run: Run
    short: str
    story: Story
    interrupted: bool


class Interrupts:
    """Counts what the user asked for: the first Ctrl-C, the second, and signals that mean the second at once."""

    def __init__(self) -> None:
        self.asked = 0
        self.act: Callable[[int], None] = lambda _: None
        """Called with how often it was asked by now."""

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, signals are counted instead of raised."""
        loop = asyncio.get_running_loop()
        steps = {signal.SIGINT: 1, signal.SIGTERM: 2, signal.SIGHUP: 2}
        watched = [s for s in steps if signal.getsignal(s) is not signal.SIG_IGN or s == signal.SIGINT]
        for number in watched:
            loop.add_signal_handler(number, self._came, steps[number])
        try:
            yield
        finally:
            for number in watched:
                loop.remove_signal_handler(number)

    def _came(self, steps: int) -> None:
        before, self.asked = self.asked, max(self.asked + 1, steps)
        if before >= 2:  # it hangs: leave, the watchdogs of the sandbox and the lease do the rest
            os._exit(ExitCode.INTERRUPTED)
        self.act(self.asked)


async def before_run(interrupts: Interrupts, work: Coroutine[None, None, T]) -> T:
    """Something to be done before there is a run; one Ctrl-C ends it. Raises Interrupted."""
    task = asyncio.ensure_future(work)
    interrupts.act = lambda _: _cancel(task)
    try:
        return await task
    except asyncio.CancelledError:
        if interrupts.asked:
            raise Interrupted from None
        raise


def _cancel(task: asyncio.Future[T]) -> None:
    task.cancel()


class Conductor:
    """One run, its display, and what the user asks for meanwhile."""

    def __init__(self, display: Display, interrupts: Interrupts, store: Store, past: int = 0) -> None:
        self._display, self._interrupts, self._store, self._past = display, interrupts, store, past
        self._story = Story("")
        self._run: Run | None = None
        self._starting: asyncio.Task[Run] | None = None
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def conduct(self, begin: Callable[[], Awaitable[Run]]) -> Conducted:
        """Begin a run and see it to its end. Raises what kept it from going on, and Interrupted before it began."""
        self._interrupts.act = self._asked
        self._starting = asyncio.ensure_future(self._begin(begin))
        try:
            run = await self._starting
        except asyncio.CancelledError:
            if self._interrupts.asked:
                raise Interrupted from None
            raise
        self._story.run = run.id
        called = short(run.id, await self._store.names())
        self._display.open(called)
        try:
            following = asyncio.ensure_future(self._follow(run))
            if await self._driven(run):
                await asyncio.wait({following})
                if error := following.exception():
                    raise error
            else:
                self._display.notice("the sandbox does not answer; it ends by itself")
            self._display.end(self._story)
        finally:
            self._display.close()
        return Conducted(run, called, self._story, bool(self._interrupts.asked) and run.status != "finished")

    async def _begin(self, begin: Callable[[], Awaitable[Run]]) -> Run:
        self._run = await begin()
        if self._interrupts.asked:  # before its first step: nothing is begun
            self._run.pause_after_turn()
        return self._run

    async def _driven(self, run: Run) -> bool:
        """Wait until the run is not driven any more. False: it was to stop, and what it holds does not let go."""
        finishing = asyncio.ensure_future(run.finish())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({finishing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not finishing.done():
            await asyncio.wait({finishing}, timeout=STOP_SECONDS)
        if finishing.done() and not finishing.cancelled() and (error := finishing.exception()):
            self._display.close()
            raise error
        return finishing.done()

    async def _follow(self, run: Run) -> None:
        """Tell the story; a reader that has gone away (a closed pipe) does not end the run."""
        seen = True
        async for item in run.events(drafts=True):
            if not isinstance(item, Draft):
                self._story.apply(item)
            if seen:
                try:
                    self._show(item)
                except OSError:
                    seen = False

    def _show(self, item: Event | Draft) -> None:
        if isinstance(item, Draft):
            self._display.draft(item)
        else:
            self._display.event(item, self._story, past=item.seq <= self._past)

    def _asked(self, times: int) -> None:
        if times == 1:
            if self._run is not None:
                self._run.pause_after_turn()
            self._display.notice(AFTER_TURN)
            return
        self._display.notice(NOW)
        if self._run is not None:
            self._tasks.add(asyncio.ensure_future(self._run.stop_now()))
            self._stopping.set()
        elif self._starting is not None:
            self._starting.cancel()
