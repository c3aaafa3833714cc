"""A fork begins as another run did, up to the end of a turn, and goes on by itself."""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent, UserProxyAgent

from moot.agents.assistant import assistant
from moot.agents.errors import ModelError
from moot.agents.executor import Executor, executor
from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.commands import Decide, Say
from moot.chats.errors import StoreError, UserError
from moot.chats.events import Event, dumped
from moot.chats.fork import fork
from moot.chats.fork_edits import NO_EDITS, Edits
from moot.chats.forking import Forking
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Chain, Store
from moot.chats.verify import verify_run
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake, FakeBox
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Counting, DyingStore, Killed, Scripted, contexts, data_of, lines, steps

FOUR = Limits(turns=4)


def two(model: Counting | None = None, *, limits: Limits = FOUR) -> Chat:
    """Two who talk by one model."""
    return Chat([assistant("ann", "Talk."), assistant("bob", "Talk.")], limits=limits, model=model or Counting())


async def go_on(run: str, chat: Chat | None, store: Store) -> Run:
    return await (await open_run(run, chat=chat, store=store)).finish()


async def as_text(store: Store, run: str) -> list[str]:
    return [f"{e.seq} {e.ts} {e.type} {e.turn} {dumped(e.data)}" for e in await store.load(run)]


async def stopped_after(turn: int, chat: Chat, store: Store) -> Run:
    run = await chat.start("go", store=store)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.started" and event.turn == turn:
            run.pause_after_turn()
    return await run.finish()


async def test_a_fork_has_the_same_beginning_and_an_end_of_its_own(store: Store) -> None:
    run = await two().run("go", store=store)
    before = await as_text(store, run.id)
    model = Counting(lambda messages, number: f"other {number}")
    new = await fork(run.id, turn=2, chat=two(model), store=store)
    events = await store.load(new)
    forked = events[-1].data
    assert isinstance(forked, ev.RunForked)
    assert (forked.parent, forked.turn, forked.head, forked.edits) == (run.id, 2, events[-1].seq - 1, {})
    assert await as_text(store, new) == [*before[: forked.head], (await as_text(store, new))[-1]]
    assert events[-2].type == "turn.finished"
    again = await go_on(new, two(model), store)
    assert lines(again) == [*lines(run)[:2], "ann: other 1", "bob: other 2"]
    assert (again.outcome, again.turns, len(model.requests)) == (Outcome.LIMIT, 4, 2)
    assert await as_text(store, run.id) == before
    assert [await verify_run(store, name) for name in (run.id, new)] == [[], []]


async def test_what_was_copied_is_not_paid_again(store: Store) -> None:
    def chat() -> Chat:
        return two(Counting(usage=(200, 100)), limits=Limits(turns=10, tokens=1000))

    run = await chat().run("go", store=store)
    assert (run.turns, run.stopped_by and run.stopped_by.rule) == (3, "limits.tokens")
    new = await fork(run.id, chat=chat(), store=store)
    again = await go_on(new, chat(), store)
    assert (again.turns, again.usage.tokens) == (6, 900)
    assert await verify_run(store, new) == []


async def test_an_adopted_agent_knows_what_it_knew_at_that_turn(store: Store) -> None:
    def chat(turns: int = 4) -> Chat:
        return Chat([AssistantAgent(name, Counting()) for name in "ab"], limits=Limits(turns=turns))

    paused = await stopped_after(2, chat(), store)
    known = await contexts(paused)
    whole = await go_on(paused.id, chat(), store)
    over = chat(2)
    over_at_once = await fork(whole.id, turn=2, chat=over, store=store)
    opened = await go_on(over_at_once, over, store)
    assert await contexts(opened) == known
    assert opened.turns == 2
    again = await go_on(await fork(whole.id, turn=2, chat=chat(), store=store), chat(), store)
    assert await contexts(again) == await contexts(whole)


async def test_an_agent_of_ones_own_gets_back_what_it_had_saved(store: Store) -> None:
    run = await Chat([Scripted("a"), Scripted("b")], limits=Limits(turns=6)).run("go", store=store)
    fresh = Scripted("a")
    chat = Chat([fresh, Scripted("b")], limits=Limits(turns=3))
    again = await go_on(await fork(run.id, turn=2, chat=chat, store=store), chat, store)
    assert lines(again) == ["a: a 1", "b: b 1", "a: a 2"]
    assert fresh.told == ["user: go", "b: b 1"]


async def test_an_agent_that_remembers_what_came_later_is_refused(store: Store) -> None:
    agents = [Scripted("a"), Scripted("b"), Scripted("c")]
    chat = Chat(agents, limits=Limits(turns=3))
    run = await chat.run("go", store=store)
    for turn in (0, 1, 2):
        with pytest.raises(UserError, match=r"'[abc]' is an agent that remembers what it said later in the run"):
            await run.fork(turn)
    assert await store.names() == [run.id]
    more = Chat([*agents[:2], Scripted("c")], limits=Limits(turns=3))
    again = await run.fork(2, chat=more).finish()
    assert lines(again) == lines(run)
    assert lines(await run.fork(3).finish()) == lines(run)


