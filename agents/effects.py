"""What an agent needs from the conversation: to perform an effect once, to ask a person, and to say what it did.

An effect is what reaches outside the process: a model call, a block of code, a tool call. Where an agent runs as part
of a run, `SCOPE` holds its place in the tree of calls and `effect` journals the intent, performs, and journals the
result; a later attempt of the same turn gets the recorded result instead. Outside a run `effect` is a plain call. The
run's side is implemented in `chats`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from typing import Generic, Literal, NamedTuple, NoReturn, Protocol, TypeVar

from moot.agents.questions import Decision, Question
from moot.termination.ledger import Cost

T = TypeVar("T")
Doubt = Literal["retry", "park"]
"""What becomes of an effect whose process died under way: it is made again, or a person is asked."""
_PLAIN_IDENT = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""A call's own id that stands in a key as it is: nothing of what keys are made of (`/`, `#`, `?`, `~`) is in it, and
nothing that cannot be written down.
"""


class Happened(NamedTuple, Generic[T]):
    """What a lookup found out: it had been performed, and this came of it."""

    result: T


Lookup = Callable[[str], Awaitable["Happened[T] | Doubt"]]
"""Asks the other side, by the effect's name in the whole store, what became of it. Raising counts as `park`: a person
is asked where the effect says what it makes of their answer (`answered`), and it is made again where it does not.
"""


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
    ident: str = ""
    """The call's own id, where it has one: part of the key, so that the order of parallel calls does not matter."""
    doubt: Doubt | Lookup[T] = "retry"
    answered: Callable[[Decision], T] | None = None
    """What a person's answer makes of an effect that is parked, unless they want it made again."""
    about: Mapping[str, object] | None = None
    """What a person is shown then: the tool and its arguments."""


class Conversation(Protocol):
    """The run's side of one attempt at one turn."""

    @property
    def limited(self) -> bool:
        """Whether the run may spend only so many tokens or dollars."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the attempt is over: whatever an agent left running is not heard any more."""
        ...

    async def once(self, key: str, effect: Effect[T], perform: Callable[[], Awaitable[T]]) -> T:
        """Perform unless a result is recorded. Does not return at all when a limit forbids it: the run ends there."""
        ...

    async def ask(self, key: str, question: Question) -> Decision:
        """A person's decision about exactly this. Returns only where it is recorded; else the attempt ends here as
        soon as nothing else of it is under way, and the run waits.
        """
        ...

    def approved(self, kind: str) -> bool:
        """Whether in an earlier turn of this participant a person approved, as it was, something of that kind. Known
        from the journal: the same in every attempt and every process.
        """
        ...

    async def fail(self, error: BaseException) -> NoReturn:
        """End the attempt here. An exception could be swallowed by the agent's own code: the driver is told instead."""
        ...

    def own(self, task: asyncio.Task[object]) -> None:
        """End that task with the attempt: what an agent started does not end with its turn."""
        ...

    def busy(self) -> AbstractContextManager[None]:
        """Around whatever is awaited without being an effect: the turn is not quiet meanwhile."""
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

    def key(self, kind: str, ident: str = "") -> str:
        """The key of the next effect of this kind, such as `model/0`; of a call with an id `tool/call_7`, and
        `tool/call_7#1` where that id comes again. A digest stands for an id that is long or no plain word.
        """
        if not ident:
            count = self._seen.get(kind, 0)
            self._seen[kind] = count + 1
            return f"{self.path}{self.branch}{kind}/{count}"
        named = f"{kind}/{ident if _PLAIN_IDENT.fullmatch(ident) else _short(ident)}"
        count = self._seen.get(named, 0)
        self._seen[named] = count + 1
        return f"{self.path}{self.branch}{named}" + (f"#{count}" if count else "")

    def within(self, kind: str, ident: str = "") -> Scope:
        """A scope of its own for what is called from here, such as an agent that is a tool."""
        return Scope(self.conversation, f"{self.key(kind, ident)}/")


SCOPE: ContextVar[Scope | None] = ContextVar("moot_scope", default=None)
NAME: ContextVar[str] = ContextVar("moot_effect_name", default="")


def idempotency_key() -> str:
    """The name of the effect that is being performed, the same however often it is made again: what a tool gives to a
    service that refuses to do a thing twice. Empty outside a run.
    """
    return NAME.get()


@contextmanager
def entered(scope: Scope) -> Iterator[None]:
    """Whatever is performed inside belongs to that scope."""
    token = SCOPE.set(scope)
    try:
        yield
    finally:
        SCOPE.reset(token)


async def effect(request: Effect[T], perform: Callable[[], Awaitable[T]]) -> T:
    """Perform once per turn, wherever this is called from. Outside a run it is a plain call."""
    here = SCOPE.get()
    if here is None:
        return await perform()
    return await here.conversation.once(here.key(request.kind, request.ident), request, perform)


async def ask(question: Question, ident: str = "") -> Decision:
    """Ask a person; see `Conversation.ask`. Raises RuntimeError outside a run, where nobody could be asked later."""
    here = SCOPE.get()
    if here is None:
        raise RuntimeError("a question to a person needs a run: give this agent to a moot.Chat")
    return await here.conversation.ask(here.key(f"ask-{question.kind}", ident), question)


def _short(ident: str) -> str:
    return blake2b(ident.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
