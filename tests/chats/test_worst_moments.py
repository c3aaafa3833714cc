"""What happens in the middle of an open turn: words, ends, failures and limits that come at the worst moment."""

import asyncio
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, UserProxyAgent
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken
from autogen_core.models import LLMMessage
from autogen_core.tools import TextResultContent, ToolResult, ToolSchema, Workbench

from moot.agents.effects import Codec, Effect, effect
from moot.agents.tool_policy import ToolPolicy
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.commands import Decide, End, Pause, Say
from moot.chats.errors import StoreError
from moot.chats.events import Event
from moot.chats.memory_store import MemoryStore
from moot.chats.outside import post, requests
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Posted, Store
from moot.chats.verify import verify_run
from moot.termination.ledger import Cost
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, OpenAIChatCompletionClient, Scripted, Words, call, data_of, types

PAYS = ToolPolicy(side_effects=frozenset({"charge"}))
ONE = Limits(turns=1)


def charges(messages: Sequence[LLMMessage], number: int) -> Words:
    """Ask for the charge, then say that it is done."""
    done = any(type(m).__name__ == "FunctionExecutionResultMessage" for m in messages)
    return "done" if done else [call("charge", {"x": "1"}, "c1")]


class Till:
    """Where the money goes."""

    def __init__(self) -> None:
        self.charged = 0

    async def charge(self, x: str) -> str:
        """Charge somebody."""
        self.charged += 1
        return "charged"


class Hanging(Counting):
    """A model that never answers what follows a tool's result."""

    def __init__(self) -> None:
        super().__init__(charges)
        self.reached = asyncio.Event()

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> Any:
        if any(type(m).__name__ == "FunctionExecutionResultMessage" for m in messages):
            self.reached.set()
            await asyncio.Event().wait()
        return await super().create(messages, **options)


def talk(model: Counting, till: Till, tools: ToolPolicy = PAYS) -> Chat:
    agent = AssistantAgent("a", model, tools=[till.charge], reflect_on_tool_use=True)
    return Chat([agent], limits=ONE, tools=tools)


async def test_words_that_come_while_a_turn_lies_still_change_nothing_that_was_recorded(store: Store) -> None:
    till, hanging = Till(), Hanging()
    run = await talk(hanging, till).start("go", store=store)
    await hanging.reached.wait()
    await run.stop_now()
    await post(run.id, Say(text="please be brief", by="ann"), store)
    model = Counting(charges)
    again = await (await open_run(run.id, chat=talk(model, till), store=store)).finish()
    assert (again.turns, till.charged, len(model.requests)) == (1, 1, 1)
    assert not any("asked for something else" in w.text for w in await data_of(store, run, ev.Warned))
    assert await verify_run(store, run.id) == []


async def test_words_and_an_approval_together_do_not_void_the_approval(store: Store) -> None:
    till, asks = Till(), ToolPolicy(approve=frozenset({"charge"}))
    run = await talk(Counting(charges), till, asks).run("go", store=store)
    (asked,) = await requests(run.id, store)
    await post(run.id, Say(text="go ahead"), store)
    await post(run.id, Decide(request=asked.id, decision="approve", digest=asked.digest), store)
    again = await (await open_run(run.id, chat=talk(Counting(charges), till, asks), store=store)).finish()
    assert (again.turns, till.charged, again.requests) == (1, 1, [])
    assert len(await data_of(store, run, ev.RequestAsked)) == 1


class Bank(Workbench):
    """Somebody else's server: the first call is answered with a timeout, after the money went out."""

    component_provider_override = "tests.Bank"

    def __init__(self) -> None:
        self.sent = 0

    async def list_tools(self) -> list[ToolSchema]:
        return [ToolSchema(name="charge", description="")]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        self.sent += 1
        if self.sent == 1:
            raise TimeoutError("no answer from the bank")
        return ToolResult(name=name, result=[TextResultContent(content="ok")])

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def reset(self) -> None: ...

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


async def test_a_call_with_side_effects_that_raises_is_not_made_again_before_a_person_says_so(store: Store) -> None:
    bank = Bank()
    chat = Chat([AssistantAgent("a", Counting(charges), workbench=bank)], limits=ONE, tools=PAYS)
    run = await chat.run("go", store=store)
    assert (run.status, bank.sent) == ("waiting", 1)
    (asked,) = run.requests
    assert (asked.kind, asked.payload["tool"]) == ("doubt", "charge")
    unknown = await data_of(store, run, ev.EffectUnknown)
    assert [(u.then, u.error) for u in unknown] == [("raised", "TimeoutError: no answer from the bank"), ("park", "")]
    await run.decide(asked.id, "respond", "it went through")
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (again.turns, bank.sent) == (1, 1)
    assert await verify_run(store, run.id) == []