async def test_a_run_forks_itself_with_another_model(store: Store, tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text("version: 1\nname: b\nparts: {ann: [{say: from the book}], bob: [{say: from the book}]}\n")
    run = await two().run("go", store=store)
    again = await run.fork(2, model=f"playbook:{book}").finish()
    assert lines(again) == [*lines(run)[:2], "ann: from the book", "bob: from the book"]
    assert again.created.models["ann"].startswith("playbook:")


async def test_before_anybody_spoke_only_the_task_is_kept(store: Store) -> None:
    run = await two().run("go", store=store)
    new = await fork(run.id, turn=0, chat=two(), store=store)
    assert [e.type for e in await store.load(new)] == ["run.created", "message", "run.forked"]
    again = await go_on(new, two(), store)
    assert lines(again) == lines(run)
    assert await verify_run(store, new) == []


async def test_notes_to_the_next_speaker_are_not_copied(store: Store) -> None:
    chat = two(limits=Limits(turns=5))
    run = await chat.run("go", store=store)
    assert [w.limit for w in await data_of(store, run, ev.BudgetWarning)] == ["turns"]
    new = await fork(run.id, turn=4, chat=chat, store=store)
    assert not any(e.type == "budget.warning" for e in await store.load(new))
    again = await go_on(new, chat, store)
    assert [w.limit for w in await data_of(store, again, ev.BudgetWarning)] == ["turns"]


async def test_a_warning_that_was_copied_does_not_silence_the_forks_own(store: Store) -> None:
    limits = Limits(turns=10)
    run = await two(limits=limits).run("go", store=store)
    new = await fork(run.id, turn=9, chat=two(limits=limits), store=store)
    assert sum(e.type == "budget.warning" for e in await store.load(new)) == 1
    again = await go_on(new, two(limits=limits), store)
    assert len(await data_of(store, again, ev.BudgetWarning)) == 2


async def test_without_a_turn_a_fork_begins_at_the_last_one_that_is_finished(store: Store, dead_owner: str) -> None:
    dying = DyingStore(store, dead_owner, at=3, after=True)
    run = await two().start("go", store=dying)
    with pytest.raises(Killed):
        await run.finish()
    assert dying.fired
    kept = await as_text(store, run.id)
    assert [e.type for e in await store.load(run.id)][-1] == "effect.intended"
    new = await fork(run.id, chat=two(), store=store)
    events = await store.load(new)
    assert [e.type for e in events[-2:]] == ["turn.finished", "run.forked"]
    assert (await go_on(new, two(), store)).turns == 4
    assert await as_text(store, run.id) == kept
    with pytest.raises(UserError, match=r"turn 2 of run \w+ is not finished: it can be forked at 0 to 1"):
        await fork(run.id, turn=2, chat=two(), store=store)


async def test_a_run_that_is_under_way_can_be_forked(sqlite: SqliteStore) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def wait(messages: object, number: int) -> str:
        if number == 3:
            asked.set()
            await answered.wait()
        return f"said {number}"

    run = await two(Counting(wait)).start("go", store=sqlite)
    await asked.wait()
    new = await fork(run.id, chat=two(), store=sqlite)
    again = await go_on(new, two(), sqlite)
    assert (run.status, again.outcome) == ("running", Outcome.LIMIT)
    answered.set()
    assert lines(await run.finish())[:2] == lines(again)[:2]
    assert [await verify_run(sqlite, name) for name in (run.id, new)] == [[], []]


async def test_a_fork_can_be_forked(store: Store) -> None:
    run = await two().run("go", store=store)
    one = await go_on(await fork(run.id, turn=2, chat=two(), store=store), two(), store)
    for turn in (1, 3):
        new = await fork(one.id, turn=turn, chat=two(), store=store)
        again = await go_on(new, two(), store)
        own = (await data_of(store, again, ev.RunForked))[-1]
        assert (own.parent, own.turn) == (one.id, turn)
        assert again.turns == 4
        assert again.usage.tokens == 15 * (4 - turn)
        assert await verify_run(store, new) == []


async def test_a_fork_from_the_beginning_can_be_forked_from_the_beginning(store: Store) -> None:
    run = await two().run("go", store=store)
    one = await fork(run.id, turn=0, edits=Edits(task="stay"), chat=two(), store=store)
    new = await fork(one, turn=0, chat=two(), store=store)
    assert [e.type for e in await store.load(new)] == ["run.created", "message", "run.forked", "run.forked"]
    again = await go_on(new, two(), store)
    assert [m.to_text() for m in again.transcript.task] == ["stay"]
    assert [await verify_run(store, name) for name in (one, new)] == [[], []]


async def test_turns_taken_side_by_side_are_not_cut_apart(store: Store) -> None:
    def chat() -> Chat:
        return Chat([Scripted(n) for n in "abc"], speakers=steps("a", "b c", "a"), limits=Limits(turns=9))

    run = await chat().run("go", store=store)
    with pytest.raises(UserError, match=r"turns 2 and 3 of run \w+ were taken side by side.* turn 1, .* turn 3"):
        await fork(run.id, turn=2, chat=chat(), store=store)
    again = await go_on(await fork(run.id, turn=3, chat=chat(), store=store), chat(), store)
    assert lines(again) == lines(run)
    edits = Edits(message="c says no")
    again = await go_on(await fork(run.id, turn=3, edits=edits, chat=chat(), store=store), chat(), store)
    assert lines(again) == ["a: a 1", "b: b 1", "c: c says no", "a: a 2"]
    assert await verify_run(store, again.id) == []


async def test_that_the_run_would_end_at_once_is_told(store: Store) -> None:
    run = await two().run("go", store=store)
    new = await fork(run.id, chat=two(), store=store)
    warned = [e.data.text for e in await store.load(new) if isinstance(e.data, ev.Warned)]
    assert warned == ["limits.turns holds already at turn 4 (4 turns taken): the run ends before anybody speaks"]
    again = await go_on(new, two(), store)
    assert (again.turns, again.usage.tokens) == (4, 0)


class Opened(Fake):
    """Notes the files that each box begins with."""

    def open(self, *, run: str = "", files: Mapping[str, bytes] | None = None) -> AbstractAsyncContextManager[FakeBox]:
        BEGAN.append((run, dict(files or {})))
        return super().open(run=run, files=files)


BEGAN: list[tuple[str, dict[str, bytes]]] = []


def runs_code(box: Fake, table: Path, turns: int = 6) -> Chat:
    coder = Scripted("coder", lambda n, _: f"```python\nprint({n})\n```")
    runner = executor("runner", box, files=[table])
    assert isinstance(runner, Executor)
    return Chat([coder, runner], limits=Limits(turns=turns))


async def test_a_workspace_has_the_files_of_that_turn_and_the_coder_hears_that_variables_are_lost(
    store: Store, tmp_path: Path
) -> None:
    def made(code: str, language: str) -> Execution:
        data = code.encode()
        return Execution(
            exit_code=0, artifacts=(Artifact("out.txt", len(data), hashlib.sha256(data).hexdigest(), data),)
        )

    BEGAN.clear()
    table = tmp_path / "table.csv"
    table.write_bytes(b"x,y")
    run = await runs_code(Opened(made), table).run("go", store=store)
    table.unlink()
    new = await fork(run.id, turn=2, chat=runs_code(Opened(made), table), store=store)
    again = await go_on(new, runs_code(Opened(made), table), store)
    assert list(BEGAN) == [
        (run.id, {"table.csv": b"x,y"}),
        (new, {"table.csv": b"x,y", "out.txt": b"print(1)\n"}),
    ]
    assert [b.state_lost for b in await data_of(store, again, ev.CodeFinished)] == [False, True, False]
    assert again.usage.code_runs == 2
    assert await verify_run(store, new) == []


async def test_a_file_that_is_missing_is_told_before_anything_is_written(tmp_path: Path) -> None:
    store = MemoryStore()
    table = tmp_path / "table.csv"
    table.write_bytes(b"x,y")
    run = await runs_code(Fake(), table, turns=2).run("go", store=store)
    store.blobs._kept.clear()
    with pytest.raises(StoreError, match="is missing"):
        await fork(run.id, chat=runs_code(Fake(), table), store=store)
    assert await store.names() == [run.id]


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (5, "has 4 turns: it cannot be forked at turn 5, but at 0 to 4"),
        (-1, "turn -1: give the number of a turn, 0 for before the first"),
        ("2", "turn '2': give the number of a turn"),
        (True, "turn True: give the number of a turn"),
    ],
)
async def test_a_turn_that_is_not_there_is_refused(store: Store, turn: int, said: str) -> None:
    run = await two().run("go", store=store)
    with pytest.raises(UserError) as refused:
        await fork(run.id, turn=turn, chat=two(), store=store)
    assert said in str(refused.value)
    assert await store.names() == [run.id]


