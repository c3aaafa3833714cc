"""Runs that nobody drives are ended by whoever asks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.messages import TextMessage

from moot.chats import event_types as ev
from moot.chats.build import load_chat
from moot.chats.chat import Chat
from moot.chats.commands import End, Say
from moot.chats.errors import Fenced, StoreError
from moot.chats.outside import post, requests
from moot.chats.run import Run, open_run
from moot.chats.stopping import stop_idle
from moot.chats.store import Store
from moot.chats.story import Story
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Scripted, data_of, types

TWO = Limits(turns=2)


class Signed(TextMessage):
    """A message that only its own agent knows how to read."""

    type: Literal["Signed"] = "Signed"  # type: ignore[assignment]

    def to_text(self) -> str:
        return f"{self.content} (signed)"


async def waiting(store: Store) -> Run:
    """A run whose first turn was said, and whose second waits for a person."""
    chat = Chat([Scripted("a"), UserProxyAgent("owner")], limits=TWO)
    run = await chat.run("go", store=store)
    assert run.status == "waiting"
    return run


async def test_it_ends_as_stopped_with_what_it_had_spent_and_said(store: Store) -> None:
    run = await waiting(store)
    await post(run.id, Say(text="enough", by="eve"), store)
    await post(run.id, End(by="eve", reason="too late"), store)
    stop = await stop_idle(store, run.id)
    assert stop is not None
    assert (stop.outcome, stop.rule, stop.reason) == (
        Outcome.STOPPED,
        "command.stop",
        "stopped by eve: too late",
    )
    (done,) = await data_of(store, run, ev.RunFinished)
    assert (done.turns, done.result) == (1, "a 1")
    assert (await types(store, run))[-4:] == ["run.resumed", "human.message", "command.stop", "run.finished"]


async def test_nobody_waits_for_what_was_not_decided_when_a_run_ended(store: Store) -> None:
    chat = Chat([Scripted("a"), UserProxyAgent("owner")], limits=TWO)
    run = await chat.run("go", store=store)
    assert [request.id for request in await requests(run.id, store)] == ["q1"]
    await post(run.id, End(), store)
    again = await (await open_run(run.id, chat=chat, store=store)).finish()
    assert (again.outcome, again.requests) == (Outcome.STOPPED, [])
    assert await requests(run.id, store) == []
    told = Story.of(run.id, await store.load(run.id))
    assert (told.waiting, told.asked["q1"].dropped) == ([], True)
    assert await verify_run(store, run.id) == []
    row = await store.row(run.id)
    assert (row.status, row.outcome, row.driven) == ("finished", "stopped", False)


async def test_one_whose_end_nobody_asked_for_is_left_as_it_was(store: Store) -> None:
    run = await waiting(store)
    assert await stop_idle(store, run.id) is None
    assert await data_of(store, run, ev.RunFinished) == []
    row = await store.row(run.id)
    assert (row.status, row.driven) == ("waiting", False)


async def test_the_result_is_found_as_the_chat_file_says(store: Store, tmp_path: Path) -> None:
    (tmp_path / "play.yaml").write_text(
        "version: 1\nname: p\nparts:\n  ann:\n    - say: 'so far: seven'\n  bob: [{say: later}]\n"
    )
    (tmp_path / "chat.yaml").write_text(
        "version: 1\nname: c\ntask: go\nmodel: playbook:play.yaml\nlimits: {turns: 9}\n"
        "participants: {ann: {role: assistant, instructions: Talk.}, bob: {role: assistant, instructions: Talk.}}\n"
        "result: {from: ann, extract: 'so far: (.+)'}\n"
    )
    loaded = load_chat(tmp_path / "chat.yaml")
    chat = replace(loaded.chat, participants=[loaded.chat.participants[0], UserProxyAgent("bob")])
    run = await chat.run(loaded.task, store=store)
    assert (run.status, run.turns) == ("waiting", 1)
    await post(run.id, End(), store)
    await stop_idle(store, run.id)
    (done,) = await data_of(store, run, ev.RunFinished)
    assert done.result == "seven"
    assert await verify_run(store, run.id) == []


async def test_one_that_only_its_own_agents_can_read_ends_when_it_is_opened_with_them(store: Store) -> None:
    def sign(number: int, messages: object) -> Signed:
        return Signed(content="mine", source="a")

    class Signing(Scripted):
        @property
        def produced_message_types(self) -> tuple[type[Signed]]:
            return (Signed,)

    def chat() -> Chat:
        return Chat([Signing("a", sign), UserProxyAgent("owner")], limits=TWO)

    run = await chat().run("go", store=store)
    assert run.status == "waiting"
    await post(run.id, End(by="eve"), store)
    memory = type(store).__name__ == "MemoryStore"  # it keeps the messages themselves
    if memory:
        assert await stop_idle(store, run.id) is not None
        return
    with pytest.raises(StoreError, match="open the run with the chat that made it"):
        await stop_idle(store, run.id)
    assert not (await store.row(run.id)).driven
    again = await (await open_run(run.id, chat=chat(), store=store)).finish()
    assert again.outcome is Outcome.STOPPED


async def test_one_that_somebody_drives_is_left_to_them(store: Store, living_owner: str) -> None:
    run = await waiting(store)
    await store.claim(run.id, living_owner)
    with pytest.raises(Fenced):
        await stop_idle(store, run.id)