async def test_a_decision_holds_whatever_a_lookup_finds_out_later(store: Store) -> None:
    known = False

    async def look(key: str, arguments: Mapping[str, object]) -> str | None:
        if not known:
            raise ConnectionError("closed on Sundays")
        return None

    bank = Bank()
    policy = ToolPolicy(lookup={"charge": look})
    chat = Chat([AssistantAgent("a", Counting(charges), workbench=bank)], limits=ONE, tools=policy)
    run = await chat.run("go", store=store)
    (asked,) = run.requests
    await run.decide(asked.id, "reject", "leave it", by="ann")
    known = True
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (again.turns, bank.sent) == (1, 1)
    assert "leave it" in again.transcript.history[-1].text


async def test_an_end_that_comes_as_a_driver_looks_is_not_lost() -> None:
    class Slow(MemoryStore):
        """Lets others go on while it is asked for commands."""

        async def posted(self, run: str, after: int = 0) -> list[Posted]:
            found = await super().posted(run, after)
            for _ in range(3):
                await asyncio.sleep(0)
            return found

    ends = set()
    for steps in range(40):
        store = Slow()
        run = await Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=10_000)).start("go", store=store)
        for _ in range(steps):
            await asyncio.sleep(0)
        await post(run.id, End(by="ann", now=True), store)
        await run.finish()
        ends.add((run.status, run.outcome))
    assert ends == {("finished", Outcome.STOPPED)}


async def test_a_pause_of_a_run_that_is_being_opened_is_heard() -> None:
    class Opening(MemoryStore):
        """Somebody asks for a pause while the journal is read."""

        asked = False

        async def load(self, run: str, after: int = 0, *, types: Collection[str] = ()) -> list[Event]:
            if self.asked:
                self.asked = False
                await self.post(run, Pause(by="ann").model_dump_json())
            return await super().load(run, after, types=types)

    store = Opening()
    chat = Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=4))
    run = await chat.start("go", store=store)
    run.pause_after_turn()
    await run.finish()
    before, store.asked = run.turns, True
    again = await (
        await open_run(run.id, chat=Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=4)), store=store)
    ).finish()
    assert (again.status, again.turns) == ("paused", before)


async def test_words_that_come_as_a_limit_ends_the_run_leave_a_sound_journal(store: Store) -> None:
    async def last(messages: Sequence[LLMMessage], number: int) -> Words:
        await store.post(run.id, Say(text="one more thing").model_dump_json())
        return "a"

    agents = [AssistantAgent("a", Counting(last)), AssistantAgent("b", Counting())]
    run = await Chat(agents, limits=Limits(tokens=500, turns=9)).start("go", store=store)
    await run.finish()
    assert run.outcome is Outcome.LIMIT
    assert "human.message" in await types(store, run)
    assert await verify_run(store, run.id) == []


async def test_a_run_that_is_cut_off_again_and_again_spends_no_more_than_its_limit(store: Store) -> None:
    asked = asyncio.Event()

    async def silent(messages: Sequence[LLMMessage], number: int) -> Words:
        asked.set()
        await asyncio.Event().wait()
        return "never"

    model, run = OpenAIChatCompletionClient(silent), None
    for _ in range(10):
        asked.clear()
        chat = Chat([AssistantAgent("a", model)], limits=Limits(usd=0.025, turns=5))
        run = await (chat.start("go", store=store) if run is None else open_run(run.id, chat=chat, store=store))
        await asyncio.wait({asyncio.ensure_future(asked.wait()), run._task}, return_when=asyncio.FIRST_COMPLETED)
        if run.status == "finished":
            break
        await run.stop_now()
    assert run is not None
    assert (run.outcome, len(model.requests)) == (Outcome.LIMIT, 2)  # each may have cost a cent
    assert run.usage.model_calls == 0


async def test_a_call_that_a_limit_refuses_lets_those_under_way_end(store: Store) -> None:
    billed: list[str] = []

    async def slowly(messages: Sequence[LLMMessage], number: int) -> Words:
        for _ in range(50):  # until the other one has been refused
            await asyncio.sleep(0)
        billed.append("x")
        return "x has spoken"

    def boss(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("x", {"task": "t"}, "c1"), call("y", {"task": "t"}, "c2")]

    x, y = (AssistantAgent(name, OpenAIChatCompletionClient(slowly), description=name) for name in "xy")
    agent = AssistantAgent("boss", OpenAIChatCompletionClient(boss), tools=[AgentTool(x), AgentTool(y)])
    run = await Chat([agent], limits=Limits(turns=2, usd=0.015)).run("go", store=store)
    assert (run.outcome, billed) == (Outcome.LIMIT, ["x"])
    assert run.usage.model_calls == 2
    assert run._table.state.ledger.reserved == {}


