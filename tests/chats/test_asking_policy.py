"""A speaker policy that asks a model: its calls are journalled, counted under `select`, and never made twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import MessageFactory
from autogen_core.models import ChatCompletionClient, LLMMessage, UserMessage

from moot.agents.effects import ask
from moot.agents.journalled_client import JournalledClient
from moot.agents.models import ModelKind, ModelSpec
from moot.agents.playbook import Playbook
from moot.agents.prices import FREE
from moot.agents.questions import Question
from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.event_types import TurnAbandoned
from moot.chats.memory_store import MemoryStore
from moot.chats.run import open_run
from moot.chats.speakers import SELECT, Choice, RoundRobin
from moot.chats.state import State
from moot.chats.story import Story
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.termination.transcript import Transcript
from moot.testing import FakeModel, crash_everywhere


@dataclass
class Seated:
    client: JournalledClient
    model_name: str = "fake"
    model_kind: ModelKind = "real"
    closed: list[bool] = field(default_factory=list)

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice:
        answer = await self.client.create([UserMessage(content=f"who takes turn {said.turns + 1}?", source="moot")])
        return Choice((str(answer.content),), f"the model said {answer.content}", "asked", tuple(eligible))

    async def close(self) -> None:
        self.closed.append(True)


@dataclass
class Asked:
    picker: FakeModel
    seats: list[Seated] = field(default_factory=list)

    def seated(
        self,
        model: str | ModelSpec | ChatCompletionClient | None,
        playbooks: Callable[[str], Playbook],
        described: Mapping[str, str],
    ) -> Seated:
        self.seats.append(Seated(JournalledClient(self.picker, FREE)))
        return self.seats[-1]


def in_turn(picks: Sequence[str]) -> FakeModel:
    """Answers by the turn that it is asked about, so that a process that goes on is answered alike."""

    def answer(messages: Sequence[LLMMessage], number: int) -> str:
        return picks[int(str(messages[-1].content).split()[-1].rstrip("?")) - 1]

    return FakeModel(answer)


def a_chat(picks: Sequence[str], *, turns: int = 3, tokens: int | None = None) -> tuple[Chat, Asked]:
    policy = Asked(in_turn(picks))
    agents = [AssistantAgent(name, FakeModel([f"{name} speaks"] * 9)) for name in ("ann", "bob")]
    return Chat(agents, speakers=policy, limits=Limits(turns=turns, tokens=tokens)), policy


async def test_the_model_picks_who_speaks_and_its_tokens_are_counted_under_select() -> None:
    chat, policy = a_chat(["bob", "bob", "ann"])
    store = MemoryStore()
    run = await chat.run("Go.", store=store)
    assert [turn.participant for turn in run.transcript.history] == ["bob", "bob", "ann"]
    assert run.usage_by_participant[SELECT].model_calls == 3
    assert run.created.models[SELECT] == "fake"
    assert policy.seats[0].closed
    story = Story.of(run.id, await store.load(run.id))
    assert story.by_participant[SELECT].tokens == run.usage_by_participant[SELECT].tokens
    assert all(turn.choosing.model_calls == 1 for turn in story.turns.values())
    assert await verify_run(store, run.id) == []


async def test_a_choice_that_was_cut_off_anywhere_is_made_with_what_was_recorded_of_it() -> None:
    report = await crash_everywhere(lambda: a_chat(["bob", "ann"], turns=2)[0], "Go.")
    report.check()
    assert report.fired > 8


async def test_a_limit_that_forbids_the_choice_ends_the_run() -> None:
    chat, _ = a_chat(["bob"] * 9, turns=9, tokens=1)
    run = await chat.run("Go.", store=MemoryStore())
    assert run.outcome is Outcome.LIMIT
    assert run.turns == 0


async def test_a_policy_whose_model_fails_ends_the_run_as_the_models_failure() -> None:
    chat, _ = a_chat([])
    run = await chat.run("Go.", store=MemoryStore())
    assert (run.outcome, run.cause) == (Outcome.FAILED, "model")
    assert run.stopped_by is not None
    assert run.stopped_by.rule == "select.failed"


async def test_the_time_of_a_choice_that_was_stopped_counts_as_work() -> None:
    asked = asyncio.Event()

    async def never(messages: Sequence[LLMMessage], number: int) -> str:
        asked.set()
        await asyncio.Event().wait()
        return "bob"

    store = MemoryStore()
    agents = [AssistantAgent(name, FakeModel([f"{name} speaks"])) for name in ("ann", "bob")]
    chat = Chat(agents, speakers=Asked(FakeModel(never)), limits=Limits(turns=2))
    run = await chat.start("Go.", store=store)
    await asked.wait()
    await run.stop_now()
    events = await store.load(run.id)
    (given_up,) = [event.data for event in events if isinstance(event.data, TurnAbandoned)]
    state = State(run.id, MessageFactory())
    state.fold(events)
    assert given_up.seconds > 0
    assert state.ledger.seconds == Story.of(run.id, events).seconds == given_up.seconds
    assert await verify_run(store, run.id) == []


class ByHand(Seated):
    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice:
        payload = {"prompt": f"who takes turn {said.turns + 1}?"}
        decided = await ask(Question("input", str(payload), payload, ("respond",)))
        return Choice((decided.text,), f"{decided.by} picked", "by hand", tuple(eligible))


@dataclass
class AskedByHand(Asked):
    def seated(
        self,
        model: str | ModelSpec | ChatCompletionClient | None,
        playbooks: Callable[[str], Playbook],
        described: Mapping[str, str],
    ) -> Seated:
        return ByHand(JournalledClient(self.picker, FREE))


async def test_a_policy_may_ask_a_person_and_the_run_waits_for_the_answer() -> None:
    def made() -> Chat:
        agents = [AssistantAgent(name, FakeModel([f"{name} speaks"] * 9)) for name in ("ann", "bob")]
        return Chat(agents, speakers=AskedByHand(in_turn([])), limits=Limits(turns=2))

    store = MemoryStore()
    run = await made().run("Go.", store=store)
    for name in ("bob", "ann"):
        assert (run.status, len(run.requests)) == ("waiting", 1)
        await run.decide(run.requests[0].id, "respond", name, by="eve")
        run = await (await open_run(run.id, chat=made(), store=store)).finish()
    assert [turn.participant for turn in run.transcript.history] == ["bob", "ann"]
    assert run.outcome is Outcome.LIMIT
    assert await verify_run(store, run.id) == []


async def test_a_policy_of_ones_own_that_only_has_a_name_for_its_model_is_asked_like_any_other() -> None:
    class Named(RoundRobin):
        model_name = "mine"

    agents = [AssistantAgent(name, FakeModel([f"{name} speaks"])) for name in ("ann", "bob")]
    run = await Chat(agents, speakers=Named(), limits=Limits(turns=2)).run("Go.", store=MemoryStore())
    assert [turn.participant for turn in run.transcript.history] == ["ann", "bob"]
    assert SELECT not in run.created.models


def test_nobody_may_be_called_select() -> None:
    with pytest.raises(UserError, match="select"):
        Chat([AssistantAgent(SELECT, FakeModel([]))], limits=Limits(turns=1))
