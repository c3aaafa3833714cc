"""Functions of the user's own that are not async, and so run in threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def for_thread(function: Callable[P, T]) -> Callable[P, T]:
    """The function as a thread can run it. No future carries a StopIteration, as `next()` raises it: whoever awaited
    one would wait for ever.
    """

    def call(*args: P.args, **named: P.kwargs) -> T:
        try:
            return function(*args, **named)
        except StopIteration as error:
            raise RuntimeError("it raised StopIteration, as next() does where nothing is left") from error

    return call