async def test_what_a_tool_does_to_clean_up_is_not_cut_off(store: Store) -> None:
    began, cleaned = asyncio.Event(), list[str]()

    async def transfer(x: str) -> str:
        """Roll back when told to leave."""
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            cleaned.append("rolled back")
        return "sent"

    agent = AssistantAgent("a", Counting(lambda m, n: [call("transfer", {"x": "1"}, "t")]), tools=[transfer])
    run = await Chat([agent], limits=ONE).start("go", store=store)
    await began.wait()
    await run.stop_now()
    assert cleaned == ["rolled back"]


async def test_a_run_that_is_stopped_while_it_waits_is_not_driven_on() -> None:
    class Late(MemoryStore):
        """Somebody decides, and the run is stopped, just as it is left to wait."""

        run: Run | None = None

        def append(self, *given: Any, **named: Any) -> Any:
            done = super().append(*given, **named)
            if given[-1] == "waiting" and self.run is not None:
                self.stopping = asyncio.ensure_future(self.run.stop_now())
                with_digest = next(e.data.digest for e in given[2] if isinstance(e.data, ev.RequestAsked))
                command = Decide(request="q1", decision="respond", text="x", digest=with_digest)
                coroutine = self.post(given[0].run, command.model_dump_json())
                with pytest.raises(StopIteration):
                    coroutine.send(None)
            return done

    store = Late()
    store.run = run = await Chat([UserProxyAgent("owner"), Scripted("b")], limits=Limits(turns=2)).start(
        "go", store=store
    )
    await asyncio.wait({run._task})
    await store.stopping
    assert run.turns == 0


async def test_who_cannot_hear_for_a_moment_listens_again(sqlite: SqliteStore) -> None:
    class Deaf:
        """Fails once when it is asked to knock."""

        def __init__(self, inner: SqliteStore) -> None:
            self._inner, self.failed = inner, 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        async def knock(self, run: str, after: int = 0) -> None:
            if not self.failed:
                self.failed = 1
                raise StoreError("the disk is busy")
            await self._inner.knock(run, after)

    go = asyncio.Event()

    async def slow(*_: object) -> str:
        await go.wait()
        return "a"

    deaf: Any = Deaf(sqlite)
    run = await Chat([Scripted("a", slow), Scripted("b")], limits=Limits(turns=9)).start("go", store=deaf)
    await post(run.id, Pause(by="ann"), sqlite)
    while not deaf.failed:  # noqa: ASYNC110 - what it does is counted, not told
        await asyncio.sleep(0)
    go.set()
    await run.finish()
    assert (run.status, run.turns) == ("paused", 1)


@pytest.fixture
async def damaged(sqlite: SqliteStore) -> tuple[SqliteStore, Run]:
    run = await Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=4)).start("go", store=sqlite)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.started":
            run.pause_after_turn()
    return sqlite, await run.finish()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE event SET turn = 9 WHERE type = 'turn.finished'",
        "DELETE FROM event WHERE type = 'speaker.selected'",
        "UPDATE event SET type = 'nonsense.kind' WHERE type = 'speaker.selected'",
    ],
)
async def test_a_run_whose_rows_do_not_fit_together_is_told_to_be_damaged(
    change: str, damaged: tuple[SqliteStore, Run]
) -> None:
    store, run = damaged
    with sqlite3.connect(store.path) as db:
        assert db.execute(change).rowcount == 1
    chat = Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=4))
    with pytest.raises(StoreError, match=r"journal of run \w+ is damaged: event \d+"):
        await open_run(run.id, chat=chat, store=store)
    (row,) = await store.runs()
    assert not row.driven


async def test_an_agent_that_is_a_tool_works_on_one_call_at_a_time_and_charges_once_for_each(store: Store) -> None:
    charged: list[str] = []
    hung, first = asyncio.Event(), True

    async def charge(x: str) -> str:
        """Charge somebody."""
        charged.append(x)
        return f"paid {x}"

    async def helps(messages: Sequence[LLMMessage], number: int) -> Words:
        if type(messages[-1]).__name__ == "FunctionExecutionResultMessage":
            if first and len(charged) == 2:
                hung.set()
                await asyncio.Event().wait()
            return "helped"
        for _ in range(30 if first else 0):  # the interleaving is another one in the next process
            await asyncio.sleep(0)
        return [call("charge", {"x": str(messages[-1].content)}, "h")]

    def boss(messages: Sequence[LLMMessage], number: int) -> Words:
        done = any(type(m).__name__ == "FunctionExecutionResultMessage" for m in messages)
        return "done" if done else [call("helper", {"task": "A"}, "c1"), call("helper", {"task": "B"}, "c2")]

    def chat() -> Chat:
        helper = AssistantAgent(
            "helper", Counting(helps), description="helps", tools=[charge], reflect_on_tool_use=True
        )
        agent = AssistantAgent("a", Counting(boss), tools=[AgentTool(helper)], reflect_on_tool_use=True)
        return Chat([agent], limits=ONE, tools=PAYS)

    run = await chat().start("go", store=store)
    await hung.wait()
    await run.stop_now()
    first = False
    again = await (await open_run(run.id, chat=chat(), store=store)).finish()
    assert (again.turns, charged) == (1, ["A", "B"])
    assert not any("asked for something else" in w.text for w in await data_of(store, run, ev.Warned))


