"""What a fork copied is what stands in the other run, but for what it says was changed."""

from pathlib import Path

from moot.agents.assistant import assistant
from moot.agents.executor import Executor, executor
from moot.chats.chat import Chat
from moot.chats.fork import fork
from moot.chats.fork_edits import Edits
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from tests.fakes import Counting, Scripted, lines

FOUR = Limits(turns=4)


def two(model: Counting | None = None, *, limits: Limits = FOUR) -> Chat:
    """Two who talk by one model."""
    return Chat([assistant("ann", "Talk."), assistant("bob", "Talk.")], limits=limits, model=model or Counting())


async def go_on(run: str, chat: Chat | None, store: Store) -> Run:
    return await (await open_run(run, chat=chat, store=store)).finish()


def runs_code(box: Fake, table: Path, turns: int = 6) -> Chat:
    coder = Scripted("coder", lambda n, _: f"```python\nprint({n})\n```")
    runner = executor("runner", box, files=[table])
    assert isinstance(runner, Executor)
    return Chat([coder, runner], limits=Limits(turns=turns))


async def altered(store: MemoryStore, new: str, at: int, **changes: object) -> list[str]:
    """What is wrong with a fork when one of its events was changed."""
    kept = store._runs[new].events
    before = kept[at]
    kept[at] = before._replace(data=before.data.model_copy(update=changes))
    try:
        return await verify_run(store, new)
    finally:
        kept[at] = before


async def test_what_was_copied_is_verified_beside_the_run_it_was_copied_from() -> None:
    store = MemoryStore()
    run = await two().run("go", store=store)
    new = await fork(run.id, turn=2, edits=Edits(message="no", task="stay"), chat=two(), store=store)
    events = await store.load(new)
    assert await verify_run(store, new) == []
    finished = [n for n, e in enumerate(events) if e.type == "turn.finished"]
    (problem,) = await altered(store, new, finished[0], seconds=9.5)
    assert "is not what stands in run" in problem
    (problem,) = await altered(store, new, finished[1], seconds=9.5)
    assert f"event {finished[1] + 1} (turn.finished) is not what stands in run {run.id}" in problem
    (problem,) = await altered(store, new, 0, inputs={"ann": ()})
    assert "run.created" in problem
    assert await altered(store, new, 0, chat="other") == []  # a task may be another in the chat file, too
    forked = next(n for n, e in enumerate(events) if e.type == "run.forked")
    assert "claims that 3 events were copied" in (await altered(store, new, forked, head=3))[0]
    assert "does not stand at the end of turn 1" in (await altered(store, new, forked, turn=1))[0]
    assert "is not what stands" in "".join(await altered(store, new, forked, edits={}))
    await store.remove(run.id)
    assert await verify_run(store, new) == []


async def test_an_edited_report_of_code_is_no_damage(store: Store, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes(b"x,y")
    box = Fake(lambda code, language: Execution(exit_code=0, stdout="1\n"))
    run = await runs_code(box, table, turns=3).run("go", store=store)
    chat = runs_code(box, table, turns=4)
    new = await fork(run.id, turn=2, edits=Edits(message="nobody knows"), chat=chat, store=store)
    again = await go_on(new, chat, store)
    assert lines(again)[1] == "runner: nobody knows"
    assert await verify_run(store, new) == []
    third = await fork(new, turn=2, chat=chat, store=store)
    assert [e.type for e in await store.load(third)][-2:] == ["run.forked", "run.forked"]
    assert lines(await go_on(third, chat, store))[1] == "runner: nobody knows"
    assert await verify_run(store, third) == []
