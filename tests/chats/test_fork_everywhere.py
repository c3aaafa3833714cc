"""Wherever a run is forked, and whatever became of it, the fork goes on as the run itself did or would have done."""

from collections.abc import Sequence

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import BaseChatMessage
from autogen_core.models import LLMMessage

from moot.agents.executor import executor
from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.fork import boundaries, fork
from moot.chats.fork_edits import Edits
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from tests.fakes import Counting, DyingStore, Killed, Scripted, Words, call, contexts, lines, steps

PLAN = ("a", "b c", "a", "runner", "a b c", "runner", "c", "a")
BOUNDARIES = [0, 1, 3, 4, 5, 8, 9, 10, 11]


def answer(messages: Sequence[LLMMessage], number: int) -> Words:
    """Depends on the request alone: the same in every process."""
    last = str(messages[-1].content)
    if "found" in last:
        return f"```python\nprint({len(messages)})\n```"
    return [call("look", {}, "c1")] if len(messages) % 2 else f"{len(messages)} messages, the last {last[:20]}"


def echo(number: int, messages: Sequence[BaseChatMessage]) -> str:
    """Depends on how often it spoke, and so on its own memory."""
    return f"turn {number} of mine, after {len(messages)} messages"


async def look() -> str:
    """Look something up."""
    return "found"


def chat() -> Chat:
    """Two adopted agents with a tool, one with a memory of its own, one that runs code."""
    model = Counting(answer)
    talkers = [AssistantAgent(name, model, tools=[look], reflect_on_tool_use=True) for name in "ab"]
    box = Fake(lambda code, language: Execution(exit_code=0, stdout=f"ran {code}"))
    return Chat(
        [*talkers, Scripted("c", echo), executor("runner", box)], speakers=steps(*PLAN), limits=Limits(turns=30)
    )


async def go_on(run: str, store: Store) -> Run:
    return await (await open_run(run, chat=chat(), store=store)).finish()


def told(run: Run) -> list[str]:
    """What was said, without the words that say that variables were lost."""
    return [line.replace("variables of earlier blocks are lost, files are kept\n", "") for line in lines(run)]


async def test_a_fork_from_any_turn_ends_as_the_run_did(store: Store) -> None:
    run = await chat().run("go", store=store)
    found = boundaries(await store.load(run.id))
    assert [boundary.turn for boundary in found] == BOUNDARIES
    for boundary in found:
        new = await fork(run.id, turn=boundary.turn, chat=chat(), store=store)
        again = await go_on(new, store)
        ran = any(turn.participant == "runner" for turn in run.transcript.history[: boundary.turn])
        assert told(again) == lines(run), boundary
        if not ran:
            assert await contexts(again) == await contexts(run)
        assert (again.usage.tokens == run.usage.tokens) == (boundary.turn == 0)
        assert await verify_run(store, new) == []
    for turn in set(range(run.turns + 1)) - set(BOUNDARIES):
        with pytest.raises(UserError, match="side by side"):
            await fork(run.id, turn=turn, chat=chat(), store=store)


async def test_a_fork_of_a_run_that_died_anywhere_ends_as_that_run_would_have(dead_owner: str) -> None:
    whole = await chat().run("go", store=MemoryStore())
    died = 0
    for at in range(1, 200):
        store = MemoryStore()
        dying = DyingStore(store, dead_owner, at=at, after=True)
        try:
            await (await chat().start("go", store=dying)).finish()
        except Killed:
            died += 1
        else:
            assert not dying.fired
            break
        assert dying.fired
        (run,) = await store.names()
        journal = await store.load(run)
        new = await fork(run, chat=chat(), store=store)
        assert told(await go_on(new, store)) == lines(whole), at
        assert await store.load(run) == journal
        assert await verify_run(store, new) == []
    assert died > 2 * len(PLAN)


async def test_every_turn_that_can_be_edited_can_be_edited(store: Store) -> None:
    run = await chat().run("go", store=store)
    for turn in BOUNDARIES[1:]:
        edits = Edits(message=f"other words {turn}")
        again = await go_on(await fork(run.id, turn=turn, edits=edits, chat=chat(), store=store), store)
        speaker = run.transcript.history[turn - 1].participant
        assert lines(again)[: turn - 1] == lines(run)[: turn - 1]
        assert lines(again)[turn - 1] == f"{speaker}: other words {turn}"
        for name, context in (await contexts(again)).items():
            heard_as = {str(m["type"]) for m in context if m["content"] == f"other words {turn}"}
            unread = {"UserMessage" for m in again._table.state.inbox[name] if m.to_text() == f"other words {turn}"}
            assert heard_as | unread == {"AssistantMessage" if name == speaker else "UserMessage"}
        assert await verify_run(store, again.id) == []
