"""What keeps journals. State is a fold of the events; a store keeps nothing else, but for content too large for a
row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from moot.chats.events import Event

LEASE_SECONDS = 30.0
"""How long a claim holds without being renewed. A dead process on the same machine is noticed at once."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to append to a run: refused as soon as somebody else claims it."""

    run: str
    epoch: int
    head: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in a list. `status` as recorded; `driven` says whether a living process holds it. What a fork took over
    from its `parent` counts among its turns, and not among what it spent.
    """

    run: str
    chat: str
    status: str
    outcome: str | None
    turns: int
    started: float
    input_tokens: int
    output_tokens: int
    usd: float | None
    driven: bool
    parent: str = ""
    """The run that this one was forked from, or empty."""


class Posted(NamedTuple):
    """A command for whoever drives the run: its number in the run (dense, from 1), when it was posted, and its JSON."""

    number: int
    ts: float
    command: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The rolling digest of a run's rows (`chats/chain.py`), in hex; empty before the first row. Where the two differ,
    the journal was changed after it was written.
    """

    recorded: str
    """As it was kept beside the rows while they were written."""
    found: str
    """As the rows give it now."""


class Blobs(Protocol):
    """Content by its sha256 digest in hex; what was put stays."""

    async def put(self, data: bytes) -> str:
        """Durable when this returns. Raises StoreError."""
        ...

    async def get(self, digest: str) -> bytes:
        """Raises StoreError when it is missing or damaged."""
        ...


class Store(Protocol):
    """Journals of many runs. Every method raises StoreError when the store cannot be read or written."""

    @property
    def blobs(self) -> Blobs:
        """What is too large for a row."""
        ...

    @property
    def lease_seconds(self) -> float:
        """How long a claim holds without being renewed."""
        ...

    async def create(self, run: str, chat: str, *, parent: str = "", base: int = 0) -> None:
        """A new run with an empty journal. A fork names its `parent`, and the last event it copies from there (`base`):
        what was spent up to it was spent by another run.
        """
        ...

    async def claim(self, run: str, owner: str) -> Claim:
        """Take the run over. Raises `Fenced` while a living process holds it, UserError for an unknown run."""
        ...

    def append(
        self, claim: Claim, expected_head: int, events: Sequence[Event], status: str | None = None
    ) -> Awaitable[None]:
        """All or nothing, durable when it returns. A `status` (`paused`, `waiting`, `finished`) also gives the claim
        back. Raises `Fenced`.
        """
        ...

    async def renew(self, claim: Claim) -> None:
        """Hold the claim for another lease. Raises `Fenced`."""
        ...

    async def release(self, claim: Claim) -> None:
        """Give the claim back and leave the status as it is; nothing happens where somebody else has it by now."""
        ...

    async def load(self, run: str, after: int = 0, *, types: Collection[str] = ()) -> list[Event]:
        """The events with a higher `seq`, in order; only those of these types, if any are named."""
        ...

    async def chain(self, run: str) -> Chain:
        """What was recorded of the run's rows, and what they are now. Raises UserError for an unknown run."""
        ...

    async def post(self, run: str, command: str) -> int:
        """Leave a command for the run, from whatever process, driven or not; its number. Durable when it returns.
        It stays as it is as long as the run. Raises UserError for an unknown run.
        """
        ...

    async def posted(self, run: str, after: int = 0) -> list[Posted]:
        """The commands with a higher number, in order."""
        ...

    async def knock(self, run: str, after: int = 0) -> None:
        """Return as soon as there is a command with a higher number, whoever posted it."""
        ...

    def watch(self, run: str, after: int = 0) -> AsyncIterator[Event]:
        """Every event with a higher `seq`, once and in order, each after it was committed, from whatever process. Ends
        after the run's last word, or once no living process drives the run and everything was given.
        """
        ...

    async def row(self, run: str) -> RunRow:
        """One run. Raises UserError for an unknown one."""
        ...

    async def runs(self) -> list[RunRow]:
        """Every run that has an event, newest first."""
        ...

    async def remove(self, run: str) -> int:
        """Forget the run: its journal, its commands, its entries in the search index, and content that no run names any
        more, unless it was put lately (a run that is under way may be about to name it). How many bytes that was.
        Raises `Fenced` while a living process drives the run, UserError for an unknown one.
        """
        ...

    async def names(self, prefix: str = "") -> list[str]:
        """The ids of the runs that have an event and begin like this."""
        ...

    async def close(self) -> None:
        """Give back files and threads."""
        ...
