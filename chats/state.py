"""State = fold(events): everything a run knows about itself. Driving a run and reading one back apply the same
events.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory
from pydantic import BaseModel

from moot.agents.questions import Decision
from moot.agents.ran import RanBlock, StoredFile
from moot.chats.errors import StoreError
from moot.chats.event_types import (
    FREE,
    BudgetWarning,
    CodeFinished,
    CommandRefused,
    EffectCompleted,
    EffectFailed,
    EffectIntended,
    EffectUnknown,
    HumanSaid,
    MessageSaid,
    PauseAsked,
    RequestAsked,
    RequestDecided,
    RequestExpired,
    RunCreated,
    RunFinished,
    RunForked,
    RunPaused,
    RunResumed,
    RunStarted,
    SpeakerSelected,
    Spent,
    StopAsked,
    TurnAbandoned,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from moot.chats.events import Event
from moot.chats.open_turn import Gained, OpenTurn, Recorded
from moot.chats.requests import Requests
from moot.chats.speakers import SELECT
from moot.termination.ledger import NOTHING, Cost, Ledger
from moot.termination.limits import Limits
from moot.termination.outcome import Stop
from moot.termination.transcript import Aside, CodeRun, Transcript, Turn

Status = Literal["created", "running", "waiting", "paused", "finished"]


class State:
    """One run, folded. `apply` must be given every event once, in order."""

    def __init__(self, run: str, messages: MessageFactory) -> None:
        self.run, self.messages = run, messages
        self.created: RunCreated
        self.transcript = Transcript(())
        self.ledger: Ledger
        self.inbox: dict[str, list[BaseChatMessage]] = {}
        self.open: dict[int, OpenTurn] = {}
        self.choosing: OpenTurn | None = None
        """What is recorded of a choice that is under way, as if it were a turn of `select`."""
        self.step: list[Turn] = []
        """Turns of the open step that have finished."""
        self.steps = 0
        self.status: Status = "created"
        self.finished: RunFinished | None = None
        self.paused: str = ""
        self.files: dict[str, dict[str, StoredFile]] = {}
        """What each participant's workspace gained, by name: the latest content."""
        self.requests = Requests()
        self.commands = 0
        """The number of the last command from outside that was taken in."""
        self.stop_asked: StopAsked | None = None
        self.started = 0.0
        self.head = 0
        self._digest = blake2b(digest_size=16)
        self._before, self._times = 0.0, dict[int, float]()
        """Seconds of work before the open step, and of its turns by number."""
        self._gained: list[Gained] | None = None
        """Collected while a journal is read back."""

    @property
    def turns(self) -> int:
        """Turns that count."""
        return self.transcript.turns

    @property
    def digest(self) -> str:
        """Of the transcript so far: who said what, in order."""
        return self._digest.hexdigest()

    def fold(self, events: Iterable[Event]) -> list[Gained]:
        """Apply them all; what finished turns left for their participants, in order. Raises StoreError where one does
        not fit those before it.
        """
        gained = self._gained = []
        for event in events:
            try:
                self.apply(event)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
                what = f"event {event.seq} ({event.type}) does not fit those before it"
                raise StoreError(f"the journal of run {self.run} is damaged: {what}; moot verify says more") from error
        self._gained = None
        return gained

    def apply(self, event: Event) -> None:
        """Take one event in. Unknown types change nothing."""
        if event.seq:
            self.head = event.seq
        data = event.data
        # the events of every turn first, and by identity: pydantic makes `isinstance` dear where the answer is no
        if type(data) is EffectIntended:
            self._intended(event, data)
        elif type(data) is EffectCompleted:
            self._completed(event, data)
        elif type(data) is TurnStarted:
            self._started(event, data)
        elif type(data) is TurnFinished:
            self._turn_finished(event, data)
        elif type(data) is SpeakerSelected:
            self._selected(event, data)
        else:
            self._other(event)

    def _other(self, event: Event) -> None:
        match event.data:
            case CodeFinished() as data:
                self.open[event.turn].code.append(data)
            case EffectFailed() as data:
                self._failed(event, data)
            case EffectUnknown() as data:
                self._unknown(event, data)
            case TurnFailed(seconds=seconds) | TurnAbandoned(seconds=seconds) if event.turn not in self.open:
                self._turn(event)  # a choice that came to nothing
                self.ledger.seconds += seconds
            case TurnFailed(seconds=seconds) | TurnAbandoned(seconds=seconds):
                turn = self.open[event.turn]
                turn.running = False
                turn.failures += isinstance(event.data, TurnFailed)
                self._worked(turn.number, seconds)
            case MessageSaid() as data:
                self._said(data)
            case BudgetWarning(limit=limit):
                self.ledger.warned.add(limit)
            case RunCreated() as data:
                self._created(event, data)
            case _:
                self._outside(event)

    def _outside(self, event: Event) -> None:
        """What people were asked, and what they asked for."""
        if isinstance(event.data, RequestDecided | HumanSaid | PauseAsked | StopAsked | CommandRefused):
            self.commands = max(self.commands, event.data.command)
        match event.data:
            case HumanSaid() as data:
                self._said(data)
            case RequestAsked() as data:
                self._asked(event, data)
            case RequestDecided() as data:
                self._decided(data)
            case RequestExpired(id=name):
                self.requests.open.pop(name, None)
            case StopAsked() as asked:
                self.stop_asked = asked
            case _:
                self._status(event.data)

    def _status(self, data: BaseModel) -> None:
        match data:
            case RunStarted() | RunResumed():
                self.status, self.finished, self.paused = "running", None, ""
                for turn in self.open.values():
                    turn.failures = 0
            case RunPaused(reason=reason, waiting=waiting):
                self.status, self.paused = "waiting" if waiting else "paused", reason
            case RunForked():  # what the copied part spent, somebody else paid
                self.ledger = Ledger(self.ledger.limits)
                self._before, self._times = 0.0, {}
            case RunFinished():
                self.close_step()
                self.status, self.finished = "finished", data
                self.requests.end(data)
            case _:
                pass  # inner events and warnings are for people; unknown types for a newer version

    def _turn(self, event: Event) -> OpenTurn:
        """Whose effect it is: a participant's, or that of the choice under way."""
        turn = self.open.get(event.turn)
        if turn is None and event.participant == SELECT and event.turn == self.turns + 1:
            turn = self.choice()
        if turn is None:
            raise KeyError(event.turn)
        return turn

    def choice(self) -> OpenTurn:
        """The choice of the next speaker, with what is recorded of it."""
        if self.choosing is None:
            self.choosing = OpenTurn(self.turns + 1, self.steps + 1, SELECT)
        return self.choosing

    def _failed(self, event: Event, data: EffectFailed) -> None:
        recorded, name = self._turn(event).recorded, f"{event.turn}/{data.key}"
        recorded[data.key] = recorded[data.key]._replace(state="failed")
        if data.performed:
            self.ledger.doubt(name)
        else:
            self.ledger.release(name)

    def _unknown(self, event: Event, data: EffectUnknown) -> None:
        if data.then == "found":
            self.ledger.found(f"{event.turn}/{data.key}")
            return
        self.ledger.doubt(f"{event.turn}/{data.key}")
        if data.then == "park":
            recorded = self._turn(event).recorded
            recorded[data.key] = recorded[data.key]._replace(state="doubtful")

    def _asked(self, event: Event, data: RequestAsked) -> None:
        self._turn(event).recorded[data.key] = Recorded(data.digest, "asked")
        self.requests.ask(data, event.turn, event.participant, event.ts)

    def _decided(self, data: RequestDecided) -> None:
        request = self.requests.decide(data)
        if request is not None:
            decision = Decision(data.decision, data.text, data.by, data.edited)
            recorded = (self.open.get(request.turn) or self.choice()).recorded
            recorded[request.key] = recorded[request.key]._replace(state="decided", result=decision)

    def _created(self, event: Event, data: RunCreated) -> None:
        self.created, self.started = data, event.ts
        self.transcript.participants = data.participants
        self.ledger = Ledger(Limits(**data.limits))  # type: ignore[arg-type]
        self.inbox = {name: [] for name in data.participants}

    def _said(self, data: MessageSaid | HumanSaid) -> None:
        message = self.message(data.message)
        if data.to is None:
            if isinstance(data, MessageSaid):
                self.transcript.task = (*self.transcript.task, message)
            else:
                self.transcript.asides.append(Aside(self.turns, message))
            self._hash(message.source, message.to_text())
        for name in data.to if data.to is not None else self.inbox:
            self.inbox[name].append(message)

    def _selected(self, event: Event, data: SpeakerSelected) -> None:
        if self.choosing is not None:
            self._give_up(self.choosing)
            self.requests.drop(event.turn)
            self.choosing = None
        self.ledger.seconds += data.seconds
        self.steps = data.step
        self.open = {n: OpenTurn(n, data.step, name) for n, name in enumerate(data.chosen, event.turn)}
        self.step = []
        self._before, self._times = self.ledger.seconds, {}

    def _worked(self, turn: int, seconds: float) -> None:
        """Time of work: turns taken side by side count as long as the longest of them."""
        self._times[turn] = self._times.get(turn, 0.0) + seconds
        self.ledger.seconds = self._before + max(self._times.values())

    def _started(self, event: Event, data: TurnStarted) -> None:
        turn = self.open[event.turn]
        turn.attempts, turn.running, turn.started, turn.code = event.attempt, True, event.ts, []
        turn.seen = len(self.inbox[turn.participant]) if data.seen is None else data.seen

    def _intended(self, event: Event, data: EffectIntended) -> None:
        recorded = self._turn(event).recorded
        before = recorded.get(data.key)
        recorded[data.key] = Recorded(data.digest, "intended", None, 1 if before is None else before.tries + 1)
        self.ledger.reserve(f"{event.turn}/{data.key}", _cost(data.reserved))

    def _completed(self, event: Event, data: EffectCompleted) -> None:
        turn = self._turn(event)
        old = turn.recorded[data.key]
        turn.recorded[data.key] = Recorded(old.digest, "completed", data.result, old.tries)
        self.ledger.settle(f"{event.turn}/{data.key}", turn.participant, _cost(data.spent))

    def _turn_finished(self, event: Event, data: TurnFinished) -> None:
        turn = self.open.pop(event.turn)
        name, inbox = turn.participant, self.inbox[turn.participant]
        seen, self.inbox[name] = inbox[: turn.seen], inbox[turn.seen :]
        self._give_up(turn)
        if self.requests.open:
            self.requests.drop(event.turn)
        self._worked(turn.number, data.seconds)
        self.step.append(Turn(turn.number, turn.step, name, self.message(data.reply), self._ran(turn)))
        if not self.open:
            self.close_step()
        if self._gained is not None:
            results = {k: r.result for k, r in turn.recorded.items() if r.state == "completed"}
            self._gained.append(Gained(name, seen, data.contexts, results, data.state))

    def _give_up(self, turn: OpenTurn) -> None:
        """What an earlier attempt had begun, and was not asked for again."""
        for key, effect in turn.recorded.items():
            if effect.state == "intended":
                self.ledger.doubt(f"{turn.number}/{key}")

    def _ran(self, turn: OpenTurn) -> tuple[CodeRun, ...]:
        """The turn's blocks of code; the workspace has their files from now on."""
        if not turn.code:
            return ()
        files = self.files.setdefault(turn.participant, {})
        files.update((f.name, f) for block in turn.code for f in block.files)
        name = turn.participant
        return tuple(CodeRun(name, c.language, c.exit_code, c.timed_out, c.oom, c.skipped) for c in turn.code)

    def close_step(self) -> None:
        """Everybody hears what was said in the step, in the order of the turns; nobody hears their own words.

        Usually when all its turns have finished; at the run's end also when some never will.
        """
        for turn in self.step if len(self.step) == 1 else sorted(self.step, key=lambda t: t.number):
            self.transcript.history.append(turn)
            self._hash(turn.participant, turn.text)
            for name, box in self.inbox.items():
                if name != turn.participant:
                    box.append(turn.message)
        self.step = []

    def _hash(self, source: str, text: str) -> None:
        self._digest.update(f"\x00{source}\x00{text}".encode("utf-8", "surrogatepass"))

    def message(self, data: object) -> BaseChatMessage:
        """A message as it was said, from itself or from its JSON."""
        if not isinstance(data, dict):
            if isinstance(data, BaseChatMessage):
                return data
            raise StoreError(f"run {self.run}: a message must be an object, got {type(data).__name__}")
        try:
            made: BaseAgentEvent | BaseChatMessage = self.messages.create(data)
        except ValueError as error:
            raise StoreError(f"run {self.run}: {error}; open the run with the chat that made it") from None
        if not isinstance(made, BaseChatMessage):
            raise StoreError(f"run {self.run}: {type(made).__name__} is no chat message")
        return made

    def made(self) -> list[StoredFile]:
        """The files that code left: of each participant the newest content of each name."""
        return [file for files in self.files.values() for file in files.values()]

    def ran_in_open_turn(self, name: str) -> list[RanBlock]:
        """The blocks of code that ran in a turn that was cut off: they will not be run again."""
        mine = [turn for turn in self.open.values() if turn.participant == name]
        done = [(key, r.result) for turn in mine for key, r in turn.recorded.items() if r.state == "completed"]
        return [RanBlock.read(result) for key, result in done if "code/" in key]

    def stop(self) -> Stop | None:
        """Why the run ended, if it did."""
        done = self.finished
        return None if done is None else Stop(done.rule, done.reason, done.outcome, done.turn)

    def usage(self) -> Spent:
        """What the run has spent so far; `usd` is None as soon as one call had no known price."""
        total = self.ledger.total
        return Spent(
            input_tokens=total.input_tokens,
            output_tokens=total.output_tokens,
            usd=total.usd,
            code_runs=total.code_runs,
        )


def _cost(spent: Spent) -> Cost:
    # field by field: pydantic's own comparison takes longer than everything else here
    if spent is FREE or not (spent.input_tokens or spent.output_tokens or spent.code_runs or spent.usd != 0.0):
        return NOTHING
    return Cost(spent.input_tokens, spent.output_tokens, spent.usd, spent.code_runs)
