"""One run while it is driven in this process: its seats, its state and its journal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass

from autogen_agentchat.messages import MessageFactory, TextMessage
from pydantic import BaseModel

from moot.agents.executor import lacks_sandbox
from moot.agents.seat import Seat, Workplace
from moot.chats.attempt import LimitHit
from moot.chats.errors import Fenced, StoreError, UserError
from moot.chats.event_types import (
    BudgetWarning,
    MessageSaid,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    SpeakerSelected,
    Warned,
)
from moot.chats.hearing import Hearing
from moot.chats.journal import Journal
from moot.chats.open_turn import Gained
from moot.chats.result import ResultSpec, result_of
from moot.chats.speakers import Choice, SpeakerPolicy, is_seated
from moot.chats.state import State
from moot.chats.turn import TurnFailure, TurnTaker, Waits
from moot.termination.outcome import Outcome, Stop
from moot.termination.rules import Rule
from moot.termination.transcript import Transcript

ATTEMPTS = 2
"""How often a turn is tried in a row before the run fails."""
Unfinished = LimitHit | TurnFailure | Waits
"""How a turn may end without ending its parallel neighbours."""
MOOT = "moot"
"""The source of what the runtime itself tells participants."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a run goes on and ends: the part of a chat that the loop asks."""

    speakers: SpeakerPolicy
    stop: Rule | None
    result: ResultSpec | None
    strict: bool = False
    """Whether a turn fails whose participant asks for something else than before an interruption."""


