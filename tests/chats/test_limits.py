"""Each limit ends the run by its name, before more is spent; at 80 % the next speaker is told."""

import asyncio
from collections.abc import Sequence

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import TextMessage
from autogen_core.models import LLMMessage, RequestUsage

from moot.agents.assistant import assistant
from moot.agents.errors import ModelFault
from moot.agents.executor import executor
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.events import Event
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.testing import FakeModel
from tests.fakes import Counting, OpenAIChatCompletionClient, Scripted, data_of, steps


def costly(name: str) -> TextMessage:
    """A reply that says what it took: 90 tokens."""
    return TextMessage(content="x", source=name, models_usage=RequestUsage(prompt_tokens=60, completion_tokens=30))


def rule_of(run: Run) -> str:
    assert run.outcome == Outcome.LIMIT
    assert run.stopped_by is not None
    return run.stopped_by.rule


@pytest.mark.parametrize(
    ("limits", "rule", "turns"),
    [
        (Limits(turns=5), "limits.turns", 5),
        (Limits(rounds=2), "limits.rounds", 6),
        (Limits(turns=5, rounds=1), "limits.rounds", 3),
    ],
)
async def test_turns_and_rounds_end_the_run(limits: Limits, rule: str, turns: int, store: Store) -> None:
    model = Counting()
    run = await Chat([AssistantAgent(n, model) for n in "abc"], limits=limits).run("go", store=store)
    assert rule_of(run) == rule
    assert run.turns == len(model.requests) == turns


async def test_tokens_end_the_run_before_the_call_that_could_exceed_them(store: Store) -> None:
    model = Counting(usage=(100, 50))
    run = await Chat([AssistantAgent("a", model)], limits=Limits(tokens=1000)).run("go", store=store)
    assert rule_of(run) == "limits.tokens"
    assert run.stopped_by is not None
    assert run.stopped_by.reason.startswith("the next call could reach 1,")
    assert run.stopped_by.reason.endswith(" of 1,000 tokens")
    assert run.usage.tokens == 150 * len(model.requests) <= 1000
    assert len(await data_of(store, run, ev.EffectIntended)) == len(model.requests) == run.turns
    assert [e.reason for e in await data_of(store, run, ev.TurnAbandoned)] == [run.stopped_by.reason]
    assert await verify_run(store, run.id) == []


async def test_a_model_that_tells_no_usage_does_not_escape_a_limit(store: Store) -> None:
    chat = Chat([AssistantAgent("a", OpenAIChatCompletionClient(usage=(0, 0)))], limits=Limits(usd=0.03, turns=50))
    run = await chat.run("go", store=store)
    assert rule_of(run) == "limits.usd"
    assert run.usage.usd
    assert 1 < run.usage.model_calls == run.turns < 50
    assert len(await data_of(store, run, ev.Warned)) == 1
    assert await verify_run(store, run.id) == []


async def test_money_ends_the_run_before_the_call_that_could_exceed_it(store: Store) -> None:
    model = OpenAIChatCompletionClient(usage=(10, 900))
    chat = Chat([assistant("a", "x", model=model)], limits=Limits(usd=0.03))
    run = await chat.run("go", store=store)
    assert rule_of(run) == "limits.usd"
    assert len(model.requests) >= 1
    assert run.usage.usd is not None
    assert 0 < run.usage.usd <= 0.03
    assert run.usage.priced
    assert run.stopped_by is not None
    assert run.stopped_by.reason.endswith("of $0.03")


async def test_two_who_speak_at_once_cannot_together_exceed_the_limit(store: Store) -> None:
    asked = 0
    released = asyncio.Event()

    async def wait(messages: Sequence[LLMMessage], number: int) -> str:
        nonlocal asked
        asked += 1
        await released.wait()
        return "x"

    model = Counting(wait)
    agents = [AssistantAgent("a", model), AssistantAgent("b", model)]
    run = await Chat(agents, speakers=steps("a b"), limits=Limits(tokens=200)).start("go", store=store)
    async for event in run.events():
        if isinstance(event, Event) and isinstance(event.data, ev.EffectIntended):
            released.set()
    await run.finish()
    assert rule_of(run) == "limits.tokens"
    assert asked == len(model.requests) == 1


