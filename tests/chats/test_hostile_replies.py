"""Whatever a model replies, its turn ends, and its run can be opened again and gone on with."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResultMessage, LLMMessage

from moot.agents.replay_client import replayed
from moot.agents.tape_client import record
from moot.agents.tool_policy import ToolPolicy
from moot.chats.chat import Chat
from moot.chats.commands import Decide
from moot.chats.event_types import RequestAsked
from moot.chats.memory_store import MemoryStore
from moot.chats.run import open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from tests.fakes import Counting, Words, lines


class Office:
    """Notes what is put down."""

    def __init__(self) -> None:
        self.notes: list[Any] = []

    async def note(self, x: Any) -> str:
        """Put something down."""
        self.notes.append(x)
        return "noted"


def deep(levels: int) -> str:
    return '{"x": ' + "[" * levels + "]" * levels + "}"


def calling(*calls: FunctionCall) -> Counting:
    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        told = any(isinstance(message, FunctionExecutionResultMessage) for message in messages)
        return "done" if told else list(calls)

    return Counting(answer)


def one(office: Office, model: Any, **more: Any) -> Chat:
    agent = AssistantAgent("a", model, tools=[office.note], reflect_on_tool_use=True)
    return Chat([agent], limits=Limits(turns=1), **more)


ASKED = ToolPolicy(approve=frozenset({"note"}))
READABLE = {
    "deep": deep(199),
    "half in a key": '{"x": {"\\ud800": 1}}',
    "half in a value": '{"x": "\\ud800"}',
    "raw half": '{"x": "\ud800"}',
    "no number": '{"x": NaN}',
    "large": f'{{"x": {"9" * 4300}}}',
}
UNREADABLE = {
    "220": deep(220), "300": deep(300), "3,000": deep(3_000), "100,000": deep(100_000),
    "huge number": f'{{"x": {"9" * 5000}}}', "cut off": '{"x": ',
}  # fmt: skip


@pytest.mark.parametrize("arguments", READABLE.values(), ids=READABLE)
async def test_a_call_that_is_asked_about_can_be_approved_in_another_process(arguments: str, store: Store) -> None:
    office, call = Office(), FunctionCall("c", arguments, "note")
    run = await one(office, calling(call), tools=ASKED).run("go", store=store)
    assert run.status == "waiting"
    (request,) = [event.data for event in await store.load(run.id) if isinstance(event.data, RequestAsked)]
    decided = Decide(request=request.id, decision="approve", digest=request.digest, by="ann")
    await store.post(run.id, decided.model_dump_json())
    again = await (await open_run(run.id, chat=one(office, calling(call), tools=ASKED), store=store)).finish()
    assert lines(again) == ["a: done"]
    assert len(office.notes) == 1
    assert await verify_run(store, run.id) == []


@pytest.mark.parametrize("arguments", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_call_that_nobody_can_read_is_told_to_the_model_and_to_nobody_else(
    arguments: str, store: Store
) -> None:
    office, call = Office(), FunctionCall("c", arguments, "note")
    run = await asyncio.wait_for(one(office, calling(call), tools=ASKED).run("go", store=store), 20)
    assert lines(run) == ["a: done"]
    assert office.notes == []
    assert await verify_run(store, run.id) == []


async def test_calls_with_odd_ids_are_each_made_and_recorded(store: Store) -> None:
    office = Office()
    calls = [
        FunctionCall(ident, f'{{"x": {number}}}', "note")
        for number, ident in enumerate(["a", "a", "a#1", "\ud800", "a/b", "", "?0", "~"])
    ]
    run = await one(office, calling(*calls)).run("go", store=store)
    assert lines(run) == ["a: done"]
    assert sorted(office.notes) == list(range(8))
    assert await verify_run(store, run.id) == []


async def test_a_tape_gives_a_hostile_reply_again_as_it_was_taken(tmp_path: Path) -> None:
    tape = tmp_path / "hostile.jsonl"
    calls = [FunctionCall("\ud800", '{"x": {"\\ud800": 1}}', "note"), FunctionCall("d", deep(3_000), "note")]
    first, second = Office(), Office()
    recorded = await one(first, record(calling(*calls), tape)).run("go", store=MemoryStore())
    again = await asyncio.wait_for(one(second, replayed(tape)).run("go", store=MemoryStore()), 20)
    assert lines(again) == lines(recorded) == ["a: done"]
    assert first.notes == second.notes == [{"\ufffd": 1}]