async def test_what_cannot_be_forked_leaves_the_store_as_it_is(store: Store) -> None:
    run = await two().run("go", store=store)
    other = Chat([assistant("cay", "Talk.")], limits=FOUR, model=Counting())
    refused: list[tuple[type[Exception], str, Edits, Chat | None]] = [
        (UserError, "was made of Python objects (chat 'chat'): fork it with them", NO_EDITS, None),
        (UserError, "was made with ann, bob, not with cay", NO_EDITS, other),
        (UserError, "limits.turns is a place in a chat file", Edits(sets={"limits.turns": "9"}), two()),
        (ModelError, "unknown model 'opena/gpt-5'", Edits(model="opena/gpt-5"), two()),
    ]
    for kind, words, edits, chat in refused:
        with pytest.raises(kind) as caught:
            await fork(run.id, turn=2, edits=edits, chat=chat, store=store)
        assert words in str(caught.value)
    with pytest.raises(UserError, match="nobody has spoken at turn 0"):
        await fork(run.id, turn=0, edits=Edits(message="x"), chat=two(), store=store)
    with pytest.raises(UserError, match="no run begins with 'zzz'; the newest are"):
        await fork("zzz", chat=two(), store=store)
    assert await store.names() == [run.id]


async def test_a_process_that_dies_while_it_forks_leaves_no_half_of_a_run(store: Store, dead_owner: str) -> None:
    run = await two().run("go", store=store)
    before = await as_text(store, run.id)
    for after in (False, True):
        dying = DyingStore(store, dead_owner, at=1, after=after)
        with pytest.raises(Killed):
            await fork(run.id, turn=2, chat=two(), store=dying)
        assert dying.fired
        assert len(await store.runs()) == 1 + after
        assert await as_text(store, run.id) == before
    (new,) = [row.run for row in await store.runs() if row.run != run.id]
    assert (await go_on(new, two(), store)).turns == 4
    assert await verify_run(store, new) == []


