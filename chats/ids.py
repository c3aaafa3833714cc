"""Ids of runs: ordered by time, and short enough to type the beginning of."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letters that look like others, and in the order of their codes."""
_TIME, _RANDOM = 9, 9
SHOWN = _TIME + 2
"""The shortest beginning that is ever shown: the millisecond and two characters more, so that what was printed stays
the beginning of one run alone, however many are started right after it."""


def new_run() -> str:
    """18 characters: the milliseconds since the epoch, then 45 random bits."""
    return _encoded(int(time.time() * 1000), _TIME) + _encoded(secrets.randbits(5 * _RANDOM), _RANDOM)


def short(run: str, others: Sequence[str]) -> str:
    """The shortest beginning of `run` that no other id shares."""
    length = SHOWN
    while length < len(run) and any(o != run and o.startswith(run[:length]) for o in others):
        length += 1
    return run[:length]


def _encoded(number: int, length: int) -> str:
    out = ""
    for _ in range(length):
        number, rest = divmod(number, 32)
        out = _LETTERS[rest] + out
    return out