class Table:
    """Everything the loop needs of one claimed run. `open` takes it, `close` gives it back."""

    def __init__(
        self, journal: Journal, state: State, seats: Mapping[str, Seat], rules: Rules, *, before: int = 0
    ) -> None:
        self.store, self.journal, self.state, self.seats = journal.store, journal, state, seats
        self.hearing = Hearing(self.store, state, self.record, before=before)
        self._rules = rules
        self._taker = TurnTaker(journal, state, self.store.blobs, strict=rules.strict)
        self._owner = ""
        self._lease: asyncio.Task[None] | None = None
        self._closed = False
        """Whether the step was closed before all its turns were over, because the run ends."""
        self._tolerated = state.turns
        """Turns before this drive: what they lacked ended an earlier one, and must not end this one again."""
        self.cause = ""
        self._waiting: tuple[str, ...] = ()
        """The requests that turns of this step wait for."""

    async def open(self, owner: str, gained: list[Gained]) -> None:
        """Rebuild what the participants knew, open their workplaces, and say that the run is driven.

        Raises UserError for an agent that another run holds, StoreError.
        """
        self._owner = owner
        for seat in self.seats.values():
            if not seat.take():
                raise UserError(f"{seat.name!r} is an agent that another run holds: give each run an agent of its own")
        for past in gained:
            seat = self.seats[past.participant]
            await seat.restore(past.contexts, past.inbox, past.results)
            if past.state is not None:
                seat.restore_state(past.results[past.state])
        places = [(s.works, await self._workplace(s.name)) for s in self.seats.values() if s.works is not None]
        started = self.state.status != "created"
        self.record(RunResumed(owner=owner) if started else RunStarted(owner=owner))
        for turn in self.state.open.values():
            if turn.running:
                text = (
                    f"turn {turn.number} of {turn.participant} was under way when its process ended; it is taken again"
                )
                self.record(Warned(text=text, facts={"turn": turn.number}))
        await self.journal.flush()
        for works, place in places:
            works.open(place)
        self._lease = asyncio.get_running_loop().create_task(self._renew())

    async def _workplace(self, name: str) -> Workplace:
        """Input files, and whatever earlier blocks left, by content."""
        cut_off = self.state.ran_in_open_turn(name)
        made = [*self.state.files.get(name, {}).values(), *(f for block in cut_off for f in block.files)]
        files = {f.name: f.sha256 for f in (*self.state.created.inputs.get(name, ()), *made)}
        content = {n: await self.store.blobs.get(digest) for n, digest in files.items()}
        told = (run for turn in self.state.transcript.history if turn.participant == name for run in turn.code_runs)
        skipped = [*(block.skipped for block in cut_off), *(run.skipped for run in told)]
        return Workplace(self.state.run, content, resumed=None in skipped)

    async def ended(self) -> Stop | None:
        """A goal wins over a limit that holds at the same step. What others asked of the run is taken in first."""
        if self.hearing.knocked or self._waiting:
            await self.hearing.take()
        stop = self._goal() or self._no_sandbox() or self.hearing.stop()
        return stop or self.state.ledger.reached(self.state.transcript)

    async def left(self) -> bool:
        """Whether the run is left here, to be resumed: somebody asked for it, or a person has to decide first."""
        if self.hearing.pausing:
            await self.pause(self.hearing.pausing)
            return True
        undecided = self._waiting
        if undecided and not any(name in self.state.requests.decided for name in undecided):
            await self.pause(f"waits for a person to decide {', '.join(undecided)}", undecided)
            return True
        self._waiting = ()
        return False

    def _goal(self) -> Stop | None:
        rule = self._rules.stop
        return rule.ask(self.state.transcript, self.state.ledger) if rule is not None else None

    def _no_sandbox(self) -> Stop | None:
        for turn in self.state.transcript.step:
            why = turn.code_runs[-1].skipped if turn.code_runs else None
            if why is not None and lacks_sandbox(why) and turn.number > self._tolerated:
                self.cause = "sandbox"
                return Stop("sandbox", why, Outcome.FAILED, turn.number)
        return None

    async def choose(self) -> Stop | None:
        """Ask the policy who speaks next and record the whole answer; a `Stop` when nobody can."""
        said = self.state.transcript
        choice, seconds = await self._chosen(said)
        if isinstance(choice, Stop):
            return choice
        if choice is None:
            return None
        if not choice.names or len(set(choice.names).intersection(said.participants)) < len(choice.names):
            chose = ", ".join(choice.names) or "nobody"
            raise UserError(
                f"{choice.policy} chose {chose}: it must name different participants of {', '.join(said.participants)}"
            )
        if len(choice.names) > 1 and (stop := self.state.ledger.reached(said, len(choice.names))):
            return stop
        self._tell(choice)
        self.record(
            SpeakerSelected(
                policy=choice.policy, candidates=choice.candidates, chosen=choice.names, reason=choice.reason,
                step=self.state.steps + 1, attempts=choice.attempts, fallback=choice.fallback,
                seconds=seconds,
            ),
            said.turns + 1,
        )  # fmt: skip
        return None

    async def _chosen(self, said: Transcript) -> tuple[Choice | Stop | None, float]:
        """The policy's answer, and what it took; None while it waits for a person."""
        policy = self._rules.speakers
        if not is_seated(policy):
            return await policy.choose(said, said.participants), 0.0
        try:
            return await self._taker.choose(policy, said)
        except LimitHit as hit:
            return hit.stop, 0.0
        except Waits as waits:
            self._waiting = waits.requests
        except TurnFailure as failure:
            self.cause = failure.cause
            return Stop("select.failed", f"{failure}", Outcome.FAILED, self.state.turns), 0.0
        return None, 0.0

    def _tell(self, choice: Choice) -> None:
        """What only the chosen hear: the policy's note, and how much of the budget is left."""
        notes = [choice.note] if choice.note else []
        for limit, spent in self.state.ledger.nearly(self.state.transcript).items():
            self.record(BudgetWarning(limit=limit, spent=spent))
            notes.append(f"Budget: {spent} are spent. Wrap up.")
        for note in notes:
            self.record(MessageSaid(message=TextMessage(content=note, source=MOOT), to=choice.names))

    async def take_turns(self) -> Stop | None:
        """Every open turn of the step, in parallel where there are several; a `Stop` when the run cannot go on."""
        turns = list(self.state.open.values())
        if not turns:  # whoever picks the speaker waits for a person
            return None
        failures = await _together([self._taker.take(self.seats[t.participant], t) for t in turns])
        for failure in failures:
            if isinstance(failure, LimitHit):
                await self._close_step()  # what the others said in this step counts
                return self._goal() or failure.stop
        self._waiting = tuple(name for failure in failures if isinstance(failure, Waits) for name in failure.requests)
        for turn, failure in zip(turns, failures, strict=True):
            if isinstance(failure, TurnFailure) and (failure.final or turn.failures >= ATTEMPTS):
                self.cause = failure.cause
                how = f"{ATTEMPTS} times in a row: " if turn.failures >= ATTEMPTS else ""
                return Stop("turn.failed", f"{how}{failure}", Outcome.FAILED, self.state.turns)
        return None

    async def finish(self, stop: Stop) -> None:
        """The last event of the run, after what was asked of it until now."""
        state = self.state
        await self._close_step()
        done = RunFinished(
            outcome=stop.outcome, rule=stop.rule, reason=stop.reason, turn=state.turns, cause=self.cause,
            result=result_of(state.transcript, self._rules.result, stop.outcome), artifacts=tuple(state.made()),
            turns=state.turns, usage=state.usage(), digest=state.digest,
        )  # fmt: skip
        self.record(done)
        await self.journal.flush("finished")

    async def _close_step(self) -> None:
        """Only what is journalled before may be said before: a fold closes the step at the run's last event."""
        if not self._closed:
            await self.hearing.take()
            self.state.close_step()
            self._closed = True

    async def pause(self, reason: str, waiting: tuple[str, ...] = ()) -> None:
        """Leave the run where it can be resumed; `waiting` are the requests that have to be decided first."""
        self.record(RunPaused(reason=reason, waiting=waiting))
        await self.journal.flush("waiting" if waiting else "paused")

    async def leave(self, reason: str) -> None:
        """Pause, unless the run's last word is already on its way to the disk, or somebody asked for its end."""
        if self.state.status != "running":
            await self.journal.flush()
            return
        await self.hearing.take()
        stop = self.hearing.stop()
        await (self.pause(self.hearing.pausing or reason) if stop is None else self.finish(stop))

    async def reclaimed(self) -> bool:
        """Whether a decision came just when the run was left to wait, and it is driven on here after all."""
        if self.state.status != "waiting" or self.hearing.pausing:
            return False
        if not await self.store.posted(self.state.run, self.state.commands):
            return False
        try:
            claim = await self.store.claim(self.state.run, self._owner)
        except Fenced:  # whoever decided drives it already
            return False
        if claim.head != self.state.head:
            await self.store.release(claim)
            return False
        self.journal.claim, self.hearing.knocked = claim, True
        self.record(RunResumed(owner=self._owner))
        return True

    async def close(self) -> None:
        """Give back workplaces and the lease. What cannot be given back does not hide why the run ended."""
        if self._lease is not None:
            self._lease.cancel()
            await asyncio.wait({self._lease})
        policy = self._rules.speakers
        closing = [policy.close()] if is_seated(policy) else []
        await asyncio.gather(*(seat.shut() for seat in self.seats.values()), *closing, return_exceptions=True)
        with contextlib.suppress(StoreError):
            await self.store.release(self.journal.claim)
        self.journal.close()

    def record(self, data: BaseModel, turn: int = 0) -> None:
        """One event that is nobody's turn."""
        self.state.apply(self.journal.stage(data, turn))

    async def _renew(self) -> None:
        """Hold the lease. A busy disk is no reason to give up; a lease that was lost is."""
        while True:
            await asyncio.sleep(self.store.lease_seconds / 3)
            try:
                await self.journal.renew()
            except Fenced:
                return
            except StoreError:
                continue


async def _together(taking: list[Coroutine[None, None, None]]) -> list[Unfinished | None]:
    """Take them side by side. What ends the run's drive ends all of them, and none is left running."""
    if len(taking) == 1:
        return [await _caught(taking[0])]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_caught(turn)) for turn in taking]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from several
    return [task.result() for task in tasks]


async def _caught(taking: Coroutine[None, None, None]) -> Unfinished | None:
    """Failures that are recorded and do not end a parallel neighbour's turn."""
    try:
        await taking
    except (LimitHit, TurnFailure, Waits) as failure:
        return failure
    return None


def factory(seats: Mapping[str, Seat]) -> MessageFactory:
    """One factory that knows every participant's message types."""
    known = MessageFactory()
    for seat in seats.values():
        known._message_types.update(seat.messages._message_types)
    return known
