"""Looking at a journal file for what other processes wrote, for all who wait at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from moot.chats.owner import Hold, is_dead, is_held
from moot.chats.waiters import News, Waiter, tell

_NEW = "SELECT c.id, r.name FROM command c JOIN run r ON r.id = c.run WHERE c.id > ? ORDER BY c.id"
_RUN = "SELECT epoch, head, owner, until, ticks FROM run WHERE name = ?"


class Looker:
    """Used in the thread that owns the connection. A look costs the same however many wait for commands."""

    def __init__(self, news: News, clock: Callable[[], float]) -> None:
        self.news, self._clock = news, clock
        self._version: int | None = None
        self._command: int | None = None
        """The last command that was looked at."""

    def begin(self, db: sqlite3.Connection) -> None:
        """Whoever waits for commands has seen those there are: only later ones are news."""
        if self._command is None:
            if not self.news.events:  # who waits for those has looked before, and may have missed something since
                (self._version,) = db.execute("PRAGMA data_version").fetchone()
            (self._command,) = db.execute("SELECT coalesce(max(id), 0) FROM command").fetchone()

    def look(self, db: sqlite3.Connection) -> None:
        """Wake those for whose runs there is something new, or whose driver is gone."""
        (version,) = db.execute("PRAGMA data_version").fetchone()  # changes when another connection has written
        changed, self._version = version != self._version, version
        if changed and self.news.commands:
            new = db.execute(_NEW, (self._command or 0,)).fetchall()
            if new:
                self._command = new[-1][0]
                self.news.commands.wake(name for _, name in new)
        if self.news.events:
            self._events(db, changed)

    def _events(self, db: sqlite3.Connection, changed: bool) -> None:
        now, lives, woken = self._clock(), dict[str, bool](), list[Waiter]()

        def dead(owner: str) -> bool:  # one process may drive a thousand runs
            process = owner.rpartition(":")[0]
            if process not in lives:
                lives[process] = not is_dead(owner)
            return not lives[process]

        for waiter in self.news.events.all():
            if waiter.seen is None:
                continue
            if changed:
                row = db.execute(_RUN, (waiter.run,)).fetchone()
                if row is None or row[:3] != waiter.seen:
                    woken.append(waiter)
                    continue
                waiter.hold = Hold(*row[2:])
            if not is_held(waiter.hold, now, dead):
                woken.append(waiter)
        tell(woken)
