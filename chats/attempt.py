"""One attempt at one turn: the run's side of what its participant does, each effect at most once.

intent committed (budget reserved) -> perform -> result staged (settled) -> committed with whatever follows at once

What must not come back as an exception (an agent's own code would swallow it) does not come back at all: the driver is
told, and ends the attempt. So it is with limits, a lost claim, and a question to a person.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import NoReturn, TypeVar

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, ModelClientStreamingChunkEvent
from pydantic import BaseModel

from moot.agents.effects import NAME, SCOPE, Doubt, Effect, Happened, Lookup
from moot.agents.errors import ModelFault
from moot.agents.questions import Decision, Question, Verdict
from moot.chats.event_types import (
    FREE,
    TYPES,
    EffectCompleted,
    EffectFailed,
    EffectIntended,
    EffectUnknown,
    Inner,
    RequestAsked,
    RequestExpired,
    Spent,
    Warned,
)
from moot.chats.events import Draft
from moot.chats.journal import Journal
from moot.chats.open_turn import OpenTurn, Recorded
from moot.chats.state import State
from moot.chats.store import Blobs
from moot.chats.underway import UnderWay
from moot.termination.ledger import NOTHING, Cost
from moot.termination.outcome import Stop

T = TypeVar("T")
VERDICTS: tuple[Verdict, ...] = ("approve", "respond", "reject")


class LimitHit(Exception):
    """An effect did not fit what the run may still spend; it was not performed."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.reason)
        self.stop = stop


class Diverged(Exception):
    """Where a run is strict: a participant asked for something else than before the interruption."""


