"""Stores and owners that the tests of this room share."""

import subprocess
import sys
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


@pytest.fixture(scope="session")
def dead_owner() -> str:
    """Another process of this machine that has ended."""
    with another_process() as owner:
        pass
    return owner


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store in a file."""
    store = SqliteStore(tmp_path / "moot.db", "OFF")
    yield store
    await store.close()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each store there is."""
    if request.param == "memory":
        return MemoryStore()
    found: SqliteStore = request.getfixturevalue("sqlite")
    return found
