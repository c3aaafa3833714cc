"""One attempt at one turn: the run's side of what its participant does, each effect at most once.

intent committed (budget reserved) -> perform -> result staged (settled) -> committed with whatever follows at once
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, TypeVar

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, ModelClientStreamingChunkEvent
from pydantic import BaseModel

from moot.agents.effects import SCOPE, Effect
from moot.chats.events import (
    FREE,
    TYPES,
    Draft,
    EffectCompleted,
    EffectFailed,
    EffectIntended,
    EffectUnknown,
    Inner,
    Spent,
    Warned,
)  # fmt: skip
from moot.chats.journal import Journal
from moot.chats.state import OpenTurn, State
from moot.chats.store import Blobs
from moot.termination.ledger import NOTHING, Cost
from moot.termination.outcome import Stop

T = TypeVar("T")


class LimitHit(Exception):
    """An effect did not fit what the run may still spend; it was not performed."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.reason)
        self.stop = stop


class Attempt:
    """Implements `agents.effects.Conversation`. Everything it records is applied to the state at once."""

    def __init__(self, journal: Journal, state: State, turn: OpenTurn, blobs: Blobs) -> None:
        self._journal, self._state, self.turn, self._blobs = journal, state, turn, blobs
        self.number = turn.attempts
        self._begun = time.monotonic()
        self.results: dict[int, str] = {}
        """Of each result, and of a model's words: its `id` to its key, so that later events can refer to it."""
        self._kept: list[object] = []
        self.cause = ""
        self.error: BaseException | None = None
        self.wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Resolved when the participant is done, or the attempt cannot go on."""
        self._blocked: list[asyncio.Future[NoReturn]] = []
        self._tasks: set[asyncio.Task[object]] = set()
        self._closed = False
        journal.on_failure.add(self._broken)

    @property
    def limited(self) -> bool:
        """Whether the run may spend only so many tokens or dollars."""
        limits = self._state.ledger.limits
        return limits.tokens is not None or limits.usd is not None

    @property
    def seconds(self) -> float:
        """Since the attempt began."""
        return round(time.monotonic() - self._begun, 6)

    async def once(self, key: str, effect: Effect[T], perform: Callable[[], Awaitable[T]]) -> T:
        """Perform unless a result is recorded."""
        if self._closed:
            raise _over()
        key = self._agreed(key, effect.digest)
        if effect.announce is not None:
            effect.announce(key)
        old = self.turn.recorded.get(key)
        if old is not None and old.state == "completed":
            return self._known(key, effect.codec.load(old.result))
        if old is not None and old.state == "intended":
            self._record(EffectUnknown(key=key, then="retry"), key)
            text = (
                f"{self.turn.participant}: {effect.kind} {key} was under way when its process ended; it is made again"
            )
            self._record(Warned(text=text, facts={"key": key, "kind": effect.kind}), key)
        if stop := self._state.ledger.refuse(effect.reserve, self.turn.number):
            await self.fail(LimitHit(stop))
        reserved = _spent(effect.reserve)
        self._record(EffectIntended(key=key, kind=effect.kind, digest=effect.digest, reserved=reserved), key)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            await self._commit()
            result = await perform()
            spent = _spent(effect.spent(result))
            self._record(EffectCompleted(key=key, result=effect.codec.dump(result), spent=spent), key)
            self._journal.soon()
            return self._known(key, result)
        except asyncio.CancelledError:
            raise  # cut off under way: it stays in doubt
        except Exception as error:
            self.cause = self.cause or ("model" if effect.kind == "model" else "")
            self._record(EffectFailed(key=key, error=f"{type(error).__name__}: {error}"), key)
            raise
        finally:
            if task is not None:
                self._tasks.discard(task)

    def note(self, type: str, data: Mapping[str, object]) -> None:
        """Journal something that happened in this turn."""
        self._record(TYPES[type].model_validate(dict(data)), str(data.get("key", "")))

    def heard(self, item: BaseAgentEvent | BaseChatMessage) -> None:
        """Something the participant did before its reply: text is shown as it comes, the rest is journalled."""
        if isinstance(item, ModelClientStreamingChunkEvent):
            self.draft("token", item.content)
        else:
            self._record(Inner(message=item), "")

    def draft(self, kind: str, text: str) -> None:
        """Show text as it comes."""
        self._journal.draft(Draft(self.turn.number, self.number, self.turn.participant, kind, text))

    async def keep(self, data: bytes) -> str:
        """Store content for good, before any event names it."""
        return await self._blobs.put(data)

    async def kept(self, digest: str) -> bytes:
        """The content that was stored."""
        return await self._blobs.get(digest)

    async def fail(self, error: BaseException) -> NoReturn:
        """End the attempt here. An exception could be swallowed by the agent's own code: tell the driver instead."""
        self._broken(error)
        stuck: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self._blocked.append(stuck)
        await stuck
        raise AssertionError("unreachable")

    def _broken(self, error: BaseException) -> None:
        self.error = self.error or error
        self.awaken()

    def awaken(self) -> None:
        """Tell the driver to look."""
        if not self.wake.done():
            self.wake.set_result(None)

    def close(self) -> None:
        """End every branch that is stuck or still running; tasks an agent made do not die with its turn."""
        self._closed = True
        self._journal.on_failure.discard(self._broken)
        for future in self._blocked:
            future.cancel()
        for task in self._tasks:
            task.cancel()

    async def _commit(self) -> None:
        try:
            await self._journal.flush()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver is told
            await self.fail(error)

    def _known(self, key: str, result: T) -> T:
        content = getattr(result, "content", None)
        self.results[id(result)] = self.results[id(content)] = key
        self._kept += (result, content)  # kept alive: an id must stay its owner's
        return result

    def _agreed(self, key: str, digest: str) -> str:
        """The key under which this request may look for a result: another request's result is never served."""
        while (old := self.turn.recorded.get(key)) is not None and old.digest != digest:
            text = f"{self.turn.participant} asked for something else than before the interruption ({key}); made anew"
            self._record(Warned(text=text, facts={"key": key, "recorded": old.digest, "now": digest}), key)
            if old.state == "intended":  # nobody will ask for it again: what was reserved for it is free
                self._record(EffectUnknown(key=key, then="given up"), key)
            here = SCOPE.get()
            if here is None:
                raise RuntimeError("an effect outside a turn has no key")
            here.branch += "~"
            key = f"{here.path}~{key.removeprefix(here.path)}"
        return key

    def _record(self, data: BaseModel, span: str) -> None:
        if self._closed:
            raise _over()
        turn = self.turn
        self._state.apply(self._journal.stage(data, turn.number, self.number, turn.participant, span=span))


def _over() -> asyncio.CancelledError:
    """For what an agent left running after its turn: it must not be heard."""
    return asyncio.CancelledError("the turn is over")


def _spent(cost: Cost) -> Spent:
    if cost is NOTHING:
        return FREE
    return Spent(
        input_tokens=cost.input_tokens, output_tokens=cost.output_tokens, usd=cost.usd, code_runs=cost.code_runs
    )
