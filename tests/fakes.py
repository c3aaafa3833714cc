"""Fakes through the seams beside those of `moot.testing`: a model that counts, agents that do as told."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import CreateResult, LLMMessage
from pydantic import BaseModel

from moot.agents.effects import NAME, SCOPE, Effect, Happened, Scope
from moot.agents.questions import Decision, Question
from moot.chats.event_types import EffectCompleted
from moot.chats.events import dumped
from moot.chats.events import read as parsed
from moot.chats.run import Run
from moot.chats.speakers import Choice
from moot.chats.store import Store
from moot.termination.outcome import Outcome, Stop
from moot.termination.transcript import Transcript
from moot.testing import DyingStore, FakeModel, Killed, tool_call
from moot.testing.model import Answer, Words

__all__ = ["DyingStore", "Killed", "Words"]  # beside all that is made here
T = TypeVar("T")
D = TypeVar("D", bound=BaseModel)
Reply = Callable[[int, Sequence[BaseChatMessage]], BaseChatMessage | str | Awaitable[str]]
"""Called with the number of the agent's turn, from 1, and what it was given; may raise."""

IN_DOUBT = object()
"""Stands for an effect of which nobody knows what became."""


class Counting(FakeModel):
    """A model whose calls are counted across processes: a line in `log` for each."""

    def __init__(
        self, answer: Answer | None = None, *, log: Path | None = None, usage: tuple[int, int] = (10, 5)
    ) -> None:
        super().__init__(answer, usage=usage)
        self._log = log

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        if self._log is not None:
            with self._log.open("a") as log:
                log.write("call\n")
        return await super().create(messages, **options)


class OpenAIChatCompletionClient(Counting):
    """The same under a name that has a price."""

    _create_args: Mapping[str, Any] = {"model": "gpt-4o", "max_tokens": 1000}


class Scripted(BaseChatAgent):
    """An agent that AutoGen's users could have written. Its state is how often it spoke, and what it was told."""

    def __init__(self, name: str, reply: Reply | None = None) -> None:
        super().__init__(name, f"{name} does as told")
        self._reply = reply
        self.spoken = 0
        self.told: list[str] = []
        self.saved = self.loaded = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        self.spoken += 1
        self.told += [f"{m.source}: {m.to_text()}" for m in messages]
        said: Any = f"{self.name} {self.spoken}"
        if self._reply is not None:
            said = self._reply(self.spoken, messages)
            said = await said if inspect.isawaitable(said) else said
        return Response(chat_message=TextMessage(content=said, source=self.name) if isinstance(said, str) else said)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.spoken, self.told = 0, []

    async def save_state(self) -> Mapping[str, Any]:
        self.saved += 1
        return {"spoken": self.spoken, "told": self.told}  # its live list, as many agents do

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.loaded += 1
        self.spoken, self.told = state["spoken"], list(state["told"])


