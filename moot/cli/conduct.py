"""Driving a run from a terminal: it is shown while it goes on, and Ctrl-C leaves it where it can be resumed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from moot.chats.errors import Fenced
from moot.chats.events import Draft, Event
from moot.chats.ids import short
from moot.chats.store import Store
from moot.chats.story import Story
from moot.cli.display import Display
from moot.cli.exit_codes import ExitCode, exit_code

if TYPE_CHECKING:
    from moot.chats.run import Run
    from moot.chats.state import Status

T = TypeVar("T")
AFTER_TURN = "stopping after this turn; Ctrl-C again stops now"
NOW = "stopping now"
STOP_SECONDS = 3.0
"""How long an engine that does not answer is waited for. A sandbox goes by itself once this process is gone."""


Past = Collection[int]
"""The numbers of the events that need not be shown: they were before."""
NO_PAST: Past = ()


class Interrupted(Exception):
    """Ctrl-C before there was a run: nothing was started, nothing spent."""


@dataclass(slots=True)
class Conducted:
    """A run that is over or was left, and its story."""

    run: str
    short: str
    status: Status
    story: Story
    interrupted: bool


class Interrupts:
    """Counts what the user asked for: the first Ctrl-C, the second, and signals that mean the second at once."""

    def __init__(self) -> None:
        self.asked = 0
        self.act: Callable[[int], None] = lambda _: None
        """Called in the event loop with how often it was asked by then."""
        self.leaving: Callable[[], None] = lambda: None
        """Called at any moment when the process is about to be left in the middle of everything."""
        self.code = ExitCode.INTERRUPTED
        """With what it is left then."""
        self.deaf = False
        """Whether a program of the user's has the terminal: Ctrl-C is meant for that one."""

    @contextlib.contextmanager
    def watched(self, *, to_the_end: bool = False) -> Iterator[None]:
        """Inside, signals are counted instead of raised. `to_the_end`: the process ends afterwards, and a Ctrl-C on the
        way there does not change how it ends.
        """
        loop = asyncio.get_running_loop()
        steps = {signal.SIGINT: 1, signal.SIGTERM: 2, signal.SIGHUP: 2}
        # set by hand: the loop would restore the handler that raises, and do nothing while output blocks it
        before = {
            number: signal.signal(number, lambda number, _: self._came(loop, steps[signal.Signals(number)]))
            for number in steps
            if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGINT
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                ignored = to_the_end and number == signal.SIGINT
                signal.signal(number, signal.SIG_IGN if ignored else handler or signal.SIG_DFL)

    def over(self, code: ExitCode) -> None:
        """The run has ended: from now on nothing changes with what the process ends."""
        self.code, self.act = code, lambda _: None

    def _came(self, loop: asyncio.AbstractEventLoop, steps: int) -> None:
        if self.deaf and steps == 1:
            return
        before, self.asked = self.asked, max(self.asked + 1, steps)
        if before >= 2:  # it hangs: leave, the watchdogs of the sandbox and the lease do the rest
            with contextlib.suppress(Exception):
                self.leaving()
            os._exit(self.code)
        times = self.asked
        loop.call_soon_threadsafe(lambda: self.act(times))


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
    """One run, its display, and what the user asks for meanwhile. A run that was left waiting can be conducted again:
    its story goes on.
    """

    def __init__(self, display: Display, interrupts: Interrupts, store: Store, past: Past = NO_PAST) -> None:
        self._display, self._interrupts, self._store, self._past = display, interrupts, store, past
        self.seen = 0
        """The last event that was told."""
        self._story = Story("")
        self._called = ""
        self._run: Run | None = None
        self._starting: asyncio.Task[Run] | None = None
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def conduct(self, begin: Callable[[], Awaitable[Run]]) -> Conducted:
        """Begin a run and see it to its end, or until it is left. Raises what kept it from going on, and Interrupted
        before it began.
        """
        self._interrupts.act = self._asked
        self._starting = asyncio.ensure_future(self._begin(begin))
        try:
            run = await self._starting
        except asyncio.CancelledError:
            if self._interrupts.asked:
                raise Interrupted from None
            raise
        self._story.run = self._called = run.id
        self._interrupts.leaving = self._last_words
        try:
            return await self._shown(run)
        except Exception as error:
            error.add_note(self._from_here(run, error))
            raise

    async def _shown(self, run: Run) -> Conducted:
        self._called = short(run.id, await self._store.names())
        self._display.open(self._called)
        try:
            following = asyncio.ensure_future(self._follow(run))
            if await self._driven(run):
                await asyncio.wait({following})
                if error := following.exception():
                    raise error
            else:
                self._display.notice("the sandbox does not answer; it ends by itself")
            if run.status == "finished":
                self._interrupts.over(exit_code(run.outcome, run.cause))
        finally:
            self._display.close()
        interrupted = bool(self._interrupts.asked) and run.status != "finished"
        return Conducted(run.id, self._called, run.status, self._story, interrupted)

    def _from_here(self, run: Run, error: Exception | None = None) -> str:
        """What can be done with a run that could not be driven to its end."""
        if run.status == "finished" or isinstance(error, Fenced):
            return f"  run {run.id}: moot runs show {self._called}"
        return f"  run {run.id}; to go on: moot resume {self._called}"

    def _last_words(self) -> None:
        """In a signal handler: the stream may be in the middle of a write, so it is gone around."""
        run = self._run
        with contextlib.suppress(Exception):
            self._display.close()
        if run is not None and run.status != "finished":
            os.write(2, f"\n{self._from_here(run)}\n".encode())

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
                if item.seq <= self.seen:
                    continue
                self.seen = item.seq
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
            self._display.event(item, self._story, past=item.seq in self._past)

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
