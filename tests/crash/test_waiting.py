"""Runs that wait hold nothing, and a run that fails every time holds up nobody."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

from autogen_agentchat.agents import AssistantAgent, UserProxyAgent
from autogen_agentchat.messages import BaseChatMessage

from moot.chats.chat import Chat
from moot.chats.commands import Decide
from moot.chats.outside import post
from moot.chats.run import open_run
from moot.chats.sqlite_store import SqliteStore
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.testing import FakeModel
from tests.fakes import Scripted

WAITING = 1000


def asking() -> Chat:
    return Chat([UserProxyAgent("person"), AssistantAgent("clerk", FakeModel())], limits=Limits(turns=2))


async def test_a_thousand_runs_that_wait_hold_no_task_no_thread_and_no_claim(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db")
    before = set(threading.enumerate())
    runs = await asyncio.gather(*(asking().start("what now?", store=store) for _ in range(WAITING)))
    await asyncio.gather(*(run.finish() for run in runs))
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert set(threading.enumerate()) <= before
    rows = await store.runs()
    assert len(rows) == WAITING
    assert {(row.status, row.driven) for row in rows} == {("waiting", False)}

    chosen = runs[WAITING // 2]
    (request,) = chosen.requests
    await post(chosen.id, Decide(request=request.id, decision="respond", text="go", digest=request.digest), store)
    again = await (await open_run(chosen.id, chat=asking(), store=store)).finish()
    assert (again.status, again.turns) == ("finished", 2)
    assert sum(row.status == "waiting" for row in await store.runs()) == WAITING - 1
    await store.close()


async def test_a_run_that_fails_every_time_ends_as_failed_and_the_others_go_on(tmp_path: Path) -> None:
    tries = 0

    def poisoned(number: int, messages: Sequence[BaseChatMessage]) -> str:
        nonlocal tries
        tries += 1
        raise RuntimeError("it is poisoned")

    store = SqliteStore(tmp_path / "moot.db")
    sound = [Chat([AssistantAgent("clerk", FakeModel())], limits=Limits(turns=5)) for _ in range(20)]
    poison = Chat([Scripted("poison", poisoned)], limits=Limits(turns=5))
    first, *others = await asyncio.gather(*(chat.run("go", store=store) for chat in (poison, *sound)))
    await store.close()
    assert first.outcome is Outcome.FAILED
    assert "2 times in a row" in (first.stopped_by.reason if first.stopped_by is not None else "")
    assert tries == 2
    assert [(run.outcome, run.turns) for run in others] == [(Outcome.LIMIT, 5)] * 20