class Attempt:
    """Implements `agents.effects.Conversation`. Everything it records is applied to the state at once."""

    def __init__(self, journal: Journal, state: State, turn: OpenTurn, blobs: Blobs, *, strict: bool = False) -> None:
        self._journal, self._state, self.turn, self._blobs, self._strict = journal, state, turn, blobs, strict
        self.number = turn.attempts
        self._begun = time.monotonic()
        self.results: dict[int, str] = {}
        """Of each result, and of a model's words: its `id` to its key, so that later events can refer to it."""
        self._kept: list[object] = []
        self.cause = ""
        self.under_way = UnderWay()
        journal.on_failure.add(self.under_way.broken)

    @property
    def closed(self) -> bool:
        """Whether the attempt is over."""
        return self.under_way.closed

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
        if self.under_way.closed:
            raise _over()
        old = self.turn.recorded.get(key)
        if old is not None and old.digest != effect.digest:
            key, old = await self._diverged(key, effect.digest)
        if effect.announce is not None:
            effect.announce(key)
        if old is not None and old.state == "completed":
            return self._known(key, effect.codec.load(old.result))
        if old is not None or "~" in key:
            found = await self._earlier(key, effect, old)
            if found is not None:
                return self._known(key, found.result)
        if stop := self._state.ledger.refuse(effect.reserve, self.turn.number):
            await self.under_way.refuse(LimitHit(stop), inside=bool(NAME.get()))
        return await self._perform(key, effect, perform)

    async def _perform(self, key: str, effect: Effect[T], perform: Callable[[], Awaitable[T]]) -> T:
        reserved = _spent(effect.reserve)
        self._record(EffectIntended(key=key, kind=effect.kind, digest=effect.digest, reserved=reserved), key)
        task = self.under_way.begin()
        name = NAME.set(self._name(key))
        performed = False
        try:
            await self._commit()
            result = await perform()
            performed = True
            spent = _spent(effect.spent(result))
            done = EffectCompleted(key=key, result=effect.codec.dump(result), spent=spent)
        except asyncio.CancelledError:
            raise  # cut off under way: it stays in doubt
        except Exception as error:
            self._raised(key, effect, error, performed=performed)
            raise
        finally:
            NAME.reset(name)
            self.under_way.end(task)
        self._record(done, key)
        self._journal.soon()
        return self._known(key, result)

    def _raised(self, key: str, effect: Effect[T], error: Exception, *, performed: bool) -> None:
        """An effect that must not be made twice may have been performed, whatever it raised: it stays in doubt."""
        self.cause = self.cause or ("model" if effect.kind == "model" else "")
        text = f"{type(error).__name__}: {error}"
        performed = performed or (isinstance(error, ModelFault) and error.billed)
        if effect.doubt == "retry":
            self._record(EffectFailed(key=key, error=text, performed=performed), key)
        else:
            self._record(EffectUnknown(key=key, then="raised", error=text), key)

    async def _earlier(self, key: str, effect: Effect[T], old: Recorded | None) -> Happened[T] | None:
        """What came of an effect that was begun before, where that is known; None: it is to be performed."""
        if effect.doubt != "retry" and "~" in key and self._made_elsewhere(key, effect.digest):
            effect = effect._replace(doubt="park")  # the other side knows it by the other name, if at all
            if old is None:
                self._record(EffectIntended(key=key, kind=effect.kind, digest=effect.digest), key)
                old = self.turn.recorded[key]
        if old is None or old.state not in ("intended", "doubtful"):
            return None
        return await self._doubted(key, effect, old)

    async def _doubted(self, key: str, effect: Effect[T], old: Recorded) -> Happened[T] | None:
        """What is known of an effect that was begun and has no result; None: it is to be made again."""
        asks = f"{key}?{old.tries}"
        decision = self._decision(asks)
        if decision is None:
            given = effect.doubt
            doubt = await self._looked_up(key, given) if callable(given) else given
            if isinstance(doubt, Happened):
                self._record(EffectUnknown(key=key, then="found"), key)
                self._expire(asks, "its end was found out")
                return self._settled(key, effect, doubt)
            if effect.answered is None:  # nobody could say anything that would help
                doubt = "retry"
            if old.state == "intended":
                self._record(EffectUnknown(key=key, then=doubt), key)
            if doubt == "park":
                facts = {**(effect.about or {}), "effect": effect.kind, "key": key, "name": self._name(key)}
                decision = await self.ask(asks, Question("doubt", effect.digest, facts, VERDICTS))
        if decision is not None and effect.answered is not None and decision.decision != "approve":
            return self._settled(key, effect, Happened(effect.answered(decision)))
        text = f"{self.turn.participant}: {effect.kind} {key} was cut off under way; it is made again"
        self._record(Warned(text=text, facts={"key": key, "kind": effect.kind}), key)
        return None

    def _made_elsewhere(self, key: str, digest: str) -> bool:
        """Whether the same was begun before this turn took another way: perhaps it must not be made once more."""
        began, others = ("intended", "completed", "doubtful"), self.turn.recorded.items()
        return any(name != key and old.digest == digest and old.state in began for name, old in others)

    def _decision(self, key: str) -> Decision | None:
        """What a person has decided there. It holds, whatever else could be found out by now."""
        asked = self.turn.recorded.get(key)
        return asked.result if asked is not None and isinstance(asked.result, Decision) else None

    async def _looked_up(self, key: str, lookup: Lookup[T]) -> Happened[T] | Doubt:
        with self.busy():
            try:
                return await lookup(self._name(key))
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the other side could not say: then nobody knows
                text = f"{self.turn.participant}: what became of {key} could not be looked up: {error}"
                self._record(Warned(text=text, facts={"key": key}), key)
                return "park"

    def _settled(self, key: str, effect: Effect[T], found: Happened[T]) -> Happened[T]:
        spent = _spent(effect.spent(found.result))
        self._record(EffectCompleted(key=key, result=effect.codec.dump(found.result), spent=spent), key)
        self._journal.soon()
        return found

    async def ask(self, key: str, question: Question) -> Decision:
        """A person's decision about exactly this; where there is none yet, the attempt ends here."""
        if self.under_way.closed:
            raise _over()
        if inside := NAME.get():  # it could never become quiet: the effect would be under way all the time
            raise RuntimeError(f"a person cannot be asked in the middle of {inside}: ask before it, or after")
        old = self.turn.recorded.get(key)
        if old is not None and old.digest != question.digest:
            key, old = await self._diverged(key, question.digest)
        if old is not None and isinstance(old.result, Decision):
            return old.result
        if old is None:
            self._record(
                RequestAsked(
                    id=f"q{self._state.requests.asked + 1}", key=key, kind=question.kind, digest=question.digest,
                    payload=dict(question.payload), ask=question.ask, allow=question.allow,
                ),
                key,
            )  # fmt: skip
            with self.busy():
                await self._commit()
        await self.under_way.wait_for(key)
        raise AssertionError("unreachable")

    def approved(self, kind: str) -> bool:
        """Whether something of that kind was approved as it was in an earlier turn of this participant."""
        return self._state.requests.let(self.turn.participant, kind, before=self.turn.number)

    def own(self, task: asyncio.Task[object]) -> None:
        """End that task with the attempt."""
        self.under_way.own(task)

    def busy(self) -> AbstractContextManager[None]:
        """The turn is not quiet meanwhile."""
        return self.under_way.busy()

    @property
    def asked(self) -> tuple[str, ...]:
        """The ids of the requests that are waited for."""
        return tuple(r.id for r in self._state.requests.open.values() if r.key in self.under_way.waiting)

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
        await self.under_way.fail(error)
        raise AssertionError("unreachable")

    def close(self) -> set[asyncio.Task[object]]:
        """Nothing more is heard of it. The tasks that have yet to leave."""
        self._journal.on_failure.discard(self.under_way.broken)
        return self.under_way.close()

    async def _commit(self) -> None:
        try:
            await self._journal.flush()
            await self._journal.hold()  # a process that was frozen meanwhile must not go on performing
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the driver is told
            await self.fail(error)

    def _known(self, key: str, result: T) -> T:
        content = getattr(result, "content", None)
        self.results[id(result)] = self.results[id(content)] = key
        self._kept += (result, content)  # kept alive: an id must stay its owner's
        return result

    async def _diverged(self, key: str, digest: str) -> tuple[str, Recorded | None]:
        """The key under which this request may look for a result: another request's result is never served."""
        while (old := self.turn.recorded.get(key)) is not None and old.digest != digest:
            text = f"{self.turn.participant} asked for something else than before the interruption ({key}); made anew"
            if self._strict:
                await self.fail(Diverged(text.removesuffix("; made anew")))
            self._record(Warned(text=text, facts={"key": key, "recorded": old.digest, "now": digest}), key)
            self._give_up(key, old)
            here = SCOPE.get()
            if here is None:
                raise RuntimeError("an effect outside a turn has no key")
            here.branch += "~"
            key = f"{here.path}~{key.removeprefix(here.path)}"
        return key, old

    def _give_up(self, key: str, old: Recorded) -> None:
        """Nobody will ask for it again."""
        if old.state == "intended":
            self._record(EffectUnknown(key=key, then="given up"), key)
        self._expire(key, "something else was asked for instead")

    def _expire(self, key: str, reason: str) -> None:
        for request in [r for r in self._state.requests.open.values() if r.turn == self.turn.number and r.key == key]:
            self._record(RequestExpired(id=request.id, reason=reason), key)

    def _name(self, key: str) -> str:
        return f"{self._state.run}/{self.turn.number}/{key}"

    def _record(self, data: BaseModel, span: str) -> None:
        if self.under_way.closed:
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