class FakeConversation:
    """The run's side of one attempt at a turn: results recorded earlier are served, everything is remembered.

    Recorded as `IN_DOUBT`, an effect was under way when an earlier attempt ended. What `ask` and `fail` are given is
    remembered, and they do not return unless the answer is among the `decisions`; `stuck` is set when one does not.
    """

    def __init__(
        self, recorded: Mapping[str, object] | None = None, decisions: Mapping[str, Decision] | None = None
    ) -> None:
        self.recorded, self.decisions = dict(recorded or {}), dict(decisions or {})
        self.effects: dict[str, Effect[Any]] = {}
        self.results: dict[str, Any] = {}
        self.questions: dict[str, Question] = {}
        self.failure: BaseException | None = None
        self.stuck = asyncio.Event()
        self.owned: list[asyncio.Task[object]] = []
        self.notes: list[tuple[str, dict[str, object]]] = []
        self.drafts: list[tuple[str, str]] = []
        self.stored: dict[str, bytes] = {}
        self.limited = self.closed = False
        self.let: set[str] = set()
        """Of what kinds a person approved something in an earlier turn."""
        self.outside = 0
        """How often something was awaited that is no effect."""

    async def once(self, key: str, effect: Effect[T], perform: Callable[[], Awaitable[T]]) -> T:
        if effect.announce is not None:
            effect.announce(key)
        self.effects[key] = effect
        if key in self.recorded and (found := await self._found(key, effect)) is not None:
            return found.result
        name = NAME.set(f"run/1/{key}")
        try:
            result = self.results[key] = await perform()
        finally:
            NAME.reset(name)
        return result

    async def _found(self, key: str, effect: Effect[T]) -> Happened[T] | None:
        if self.recorded[key] is not IN_DOUBT:
            return Happened(effect.codec.load(self.recorded[key]))
        doubt = await effect.doubt(f"run/1/{key}") if callable(effect.doubt) else effect.doubt
        if isinstance(doubt, Happened):
            self.results[key] = doubt.result
            return doubt
        if doubt == "park" and effect.answered is not None:
            decided = await self.ask(f"{key}?", Question("doubt", effect.digest, {}, ("approve", "respond", "reject")))
            return None if decided.decision == "approve" else Happened(effect.answered(decided))
        return None

    async def ask(self, key: str, question: Question) -> Decision:
        if inside := NAME.get():
            raise RuntimeError(f"a person cannot be asked in the middle of {inside}")
        self.questions[key] = question
        if key not in self.decisions:
            await self._never()
        return self.decisions[key]

    def approved(self, kind: str) -> bool:
        return kind in self.let

    async def fail(self, error: BaseException) -> NoReturn:
        self.failure = self.failure or error
        await self._never()

    async def _never(self) -> NoReturn:
        self.stuck.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    def own(self, task: asyncio.Task[object]) -> None:
        self.owned.append(task)

    @contextmanager
    def busy(self) -> Iterator[None]:
        self.outside += 1
        yield

    def note(self, type: str, data: Mapping[str, object]) -> None:
        self.notes.append((type, dict(data)))

    def draft(self, kind: str, text: str) -> None:
        self.drafts.append((kind, text))

    async def keep(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.stored[digest] = data
        return digest

    async def kept(self, digest: str) -> bytes:
        return self.stored[digest]

    def journalled(self) -> dict[str, object]:
        """Every result of this attempt, as another process reads it from the store."""
        return {key: as_recorded(self.effects[key], result) for key, result in self.results.items()}


def as_recorded(effect: Effect[Any], result: object) -> object:
    """What a store makes of a result."""
    text = dumped(EffectCompleted(key="", result=effect.codec.dump(result)))
    read = parsed(EffectCompleted.type, text)
    assert isinstance(read, EffectCompleted)
    return read.result


def in_turn(conversation: FakeConversation) -> Scope:
    """Enter a turn, as the driver does for a participant's task: what is performed from here on belongs to it."""
    scope = Scope(conversation)
    SCOPE.set(scope)
    return scope


def call(name: str, arguments: Mapping[str, object], id: str) -> FunctionCall:
    """A model's wish to have a tool called."""
    return tool_call(name, arguments, id)


def calls(log: Path) -> int:
    """How many calls a model with that log has seen, in whatever process."""
    return len(log.read_text().splitlines()) if log.exists() else 0


@dataclass(frozen=True)
class Steps:
    """A policy that follows a plan: who speaks in each step, several in parallel; then the run ends."""

    plan: tuple[tuple[str, ...], ...]
    note: str | None = None
    """Told to the speakers of the second step."""

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice | Stop:
        done = said.history[-1].step if said.history else 0
        if done == len(self.plan):
            return Stop("steps", "the plan is over", Outcome.GOAL, said.turns)
        note = self.note if done == 1 else None
        return Choice(self.plan[done], f"step {done + 1}", "steps", tuple(eligible), note=note)


def steps(*plan: str) -> Steps:
    """Who speaks in each step, such as `steps("a", "b c", "a")`."""
    return Steps(tuple(tuple(step.split()) for step in plan))


def lines(run: Run) -> list[str]:
    """What was said, by whom."""
    return [f"{turn.participant}: {turn.text}" for turn in run.transcript.history]


async def types(store: Store, run: Run) -> list[str]:
    """The types of a run's events, in order."""
    return [event.type for event in await store.load(run.id)]


async def data_of(store: Store, run: Run, kind: type[D]) -> list[D]:
    """What the events of one type said."""
    return [event.data for event in await store.load(run.id) if isinstance(event.data, kind)]


async def contexts(run: Run) -> dict[str, list[dict[str, Any]]]:
    """What each participant's model would be told next."""
    found = run._table.seats.items()
    return {
        f"{name}/{path}" if path else name: [m.model_dump() for m in await context.get_messages()]
        for name, seat in found
        for path, context in seat.contexts.items()
    }
