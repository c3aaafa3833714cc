"""How many processes share the tests, and which tests none of the others may run beside.

`scripts/test` shares them by files: what a file's tests have in common is made once, and they keep their order.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FEWEST, MOST = 2, 4
"""Tests wait for containers and processes more than they compute: one core is enough for two of them."""


@contextmanager
def together(place: Path, *, alone: bool) -> Iterator[None]:
    """Wait for a turn: tests go beside each other, and one that is to be `alone` beside none.

    Who waits to be alone holds the door, so that those who come later cannot keep it waiting for ever.
    """
    with (place / "door").open("a+") as door, (place / "room").open("a+") as room:
        fcntl.lockf(door, fcntl.LOCK_EX)
        fcntl.lockf(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.lockf(door, fcntl.LOCK_UN)
        yield  # closing the files gives the turn back


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    cache: pytest.Cache | None = getattr(item.config, "cache", None)  # missing with -p no:cacheprovider
    if "PYTEST_XDIST_WORKER" not in os.environ or cache is None:
        return (yield)
    with together(cache.mkdir("workers"), alone=item.get_closest_marker("alone") is not None):
        return (yield)


def files(names: list[str]) -> set[Path]:
    """The test files that pytest was told to run."""
    places = {Path(name.partition("::")[0]) for name in names}
    return {file for place in places for file in (place.rglob("test_*.py") if place.is_dir() else [place])}


def wanted(names: list[str], *, shown: bool) -> int:
    """How many processes: none for one file, or where the tests are `shown` as they print: they would only cost."""
    found = files(names)
    if len(found) < FEWEST or shown:
        return 0
    return min(len(found), max(FEWEST, min(MOST, len(os.sched_getaffinity(0)))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    return wanted(config.args, shown=config.getoption("capture") == "no")
