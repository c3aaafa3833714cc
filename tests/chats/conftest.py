"""Stores and owners that the tests of this room share."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moot.chats.memory_store import MemoryStore
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Store

_OWNER = "from moot.chats.owner import new_owner; print(new_owner(), flush=True); input()"


@contextmanager
def another_process() -> Iterator[str]:
    """A process that lives as long as the block; its name as an owner."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield child.stdout.readline().strip()
        child.stdin.write("\n")


@pytest.fixture
def living_owner() -> Iterator[str]:
    """Another process of this machine that lives during the test."""
    with another_process() as owner:
        yield owner


class Mortal:
    """A process that the test may end at any moment; its name as an owner."""

    def __init__(self, child: "subprocess.Popen[str]", owner: str) -> None:
        self._child, self.owner = child, owner

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    """Another process of this machine that lives until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        yield Mortal(child, child.stdout.readline().strip())
        child.kill()


@pytest.fixture(scope="session")
def dead_owner() -> str:
    """Another process of this machine that has ended."""
    with another_process() as owner:
        pass
    return owner


class Clock:
    """The time on the wall, which somebody may set."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    """By which the stores of this test go."""
    return Clock()


@pytest.fixture
async def sqlite(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteStore]:
    """A store in a file."""
    store = SqliteStore(tmp_path / "moot.db", "OFF", clock=clock)
    yield store
    await store.close()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    """Each store there is."""
    if request.param == "memory":
        return MemoryStore(clock=clock)
    found: SqliteStore = request.getfixturevalue("sqlite")
    return found