async def test_time_ends_a_turn_in_its_middle(store: Store) -> None:
    cut_off = asyncio.Event()

    async def forever(*_: object) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.set()
        return ""

    run = await Chat([Scripted("a", forever)], limits=Limits(seconds=0.02)).run("go", store=store)
    assert rule_of(run) == "limits.seconds"
    assert cut_off.is_set()
    assert run.turns == 0
    (abandoned,) = await data_of(store, run, ev.TurnAbandoned)
    assert abandoned.reason == "0.02 seconds of work are over"
    assert abandoned.seconds >= 0.02


async def test_code_runs_end_the_run_before_the_block_that_is_one_too_many(store: Store) -> None:
    ran: list[str] = []

    def answer(code: str, language: str) -> Execution:
        ran.append(code)
        return Execution(exit_code=0)

    coder = Scripted("coder", lambda *_: "```python\na\n```\n```python\nb\n```")
    chat = Chat([coder, executor("runner", Fake(answer))], limits=Limits(turns=20, code_runs=3))
    run = await chat.run("go", store=store)
    assert rule_of(run) == "limits.code_runs"
    assert ran == ["a\n", "b\n", "a\n"]
    assert run.usage.code_runs == 3
    assert run.stopped_by is not None
    assert run.stopped_by.reason == "the next call could reach 4 of 3 code runs"


async def test_a_whole_turn_agents_tokens_count_when_they_are_known(store: Store) -> None:
    agent = Scripted("a", lambda *_: costly("a"))
    run = await Chat([agent], limits=Limits(tokens=200, turns=50)).run("go", store=store)
    assert rule_of(run) == "limits.tokens"
    assert (run.turns, run.usage.tokens, run.usage.priced) == (3, 270, False)


async def test_at_80_percent_the_next_speaker_alone_is_told_and_only_once(store: Store) -> None:
    agents = [Scripted("a"), Scripted("b")]
    run = await Chat(agents, limits=Limits(turns=10)).run("go", store=store)
    told = "moot: Budget: 8 of 10 turns are spent. Wrap up."
    assert [agent.told.count(told) for agent in agents] == [1, 0]
    assert agents[0].told[-1] == told
    warned = await data_of(store, run, ev.BudgetWarning)
    assert [(w.limit, w.spent) for w in warned] == [("turns", "8 of 10 turns")]
    assert [t.text for t in run.transcript.history if "Budget" in t.text] == []


async def test_each_limit_is_warned_about_on_its_own(store: Store) -> None:
    agent = Scripted("a", lambda *_: costly("a"))
    run = await Chat([agent], limits=Limits(turns=5, tokens=450)).run("go", store=store)
    warned = await data_of(store, run, ev.BudgetWarning)
    assert [(w.limit, w.spent) for w in warned] == [("turns", "4 of 5 turns"), ("tokens", "360 of 450 tokens")]
    assert len([told for told in agent.told if told.startswith("moot: Budget")]) == 2


async def test_what_is_told_about_the_budget_counts_as_nobodys_turn() -> None:
    run = await Chat([Scripted("a")], limits=Limits(turns=5)).run("go", store=MemoryStore())
    assert [t.participant for t in run.transcript.history] == ["a"] * 5
    assert len(run.transcript.task) == 1


async def test_a_reply_that_may_have_to_be_paid_though_it_is_of_no_use_counts_against_the_limits() -> None:
    def cut_off(messages: object, number: int) -> str:
        raise ModelFault("the reply was cut off", billed=True)

    agents = [AssistantAgent("a", FakeModel(cut_off, usage=(10, 5), max_output_tokens=400))]
    store = MemoryStore()
    run = await Chat(agents, limits=Limits(tokens=700)).run("Go.", store=store)
    assert run.outcome is Outcome.LIMIT
    failed = [event.data for event in await store.load(run.id) if isinstance(event.data, ev.EffectFailed)]
    assert [one.performed for one in failed] == [True]
    assert run.usage.tokens == 0
    assert await verify_run(store, run.id) == []
