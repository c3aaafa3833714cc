"""A run as people read it: a fold of its events that knows no agents, so that any journal can be shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from moot.agents.ran import StoredFile
from moot.chats import event_types as ev
from moot.chats import notes
from moot.chats.event_types import RunCreated, RunFinished, SpeakerSelected
from moot.chats.events import Event
from moot.chats.notes import Asked, Note
from moot.chats.requests import Request
from moot.chats.speakers import SELECT
from moot.chats.spending import Spending
from moot.chats.telling import Telling
from moot.termination.ledger import Cost, Usage

_WAITS = "waits for a person"
"""How the end of an attempt is told that asked somebody: the question itself says so."""


class Story:
    """One run, told. `apply` takes every event once, in order; what it does not know changes nothing."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.created: RunCreated | None = None
        self.task: list[str] = []
        self.turns: dict[int, Telling] = {}
        self.notes: list[Note] = []
        self.spending = Spending()
        self.files: dict[tuple[str, str], StoredFile] = {}
        """What code left, by who ran it and the file's name: the newest content."""
        self.asked: dict[str, Asked] = {}
        """Every question to a person, by its id."""
        self.finished: RunFinished | None = None
        self.forked: ev.RunForked | None = None
        """Where it comes from. What was spent before is not told as this run's."""
        self.paused = ""
        """Why it was left, where it was left on purpose."""
        self.waits_for: tuple[str, ...] = ()
        """The questions it was left for, where it was."""
        self.events = 0
        """How many there are."""
        self.started = 0.0
        self.seconds = 0.0
        """Of work, also in attempts that came to nothing."""
        self._choosing = Usage()
        """What the choice that is under way has spent."""
        self._kinds: dict[str, str] = {}
        self._again: set[str] = set()
        """Effects in doubt of which it was said that they are made again."""
        self._anew: set[tuple[int, str]] = set()
        """Effects of which it was said that something else was asked for instead."""

    @classmethod
    def of(cls, run: str, events: Iterable[Event]) -> Story:
        """The whole journal at once."""
        story = cls(run)
        for event in events:
            story.apply(event)
        return story

    @property
    def usage(self) -> Usage:
        """What was spent for certain."""
        return self.spending.total

    @property
    def by_participant(self) -> dict[str, Usage]:
        """What each has spent for certain."""
        return self.spending.by_participant

    @property
    def count(self) -> int:
        """How many turns have been taken."""
        return sum(t.finished for t in self.turns.values())

    @property
    def waiting(self) -> list[Request]:
        """The questions that nobody has decided yet, oldest first."""
        return [asked.request for asked in self.asked.values() if asked.waits]

    @property
    def executors(self) -> frozenset[str]:
        """The participants that run code."""
        return frozenset(self.created.inputs) if self.created is not None else frozenset()

    def apply(self, event: Event) -> None:
        """Take one event in."""
        self.events += 1
        if event.participant == SELECT and event.turn not in self.turns:
            self.spending.apply(event)
            self._chosen(event)
        elif event.turn and not isinstance(event.data, SpeakerSelected):
            self._turn(event)
        else:
            self._run(event)

    def _run(self, event: Event) -> None:
        match event.data:
            case RunCreated() as data:
                self.created, self.started = data, event.ts
            case ev.MessageSaid(message=message, to=to):
                if to is None:
                    self.task.append(text_of(message))
                else:
                    self._note("note", f"to {', '.join(to)}: {text_of(message)}")
            case SpeakerSelected() as data:
                self.seconds += data.seconds
                for number, name in enumerate(data.chosen, event.turn):
                    self.turns[number] = Telling(number, name, data, choosing=self._choosing)
                self._choosing = Usage()
            case RunFinished() as data:
                self.finished = data
                self._drop(() if data.cause else self.asked.values())  # with a cause it can be gone on with
            case ev.BudgetWarning(spent=spent):
                self._note("budget", f"{spent} are spent")
            case ev.Warned(text=text):
                self._note("warning", text)
            case ev.RequestDecided() as data:
                self._decided(data)
            case data:
                self._driven(data, event.ts)

    def _chosen(self, event: Event) -> None:
        """What picking the next speaker takes; questions and doubts of it are told like a turn's."""
        match event.data:
            case ev.EffectIntended(key=key, kind=kind):
                self._kinds[f"{event.turn}/{key}"] = kind
            case ev.EffectCompleted(spent=spent):
                self._choosing.add(Cost(spent.input_tokens, spent.output_tokens, spent.usd, spent.code_runs))
            case ev.RequestAsked() as data:
                self._asked(event, data)
            case ev.TurnFailed(error=error, seconds=seconds):
                self.seconds += seconds
                first, _, more = error.partition("\n")
                self.notes.append(Note(self.count, "failed", f"picking the next speaker failed: {first}", more))
            case ev.TurnAbandoned(reason=why, seconds=seconds):
                self.seconds += seconds
                kind = "waits" if why.startswith(_WAITS) else "abandoned"
                self._note(kind, f"picking the next speaker was given up: {why}")
            case _:
                self._doubted(event)

    def expect(self, decision: ev.RequestDecided) -> None:
        """A decision that was posted and that no driver has taken in yet: nobody needs to decide that any more."""
        asked = self.asked.get(decision.id)
        if asked is not None and asked.waits and decision.digest == asked.request.digest:
            asked.decided = decision

    def _decided(self, data: ev.RequestDecided) -> None:
        asked = self.asked.get(data.id)
        if asked is not None and asked.decided is None:
            asked.decided = data
        self.notes.append(notes.decided(asked, data))

    def _driven(self, data: object, ts: float) -> None:
        match data:
            case ev.RunStarted():
                self.finished, self.paused, self.waits_for = None, "", ()
            case ev.RunResumed():
                self.finished, self.paused, self.waits_for = None, "", ()
                self._note("resumed", f"the run goes on with turn {self.count + 1}")
            case ev.RunPaused(reason=reason, waiting=waiting):
                self.paused, self.waits_for = reason, waiting
                self._note("paused", reason)
            case ev.HumanSaid() as said:
                self.notes.append(notes.said(said, text_of(said.message), self.count))
            case ev.RunForked():
                self._forked(data, ts)
            case _:
                if (note := notes.command(data, self.count)) is not None:
                    self.notes.append(note)

    def _forked(self, data: ev.RunForked, ts: float) -> None:
        self.forked, self.started, self.paused = data, ts, ""
        self.spending, self.seconds = Spending(), 0.0
        changed = "".join(f"; {place}: {text}" for place, text in data.edits.items())
        self._note("forked", f"a fork of {data.parent}@{data.turn}{changed}")

    def _turn(self, event: Event) -> None:
        turn = self.turns.setdefault(event.turn, Telling(event.turn, event.participant))
        self.spending.apply(event)
        match event.data:
            case ev.TurnStarted():
                turn.begin(event.attempt, event.ts)
            case ev.EffectIntended(key=key, kind=kind):
                self._kinds[f"{event.turn}/{key}"] = kind
            case ev.EffectCompleted() as data:
                self._completed(turn, data)
            case ev.TurnFinished(reply=reply, seconds=seconds):
                turn.finished, turn.text, turn.seconds = True, text_of(reply), seconds
                self.seconds += seconds
                self._left(turn)
            case ev.TurnFailed(error=error, seconds=seconds):
                self.seconds += seconds
                first, _, more = error.partition("\n")
                text = f"attempt {event.attempt} of {turn.participant} failed: {first}"
                self.notes.append(Note(event.turn, "failed", text, more))
            case ev.TurnAbandoned(reason=why, seconds=seconds):
                self.seconds += seconds
                kind = "waits" if why.startswith(_WAITS) else "abandoned"
                self._note(kind, f"attempt {event.attempt} of {turn.participant} was given up: {why}", event.turn)
            case ev.RequestAsked() as data:
                self._asked(event, data)
            case _:
                turn.hear(event.data)
                self._doubted(event)

    def _left(self, turn: Telling) -> None:
        """What a turn leaves when it is over."""
        ran = [b.ran for b in turn.blocks.values() if b.ran]
        self.files.update(((turn.participant, f.name), f) for block in ran for f in block.files)
        self._drop(asked for asked in self.asked.values() if asked.request.turn == turn.number)

    def _drop(self, asked: Iterable[Asked]) -> None:
        """Nobody waits for what of it was not decided."""
        for one in asked:
            if one.waits:
                one.dropped = True

    def _asked(self, event: Event, data: ev.RequestAsked) -> None:
        request = Request(
            id=data.id, kind=data.kind, participant=event.participant, turn=event.turn, payload=data.payload,
            digest=data.digest, allow=data.allow, asked=event.ts, key=data.key, ask=data.ask,
        )  # fmt: skip
        self.asked[data.id] = Asked(request)
        body = notes.payload(request)
        self.notes.append(Note(event.turn, "asked", f"{data.id}: {notes.question(request)}", body, event.participant))

    def _doubted(self, event: Event) -> None:
        match event.data:
            case ev.EffectUnknown(key=key, then=then) as data:
                if then == "retry":
                    self._again.add(key)
                if then != "given up" or (event.turn, key) not in self._anew:
                    self.notes.append(notes.doubt(event, data, self._called(event.turn, key)))
            case ev.Warned(text=text, facts=facts):
                if "recorded" in facts:
                    self._anew.add((event.turn, str(facts.get("key"))))
                if "kind" not in facts or facts.get("key") not in self._again:  # said already
                    self._note("warning", text, event.turn)
            case _:
                pass

    def _called(self, turn: int, key: str) -> tuple[str, str]:
        """Of what kind an effect is, and what it is called."""
        kind = self._kinds.get(f"{turn}/{key}", "")
        ident = key.rpartition("tool/")[2].partition("#")[0]
        known = self.turns[turn].calls.get(ident) if kind == "tool" else None
        return kind, known or f"{kind} {key}".strip()

    def _completed(self, turn: Telling, data: ev.EffectCompleted) -> None:
        turn.usage.add(Cost(data.spent.input_tokens, data.spent.output_tokens, data.spent.usd, data.spent.code_runs))
        if self._kinds.get(f"{turn.number}/{data.key}") == "code":
            turn.result(data.key, data.result)

    def _note(self, kind: str, text: str, turn: int | None = None) -> None:
        self.notes.append(Note(self.count if turn is None else turn, kind, text))


def text_of(message: object) -> str:
    """What a message says, live or read back from the journal."""
    to_text = getattr(message, "to_text", None)
    if callable(to_text):
        return str(to_text())
    if not isinstance(message, Mapping):
        return str(message)
    content = message.get("content", "")
    if isinstance(content, str):
        return content
    if isinstance(content, dict) and isinstance(said := message.get("text"), str):
        return said  # a typed reply: its content is for programs
    if isinstance(content, list):
        return "\n".join(part if isinstance(part, str) else json.dumps(part) for part in content)
    return json.dumps(content)