async def test_what_was_done_before_a_turn_took_another_way_is_not_done_once_more_unasked(store: Store) -> None:
    till, hanging = Till(), Hanging()
    run = await talk(hanging, till).start("go", store=store)
    await hanging.reached.wait()
    await run.stop_now()
    other = AssistantAgent(
        "a", Counting(charges), tools=[till.charge], reflect_on_tool_use=True, system_message="Be rude."
    )
    chat = Chat([other], limits=ONE, tools=PAYS)
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (again.status, till.charged) == ("waiting", 1)
    (asked,) = again.requests
    assert (asked.kind, asked.payload["tool"]) == ("doubt", "charge")
    await again.decide(asked.id, "respond", "it was charged already")
    done = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (done.turns, till.charged) == (1, 1)
    assert await verify_run(store, run.id) == []


async def test_a_question_that_expired_is_open_to_nobody(store: Store) -> None:
    bank, known = Bank(), False

    async def look(key: str, arguments: Mapping[str, object]) -> str | None:
        if not known:
            raise ConnectionError("closed on Sundays")
        return "it was paid"

    def then(messages: Sequence[LLMMessage], number: int) -> Words:
        results = sum(type(m).__name__ == "FunctionExecutionResultMessage" for m in messages)
        return [call("charge", {"x": str(results)}, f"c{results}")] if results < 2 else "done"

    policy = ToolPolicy(lookup={"charge": look})
    agent = AssistantAgent("a", Counting(then), workbench=bank, max_tool_iterations=5)
    chat = Chat([agent], limits=ONE, tools=policy)
    run = await chat.run("go", store=store)
    assert [r.id for r in await requests(run.id, store)] == ["q1"]
    known = True
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert again.turns == 1
    assert [(e.id, e.reason) for e in await data_of(store, run, ev.RequestExpired)] == [("q1", "its end was found out")]
    assert await requests(run.id, store) == again.requests == []


async def test_asked_twice_to_stop_now_a_run_still_cleans_up(store: Store) -> None:
    began, cleaning, cleaned = asyncio.Event(), asyncio.Event(), list[str]()

    async def transfer(x: str) -> str:
        """Roll back when told to leave."""
        try:
            began.set()
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            for _ in range(200):
                await asyncio.sleep(0)
            cleaned.append("rolled back")
        return "sent"

    agent = AssistantAgent("a", Counting(lambda m, n: [call("transfer", {"x": "1"}, "t")]), tools=[transfer])
    run = await Chat([agent], limits=ONE).start("go", store=store)
    await began.wait()
    await post(run.id, End(by="ann", now=True), store)
    await cleaning.wait()
    await run.stop_now()
    await run.finish()
    assert (cleaned, run.outcome) == (["rolled back"], Outcome.STOPPED)
    assert "turn.abandoned" in await types(store, run)


async def test_an_effect_inside_another_that_a_limit_refuses_ends_the_run(store: Store) -> None:
    async def tool(x: str) -> str:
        """Ask a model that costs more than there is."""
        dear = Effect("model", "d", Codec(str, str), Cost(10**6, 0, None), lambda _: Cost(1, 1, None))
        return await effect(dear, never)

    async def never() -> str:
        raise AssertionError("not to be performed")

    agent = AssistantAgent("a", Counting(lambda m, n: [call("tool", {"x": "1"}, "c1")]), tools=[tool])
    run = await Chat([agent], limits=Limits(turns=1, tokens=50_000)).run("go", store=store)
    assert (run.outcome, run.turns) == (Outcome.LIMIT, 0)


async def test_an_agent_of_ones_own_that_was_cut_off_goes_back_as_it_was(store: Store) -> None:
    go, hangs = asyncio.Event(), True

    async def slow(number: int, messages: object) -> str:
        if hangs:
            go.set()
            await asyncio.Event().wait()
        return f"spoke {number}"

    agent = Scripted("a", slow)
    chat = Chat([agent], limits=Limits(turns=2))
    run = await chat.start("go", store=store)
    await go.wait()
    await run.stop_now()
    assert (agent.spoken, agent.told) == (0, [])
    hangs = False
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert [turn.text for turn in again.transcript.history] == ["spoke 1", "spoke 2"]
