"""What was really done outside: counted while `crash_everywhere` looks, so that nothing is done twice unseen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from moot.agents.effects import idempotency_key


class Sighting(NamedTuple):
    """Something was done outside: under which name, and when (seconds since the epoch)."""

    key: str
    what: str
    ts: float


_SEEN: ContextVar[list[Sighting] | None] = ContextVar("moot_testing_seen", default=None)


def performed(what: str = "") -> None:
    """Say that something is being done outside. Call it in your own tools and fakes, right where they would really
    reach out: `crash_everywhere` then finds what is done again although its result was recorded. `FakeModel` does it
    by itself. Nothing happens anywhere else.
    """
    seen = _SEEN.get()
    if seen is not None:
        seen.append(Sighting(idempotency_key(), what, time.time()))


@contextmanager
def watched() -> Iterator[list[Sighting]]:
    """Everything that is performed inside, in order."""
    seen: list[Sighting] = []
    token = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(token)
