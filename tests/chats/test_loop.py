"""The loop drives any AutoGen agent: who hears what, what is recorded, what a turn that fails leaves behind."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, StructuredMessage, ThoughtEvent
from autogen_core import CancellationToken
from autogen_core.models import LLMMessage
from pydantic import BaseModel

from moot.agents.assistant import assistant
from moot.agents.effects import Codec, Effect, effect
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.memory_store import MemoryStore
from moot.chats.speakers import Choice
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.ledger import NOTHING, Ledger
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome, Stop
from moot.termination.rules import code_succeeded, says, when
from moot.termination.transcript import Transcript
from tests.fakes import Counting, Scripted, Words, call, contexts, data_of, lines, steps, types

SIX = Limits(turns=6)
WRAP_UP = "moot: Budget: 4 of 5 turns are spent. Wrap up."


class Thinker(Scripted):
    """Thinks before it answers."""

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        yield ThoughtEvent(content="secret", source=self.name)
        yield await self.on_messages(messages, cancellation_token)


async def test_the_task_goes_to_everybody_and_a_reply_to_everybody_else(store: Store) -> None:
    agents = [Scripted(name) for name in "abc"]
    run = await Chat(agents, limits=Limits(turns=5), stop=says("b", "b 2")).run("go", store=store)
    assert lines(run) == ["a: a 1", "b: b 1", "c: c 1", "a: a 2", "b: b 2"]
    assert agents[0].told == ["user: go", "b: b 1", "c: c 1"]
    assert agents[1].told == ["user: go", "a: a 1", "c: c 1", "a: a 2", WRAP_UP]
    assert agents[2].told == ["user: go", "a: a 1", "b: b 1"]
    assert await verify_run(store, run.id) == []


async def test_what_an_agent_thinks_is_recorded_and_told_to_nobody(store: Store) -> None:
    other = Scripted("b")
    run = await Chat([Thinker("a"), other], limits=Limits(turns=2)).run("go", store=store)
    assert other.told == ["user: go", "a: a 1"]
    assert len(await data_of(store, run, ev.Inner)) == 1
    assert lines(run) == ["a: a 1", "b: b 1"]


async def test_a_turn_is_recorded_in_this_order(store: Store) -> None:
    run = await Chat([AssistantAgent("a", Counting())], limits=Limits(turns=1)).run("go", store=store)
    assert await types(store, run) == [
        "run.created", "message", "run.started", "speaker.selected", "turn.started", "effect.intended",
        "effect.completed", "turn.finished", "run.finished",
    ]  # fmt: skip


async def test_who_speaks_is_recorded_with_the_whole_reason(store: Store) -> None:
    run = await Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=3)).run("go", store=store)
    chosen = await data_of(store, run, ev.SpeakerSelected)
    assert [(c.chosen, c.step, c.reason) for c in chosen] == [
        (("a",), 1, "round 1, in order"), (("b",), 2, "round 1, in order"), (("a",), 3, "round 2, in order"),
    ]  # fmt: skip
    assert {(c.policy, c.candidates) for c in chosen} == {("round_robin", ("a", "b"))}


async def test_an_autogen_assistant_with_tools_takes_its_turn(store: Store) -> None:
    used: list[int] = []

    async def add(a: int, b: int) -> int:
        """Add."""
        used.append(a + b)
        return a + b

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("add", {"a": 2, "b": 2}, "c1")] if number == 1 else f"it is {used[-1]}"

    model = Counting(answer)
    agent = AssistantAgent("a", model, tools=[add], reflect_on_tool_use=True)
    run = await Chat([agent, Scripted("b")], limits=Limits(turns=2)).run("2+2?", store=store)
    assert lines(run) == ["a: it is 4", "b: b 1"]
    assert (len(model.requests), used) == (2, [4])
    keys = [e.key for e in await data_of(store, run, ev.EffectCompleted)]
    assert keys == ["model/0", "tool/c1", "model/1", "turn/0"]
    inner = [type(e.message).__name__ for e in await data_of(store, run, ev.Inner)]
    assert len(inner) == 2
    assert run.usage.input_tokens == 20
    assert await verify_run(store, run.id) == []


async def test_replies_of_other_kinds_are_passed_on_as_they_are(store: Store) -> None:
    class Answer(BaseModel):
        number: int

    class Typed(Scripted):
        @property
        def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
            return (StructuredMessage[Answer],)

    typed = Typed("a", lambda *_: StructuredMessage[Answer](content=Answer(number=4), source="a"))
    hands = Scripted("b", lambda *_: HandoffMessage(content="yours", target="a", source="b"))
    run = await Chat([typed, hands], limits=Limits(turns=3)).run("go", store=store)
    assert [type(t.message).__name__ for t in run.transcript.history][1] == "HandoffMessage"
    assert run.transcript.history[0].message.content.number == 4  # type: ignore[attr-defined]
    assert typed.told == ["user: go", "b: yours"]


@pytest.mark.parametrize("text", ["", " ", "x" * 5_000_000, "\x1b[2J\x00\x07", "half \ud83d"])
async def test_whatever_a_participant_says_goes_through(store: Store, text: str) -> None:
    heard = Scripted("b")
    agent = AssistantAgent("a", Counting(lambda m, n: text))
    run = await Chat([agent, heard], limits=Limits(turns=3)).run("go", store=store)
    said = text.replace("\ud83d", "\ufffd")
    assert run.transcript.history[0].text == said
    assert heard.told[1] == f"a: {said}"
    assert await verify_run(store, run.id) == []


async def test_half_a_character_from_any_other_agent_survives_the_journal(store: Store) -> None:
    run = await Chat([Scripted("a", lambda *_: "half \ud83d")], limits=Limits(turns=1)).run("go \udcff", store=store)
    assert lines(run) == ["a: half \ud83d"]
    assert await verify_run(store, run.id) == []


async def test_a_goal_wins_over_a_limit_that_holds_at_the_same_turn(store: Store) -> None:
    chat = Chat([Scripted("a")], stop=says("a", "a 2"), limits=Limits(turns=2))
    run = await chat.run("go", store=store)
    assert (run.outcome, run.turns) == (Outcome.GOAL, 2)
    assert run.stopped_by == Stop("says(a)", "a said 'a 2'", Outcome.GOAL, 2)


async def test_a_rule_that_already_holds_ends_the_run_before_anybody_speaks(store: Store) -> None:
    agent = Scripted("a")

    class Already(type(says("a", "x"))):  # type: ignore[misc]
        def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
            return self.stop("already", said)  # type: ignore[no-any-return]

    rule = Already(id="already", participant="a", pattern=says("a", "x").pattern)
    run = await Chat([agent], stop=rule, limits=SIX).run("go", store=store)
    assert (run.turns, agent.spoken, run.result) == (0, 0, None)


async def test_a_turn_that_fails_once_is_taken_again_and_leaves_nothing_in_the_context(store: Store) -> None:
    def shaky(messages: Sequence[LLMMessage], number: int) -> str:
        if number == 2:
            raise ConnectionError("provider is down")
        return f"answer {number}"

    model = Counting(shaky)
    run = await Chat([AssistantAgent("a", model), Scripted("b")], limits=Limits(turns=3)).run("go", store=store)
    assert lines(run) == ["a: answer 1", "b: b 1", "a: answer 3"]
    sent = [[str(m.content) for m in request[1:]] for request in model.requests]
    assert sent[1] == sent[2] == ["go", "answer 1", "b 1"]
    assert len((await contexts(run))["a"]) == 4
    failed = await data_of(store, run, ev.TurnFailed)
    assert [(f.error, f.cause) for f in failed] == [("ConnectionError: provider is down", "model")]
    assert run.outcome == Outcome.LIMIT
    assert await verify_run(store, run.id) == []


async def test_a_turn_that_fails_twice_in_a_row_ends_the_run(store: Store) -> None:
    def down(messages: object, number: int) -> str:
        raise ConnectionError("provider is down")

    model = Counting(down)
    run = await Chat([assistant("a", "x", model=model)], limits=SIX).run("go", store=store)
    assert run.stopped_by == Stop(
        "turn.failed", "2 times in a row: a: ConnectionError: provider is down", Outcome.FAILED, 0
    )
    assert (run.cause, run.result, len(model.requests)) == ("model", None, 2)
    assert run.usage.tokens == 0


async def test_failures_of_different_turns_do_not_add_up(store: Store) -> None:
    def every_other(messages: object, number: int) -> str:
        if number % 2:
            raise ConnectionError("down")
        return "fine"

    run = await Chat([AssistantAgent("a", Counting(every_other))], limits=Limits(turns=4)).run("go", store=store)
    assert (run.outcome, run.turns) == (Outcome.LIMIT, 4)
    assert len(await data_of(store, run, ev.TurnFailed)) == 4


async def test_an_agent_that_cancels_itself_fails_and_hangs_nobody(store: Store) -> None:
    def cancel(*_: object) -> str:
        raise asyncio.CancelledError

    run = await Chat([Scripted("a", cancel)], limits=SIX).run("go", store=store)
    assert run.outcome == Outcome.FAILED
    assert run.stopped_by is not None
    assert run.stopped_by.reason == "2 times in a row: a: RuntimeError: a cancelled its own turn"


async def test_an_agent_without_a_response_fails(store: Store) -> None:
    class Silent(Scripted):
        async def on_messages_stream(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
            yield ThoughtEvent(content="...", source=self.name)

    run = await Chat([Silent("a")], limits=SIX).run("go", store=store)
    assert run.stopped_by is not None
    assert run.stopped_by.reason == "2 times in a row: a: RuntimeError: a gave no response"


async def test_an_agent_that_goes_on_after_its_response_is_heard_to_the_end(store: Store) -> None:
    done: list[str] = []

    class Late(AssistantAgent):
        async def on_messages_stream(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
            async for item in super().on_messages_stream(messages, cancellation_token):
                yield item
            done.append("tidied up")

    await Chat([Late("a", Counting())], limits=Limits(turns=2)).run("go", store=store)
    assert done == ["tidied up", "tidied up"]


async def test_what_an_agent_left_running_is_not_heard_after_its_turn(store: Store) -> None:
    over = asyncio.Event()
    left: list[asyncio.Task[str]] = []

    async def performed() -> str:
        return "too late"

    async def later() -> str:
        await over.wait()
        return await effect(Effect("late", "d", Codec(str, str), NOTHING, lambda _: NOTHING), performed)

    async def tool() -> str:
        """Leave something running."""
        left.append(asyncio.create_task(later()))
        return "left"

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("tool", {}, "c1")] if number == 1 else "done"

    def last(*_: object) -> str:
        over.set()
        return "bye"

    agents = [AssistantAgent("a", Counting(answer), tools=[tool], reflect_on_tool_use=True), Scripted("b", last)]
    run = await Chat(agents, limits=Limits(turns=2)).run("go", store=store)
    with pytest.raises(asyncio.CancelledError):
        await left[0]
    assert [e.kind for e in await data_of(store, run, ev.EffectIntended)] == ["model", "tool", "model", "turn"]
    assert await verify_run(store, run.id) == []


async def test_only_the_chosen_hear_the_note_of_a_policy(store: Store) -> None:
    agents = [Scripted(name) for name in "abc"]
    policy = steps("a", "b", "c")
    noted = type(policy)(policy.plan, note="reply once more, please")
    await Chat(agents, speakers=noted, limits=SIX).run("go", store=store)
    assert agents[1].told == ["user: go", "a: a 1", "moot: reply once more, please"]
    assert agents[2].told == ["user: go", "a: a 1", "b: b 1"]


async def test_a_policy_may_end_the_run(store: Store) -> None:
    run = await Chat([Scripted("a")], speakers=steps("a", "a"), limits=SIX).run("go", store=store)
    assert run.stopped_by == Stop("steps", "the plan is over", Outcome.GOAL, 2)


class Choosing:
    """A policy that always answers the same."""

    def __init__(self, *names: str) -> None:
        self._names = names

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice | Stop:
        return Choice(self._names, "because", "mine")


@pytest.mark.parametrize(
    ("names", "chose"), [((), "nobody"), (("zoe",), "zoe"), (("a", "a"), "a, a"), (("a", "zoe"), "a, zoe")]
)
async def test_a_policy_that_names_nobody_or_a_stranger_is_told_and_the_run_can_be_resumed(
    names: tuple[str, ...], chose: str, store: Store
) -> None:
    run = await Chat([Scripted("a"), Scripted("b")], speakers=Choosing(*names), limits=SIX).start("go", store=store)
    with pytest.raises(UserError, match=f"mine chose {chose}: it must name different participants of a, b"):
        await run.finish()
    assert run.status == "paused"


async def test_a_rule_that_breaks_is_told_and_the_run_can_be_resumed(store: Store) -> None:
    run = await Chat([Scripted("a")], stop=when(lambda said, spent: 1 / 0 > 0), limits=SIX).start("go", store=store)
    with pytest.raises(ZeroDivisionError):
        await run.finish()
    assert (run.status, run.turns) == ("paused", 1)
    assert (await store.runs())[0].status == "paused"


async def test_a_chat_can_be_run_again_and_again() -> None:
    chat = Chat([AssistantAgent("a", Counting())], limits=Limits(turns=2))
    one, other = await chat.run("go", store=MemoryStore()), await chat.run("go", store=MemoryStore())
    assert lines(one) == lines(other)
    assert one.id != other.id


async def test_ten_thousand_turns_read_each_message_once_and_leave_nothing_behind() -> None:
    read = 0

    class Message(HandoffMessage):
        def to_text(self) -> str:
            nonlocal read
            read += 1
            return super().to_text()

    class Plain(Scripted):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            assert len(messages) <= 3
            return Response(chat_message=Message(content="x", target="a", source=self.name))

    store = MemoryStore()
    chat = Chat([Plain(n) for n in "abc"], stop=code_succeeded(), limits=Limits(turns=10_000))
    run = await chat.run("go", store=store)
    assert run.turns == 10_000
    assert read == 10_001  # once for the digest of the transcript, and the result
    assert len(await store.load(run.id)) < 50_010
    assert max(len(box) for box in run._table.state.inbox.values()) <= 3
    assert run._table.state.ledger.reserved == {}
