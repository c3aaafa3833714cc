"""Runs that ask people, and what people answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moot.agents.questions import Verdict
from moot.chats.chat import Chat
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run

Answers = Sequence[tuple[Verdict, str, str]]
"""Of each question in order: the decision, its text, and what stands in place of what was shown."""


async def answered(make: Callable[[], Chat], answers: Answers, store: Store | None = None) -> Run:
    """The run after these answers, each taken in by another process."""
    store = store or MemoryStore()
    run = await make().run("go", store=store)
    for verdict, text, edited in answers:
        assert run.status == "waiting"
        await run.decide(run.requests[0].id, verdict, text, by="ann", edited=edited)
        run = await (await open_run(run.id, chat=make(), store=store)).finish()
    assert await verify_run(store, run.id) == []
    return run
