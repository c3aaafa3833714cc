"""Who waits for news of runs, in whatever event loop; woken from whatever thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterable, Iterator

from moot.chats.owner import NOBODY


class Waiter:
    """One who waits for news of one run."""

    __slots__ = ("_news", "hold", "loop", "run", "seen")

    def __init__(self, run: str) -> None:
        self.run = run
        self.loop = asyncio.get_running_loop()
        self.seen: tuple[object, ...] | None = None
        """What it has seen of the run; None before its first look."""
        self.hold = NOBODY
        """Who drove the run then: that somebody's end is news, too."""
        self._news = asyncio.Event()

    async def came(self) -> None:
        """Wait for the next news."""
        await self._news.wait()
        self._news.clear()

    def tell(self) -> None:
        """There is something to look at. Called in the waiter's own loop."""
        self._news.set()


class Waiters:
    """Those who wait for one kind of news: commands, or events. False while there are none."""

    def __init__(self) -> None:
        self._by_run: dict[str, set[Waiter]] = {}
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._by_run)

    @contextlib.contextmanager
    def one(self, run: str) -> Iterator[Waiter]:
        """Wait for that run, as long as the block."""
        waiter = Waiter(run)
        with self._lock:
            self._by_run.setdefault(run, set()).add(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._by_run[run].discard(waiter)
                if not self._by_run[run]:
                    del self._by_run[run]

    def all(self) -> list[Waiter]:
        """Everybody who waits now."""
        with self._lock:
            return [waiter for waiters in self._by_run.values() for waiter in waiters]

    def wake(self, runs: Iterable[str]) -> None:
        """Tell those who wait for one of these runs."""
        if self._by_run:
            with self._lock:
                waiting = [waiter for run in set(runs) for waiter in self._by_run.get(run, ())]
            tell(waiting)


class News:
    """What can be waited for. False while nobody waits."""

    def __init__(self) -> None:
        self.commands, self.events = Waiters(), Waiters()

    def __bool__(self) -> bool:
        return bool(self.commands or self.events)

    def wake_all(self) -> None:
        """Whatever it is, everybody is to look."""
        tell((*self.commands.all(), *self.events.all()))


def tell(waiters: Iterable[Waiter]) -> None:
    """Wake them; each loop hears of its own in one call."""
    waiting = list(waiters)
    for loop in {waiter.loop for waiter in waiting}:
        mine = [waiter for waiter in waiting if waiter.loop is loop]
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_tell, mine)


def _tell(waiters: Iterable[Waiter]) -> None:
    for waiter in waiters:
        waiter.tell()
