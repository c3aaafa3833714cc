"""What an agent needs from the conversation: to perform an effect once, and to say what it did.

An effect is what reaches outside the process: a model call, a block of code. Where an agent runs as part of a run,
`SCOPE` holds its place in the tree of calls and `effect` journals the intent, performs, and journals the result; a
later attempt of the same turn gets the recorded result instead. Outside a run `effect` is a plain call. The run's
side is implemented in `chats`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Generic, NamedTuple, Protocol, TypeVar

from moot.termination.ledger import Cost

T = TypeVar("T")


class Codec(NamedTuple, Generic[T]):
    """How a result is journalled: `dump` gives a JSON value or a pydantic model, `load` takes what JSON made of it."""

    dump: Callable[[T], object]
    load: Callable[[object], T]


class Effect(NamedTuple, Generic[T]):
    """What is about to reach outside. `digest` identifies the request: a recorded result is served to no other one."""

    kind: str
    digest: str
    codec: Codec[T]
    reserve: Cost
    """The worst case, held before the call is made."""
    spent: Callable[[T], Cost]
    """The truth, from the result."""
    announce: Callable[[str], None] | None = None
    """Called with the key once it is settled, before anything is performed or served."""


class Conversation(Protocol):
    """The run's side of one attempt at one turn."""

    @property
    def limited(self) -> bool:
        """Whether the run may spend only so many tokens or dollars."""
        ...

    async def once(self, key: str, effect: Effect[T], perform: Callable[[], Awaitable[T]]) -> T:
        """Perform unless a result is recorded. Does not return at all when a limit forbids it: the run ends there."""
        ...

    def note(self, type: str, data: Mapping[str, object]) -> None:
        """Journal something that happened in this turn, such as `code.finished`."""
        ...

    def draft(self, kind: str, text: str) -> None:
        """Show text as it comes (`token`, `stdout`, `stderr`); never stored."""
        ...

    async def keep(self, data: bytes) -> str:
        """Store content for good and give its sha256 digest in hex."""
        ...

    async def kept(self, digest: str) -> bytes:
        """The content that `keep` was given."""
        ...


class Scope:
    """A place in the tree of calls; numbers its effects per kind, so that parallel branches share no counter."""

    __slots__ = ("_seen", "branch", "conversation", "path")

    def __init__(self, conversation: Conversation, path: str = "") -> None:
        self.conversation, self.path = conversation, path
        self.branch = ""
        """Grows by `~` when a request differs from the recorded one: nothing recorded before is served after it."""
        self._seen: dict[str, int] = {}

    def key(self, kind: str) -> str:
        """The key of the next effect of this kind, such as `model/0`."""
        count = self._seen.get(kind, 0)
        self._seen[kind] = count + 1
        return f"{self.path}{self.branch}{kind}/{count}"


SCOPE: ContextVar[Scope | None] = ContextVar("moot_scope", default=None)


async def effect(request: Effect[T], perform: Callable[[], Awaitable[T]]) -> T:
    """Perform once per turn, wherever this is called from. Outside a run it is a plain call."""
    here = SCOPE.get()
    if here is None:
        return await perform()
    return await here.conversation.once(here.key(request.kind), request, perform)