class Damaged(MemoryStore):
    """Somebody changed its rows."""

    async def chain(self, run: str) -> Chain:
        return Chain("aa", "bb")


async def test_a_damaged_journal_is_not_forked() -> None:
    store = Damaged()
    run = await two().run("go", store=store)
    with pytest.raises(StoreError, match=r"is damaged \(it was changed after it was written\): moot verify"):
        await fork(run.id, chat=two(), store=store)
    assert await store.names() == [run.id]


async def test_what_people_asked_of_the_run_is_no_command_to_its_fork(store: Store) -> None:
    chat = two(limits=Limits(turns=4))
    run = await stopped_after(2, chat, store)
    await store.post(run.id, Say(text="be quick", by="eve").model_dump_json())
    await go_on(run.id, chat, store)
    (heard,) = await data_of(store, run, ev.HumanSaid)
    assert heard.command == 1
    new = await fork(run.id, turn=3, chat=chat, store=store)
    assert any(e.type == "human.message" for e in await store.load(new))
    await store.post(new, Say(text="be kind", by="eve").model_dump_json())
    again = await go_on(new, chat, store)
    all_heard = [dumped(said) for said in await data_of(store, again, ev.HumanSaid)]
    assert ["be quick" in all_heard[0], "be kind" in all_heard[1]] == [True, True]
    assert await verify_run(store, new) == []


async def test_what_a_person_decided_is_copied_and_what_nobody_decided_is_not(store: Store) -> None:
    def chat() -> Chat:
        return Chat([Scripted("a"), UserProxyAgent("bob")], limits=FOUR)

    run = await (await chat().start("go", store=store)).finish()
    assert (run.status, run.turns) == ("waiting", 1)
    (open_one,) = await data_of(store, run, ev.RequestAsked)
    new = await fork(run.id, chat=chat(), store=store)
    assert not any(e.type == "request.asked" for e in await store.load(new))
    again = await go_on(new, chat(), store)
    assert (again.status, again.turns) == ("waiting", 1)
    decided = Decide(request=open_one.id, decision="respond", text="yes", digest=open_one.digest)
    await store.post(run.id, decided.model_dump_json())
    run = await go_on(run.id, chat(), store)
    assert lines(run)[:2] == ["a: a 1", "bob: yes"]
    new = await fork(run.id, turn=3, chat=chat(), store=store)
    again = await go_on(new, chat(), store)
    assert (again.status, lines(again)) == ("waiting", ["a: a 1", "bob: yes", "a: a 2"])
    assert await verify_run(store, new) == []


async def test_a_fork_is_made_and_driven_when_it_is_awaited(store: Store, tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text("version: 1\nname: book\nparts:\n  ann: [{say: from the book}]\n  bob: [{say: me too}]\n")
    run = await two().run("go", store=store)
    forking = Forking(run.id, turn=2, edits=Edits(model=f"playbook:{book}"), chat=two(), store=store)
    assert await store.names() == [run.id]
    again = await forking.finish()
    assert lines(again)[2:] == ["ann: from the book", "bob: me too"]
    driven = await Forking(run.id, chat=two(limits=Limits(turns=5)), store=store)
    assert (await driven.finish()).turns == 5
