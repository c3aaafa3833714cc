"""One attempt at one participant's turn."""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

from autogen_agentchat.messages import BaseChatMessage
from autogen_core import CancellationToken

from moot.agents.effects import NAME, SCOPE, Scope
from moot.agents.errors import ModelFault, ModelRefused, TapeError
from moot.agents.seat import Seat
from moot.chats.attempt import Attempt, LimitHit
from moot.chats.errors import StoreError
from moot.chats.event_types import TurnAbandoned, TurnFailed, TurnFinished, TurnStarted
from moot.chats.journal import Journal
from moot.chats.open_turn import OpenTurn
from moot.chats.speakers import SELECT, Choice, SpeakerPolicy
from moot.chats.state import State
from moot.chats.store import Blobs
from moot.termination.outcome import Outcome, Stop
from moot.termination.transcript import Transcript

T = TypeVar("T")

LEAVE_SECONDS = 0.5
"""What a participant that is cut off gets to leave; one that will not is left behind."""
_STARTED = TurnStarted()


class TurnFailure(Exception):
    """The attempt failed and is recorded as `turn.failed`; `cause` says whose failure it was (`model`, or empty)."""

    def __init__(self, who: str, error: BaseException, cause: str) -> None:
        super().__init__(f"{who}: {_words(error)}")
        self.cause = cause
        self.final = isinstance(error, TapeError | ModelRefused)
        """Whether another attempt would fail in just the same way."""


class Waits(Exception):
    """The attempt ended because a person is to decide something first; `requests` are the ids."""

    def __init__(self, requests: tuple[str, ...]) -> None:
        super().__init__(f"waits for a person to decide {', '.join(requests)}")
        self.requests = requests


class TurnTaker:
    """Takes turns of one run: starts the participant, records what it does, undoes what a failed attempt left."""

    def __init__(self, journal: Journal, state: State, blobs: Blobs, *, strict: bool = False) -> None:
        self._journal, self._state, self._blobs, self._strict = journal, state, blobs, strict

    async def take(self, seat: Seat, turn: OpenTurn) -> None:
        """The turn is recorded when this returns. Raises TurnFailure, Waits, LimitHit, StoreError, CancelledError."""
        started = TurnStarted(seen=turn.seen) if turn.attempts else _STARTED
        self._state.apply(self._journal.stage(started, turn.number, turn.attempts + 1, turn.participant))
        attempt = Attempt(self._journal, self._state, turn, self._blobs, strict=self._strict)
        mark, token = seat.mark(), CancellationToken()
        task = asyncio.get_running_loop().create_task(self._speak(seat, attempt, token))
        try:
            reply = await self._outcome(task, attempt)
        except BaseException as error:
            await _cut_off(task, attempt, token)
            seat.rollback(mark)
            raise self._undone(turn, attempt, error) from error
        attempt.close()
        inbox = self._state.inbox[seat.name][: turn.seen]
        done = TurnFinished(
            reply=reply, contexts=seat.gained(mark, inbox, attempt.results), state=seat.state_key(attempt.results),
            seconds=attempt.seconds,
        )  # fmt: skip
        self._record(done, turn)
        self._journal.soon()  # no commit of its own: the next intent takes it along

    async def choose(self, policy: SpeakerPolicy, said: Transcript) -> tuple[Choice | Stop, float]:
        """What a policy answers that asks a model, and the seconds it took; its calls are recorded. Raises what `take`
        raises.
        """
        turn, token = self._state.choice(), CancellationToken()
        attempt = Attempt(self._journal, self._state, turn, self._blobs, strict=self._strict)

        async def asked() -> Choice | Stop:
            SCOPE.set(Scope(attempt, f"{SELECT}/"))  # the turn that follows has the same number
            NAME.set("")
            try:
                return await policy.choose(said, said.participants)
            finally:
                attempt.under_way.said()

        task = asyncio.get_running_loop().create_task(asked())
        try:
            choice = await self._outcome(task, attempt)
        except BaseException as error:
            await _cut_off(task, attempt, token)
            raise self._undone(turn, attempt, error) from error
        attempt.close()
        return choice, attempt.seconds

    async def _outcome(self, task: asyncio.Task[T], attempt: Attempt) -> T:
        """Wait until the participant is done, or cannot go on, or the run's time is over."""
        limit, used = self._state.ledger.limits.seconds, self._state.ledger.seconds
        alarm = None
        if limit is not None:
            alarm = asyncio.get_running_loop().call_later(max(0.0, limit - used), _time_over, attempt, limit)
        try:
            if not await attempt.under_way.spoke():
                raise Waits(attempt.asked)
        finally:
            if alarm is not None:
                alarm.cancel()
        if not task.done():  # it woke us as the last thing it did
            await asyncio.wait({task})
        if task.cancelled():
            raise RuntimeError(f"{attempt.turn.participant} cancelled its own turn")
        return task.result()

    async def _speak(self, seat: Seat, attempt: Attempt, token: CancellationToken) -> BaseChatMessage:
        SCOPE.set(Scope(attempt))  # a task has a context of its own
        NAME.set("")  # though a run may be driven from inside an effect of another
        inbox = self._state.inbox[seat.name][: attempt.turn.seen]
        try:
            return await seat.speak(inbox, token, attempt.heard)
        finally:
            attempt.under_way.said()

    def _undone(self, turn: OpenTurn, attempt: Attempt, error: BaseException) -> BaseException:
        """Record what ended the attempt; what the driver is to raise."""
        if isinstance(error, StoreError):
            return error  # the journal itself is out of reach
        if isinstance(error, LimitHit | Waits):
            self._record(TurnAbandoned(reason=str(error), seconds=attempt.seconds), turn)
            return error
        if not isinstance(error, Exception):
            reason = f"stopped in the middle of the {'choice' if turn.participant == SELECT else 'turn'}"
            self._record(TurnAbandoned(reason=reason, seconds=attempt.seconds), turn)
            return error
        failed = TurnFailed(error=_words(error), cause=attempt.cause, seconds=attempt.seconds)
        self._record(failed, turn)
        return TurnFailure(turn.participant, error, attempt.cause)

    def _record(self, data: TurnFinished | TurnFailed | TurnAbandoned, turn: OpenTurn) -> None:
        self._state.apply(self._journal.stage(data, turn.number, turn.attempts, turn.participant))


async def _cut_off(task: asyncio.Task[T], attempt: Attempt, token: CancellationToken) -> None:
    """End the participant's work before anything is undone: it must not go on changing what is rolled back.

    Each task is cancelled once: a second time would cut off what it does to clean up. So the token, which cancels what
    tasks wait for, comes after them.
    """
    if not task.done() and not task.cancelling():
        task.cancel()
    leaving: set[asyncio.Task[object]] = {task, *attempt.close()} - {asyncio.current_task()}
    _, working = await asyncio.wait(leaving, timeout=LEAVE_SECONDS)
    token.cancel()
    if working:
        _, working = await asyncio.wait(working, timeout=LEAVE_SECONDS / 5)
    if working:
        logging.getLogger("moot").warning(
            "%s ignores that its turn was stopped; it is left behind", attempt.turn.participant
        )


def _time_over(attempt: Attempt, limit: float) -> None:
    reason = f"{limit:g} seconds of work are over"
    attempt.under_way.broken(LimitHit(Stop("limits.seconds", reason, Outcome.LIMIT, attempt.turn.number)))


def _words(error: BaseException) -> str:
    """One line: the kind of error and what it says; what a model did wrong needs no kind."""
    kind = "" if isinstance(error, ModelFault) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split())[:500]
