"""A fork begins as another run did, up to the end of a turn, and goes on by itself."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from autogen_agentchat.agents import ApprovalResponse, AssistantAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, MultiModalMessage, TextMessage
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.models import LLMMessage

from moot.agents.assistant import assistant
from moot.agents.errors import ModelError, PlaybookError
from moot.agents.executor import Executor, executor
from moot.chats import events as ev
from moot.chats.build import load_chat, recorded
from moot.chats.chat import Chat
from moot.chats.commands import Decide, Say
from moot.chats.errors import SpecError, StoreError, UserError
from moot.chats.events import Event
from moot.chats.fork import fork
from moot.chats.fork_edits import NO_EDITS, Edits, reworded
from moot.chats.forking import Forking
from moot.chats.graph import graph
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Chain, Store
from moot.chats.verify import verify_run
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake, FakeBox
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.termination.rules import says
from tests.fakes import Counting, DyingStore, Killed, Scripted, Words, call, contexts, data_of, lines, steps

FOUR = Limits(turns=4)


def two(model: Counting | None = None, *, limits: Limits = FOUR) -> Chat:
    """Two who talk by one model."""
    return Chat([assistant("ann", "Talk."), assistant("bob", "Talk.")], limits=limits, model=model or Counting())


async def go_on(run: str, chat: Chat | None, store: Store) -> Run:
    return await (await open_run(run, chat=chat, store=store)).finish()


async def as_text(store: Store, run: str) -> list[str]:
    return [f"{e.seq} {e.ts} {e.type} {e.turn} {ev.dumped(e.data)}" for e in await store.load(run)]


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


async def test_a_graph_goes_on_from_what_was_said_instead(store: Store) -> None:
    def chat() -> Chat:
        edges = graph("w -> c", 'c -> w when says "REDO:"', "c -> e otherwise", "e -> w")
        agents = [Scripted("w"), Scripted("c", lambda n, _: "REDO: no"), Scripted("e")]
        return Chat(agents, speakers=edges, stop=says("e", contains="e"), limits=FOUR)

    run = await chat().run("go", store=store)
    assert lines(run)[-1] == "c: REDO: no"
    new = await fork(run.id, turn=2, edits=Edits(message="fine"), chat=chat(), store=store)
    again = await go_on(new, chat(), store)
    assert lines(again) == ["w: w 1", "c: fine", "e: e 1"]
    assert again.outcome is Outcome.GOAL
    assert await verify_run(store, new) == []


async def test_everybody_hears_what_was_said_instead_the_speaker_too(store: Store) -> None:
    run = await two().run("go", store=store)
    model = Counting()
    edits = Edits(message="I was wrong")
    new = await fork(run.id, turn=2, edits=edits, chat=two(), store=store)
    (forked,) = [e.data for e in await store.load(new) if isinstance(e.data, ev.RunForked)]
    assert forked.edits == {"turn 2": "I was wrong"}
    again = await go_on(new, two(model), store)
    assert lines(again)[1] == "bob: I was wrong"
    ann, bob = model.requests
    assert [m.content for m in ann[-1:]] == ["I was wrong"]
    said = [m for m in bob if m.type == "AssistantMessage"]
    assert [m.content for m in said] == ["I was wrong"]
    assert "I was wrong" not in "".join(lines(run))
    assert await verify_run(store, new) == []


async def test_a_summary_of_tool_results_that_is_edited_is_put_after_them(store: Store) -> None:
    async def look() -> str:
        """Look something up."""
        return "found"

    def chat(model: Counting) -> Chat:
        return Chat([AssistantAgent("a", model, tools=[look])], limits=Limits(turns=2))

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("look", {}, "c1")]

    run = await chat(Counting(answer)).run("go", store=store)
    assert lines(run) == ["a: found", "a: found"]
    new = await fork(run.id, turn=1, edits=Edits(message="nothing there"), chat=chat(Counting()), store=store)
    model = Counting()
    again = await go_on(new, chat(model), store)
    assert lines(again)[0] == "a: nothing there"
    told = [(m.type, m.content) for m in model.requests[0]]
    assert told[-1] == ("AssistantMessage", "nothing there")
    assert [kind for kind, _ in told] == [
        "SystemMessage", "UserMessage", "AssistantMessage", "FunctionExecutionResultMessage", "AssistantMessage",
    ]  # fmt: skip
    assert await verify_run(store, new) == []


async def test_an_agent_that_keeps_its_memory_to_itself_is_named_where_words_are_changed(store: Store) -> None:
    run = await Chat([Scripted("a"), Scripted("b")], limits=FOUR).run("go", store=store)
    chat = Chat([Scripted("a"), Scripted("b")], limits=FOUR)
    new = await fork(run.id, turn=1, edits=Edits(message="no"), chat=chat, store=store)
    warned = [e.data.text for e in await store.load(new) if isinstance(e.data, ev.Warned)]
    assert warned == ["a keeps what it remembers to itself: its own memory still has the old words"]
    assert lines(await go_on(new, chat, store))[0] == "a: no"


async def test_another_task_is_heard_from_the_beginning(store: Store) -> None:
    run = await two().run("go", store=store)
    model = Counting()
    new = await fork(run.id, turn=1, edits=Edits(task="stay"), chat=two(), store=store)
    again = await go_on(new, two(model), store)
    assert [m.to_text() for m in again.transcript.task] == ["stay"]
    assert "stay" in [m.content for m in model.requests[0]]
    assert not any(m.content == "go" for request in model.requests for m in request)
    assert await verify_run(store, new) == []


async def test_another_model_speaks_for_every_assistant_made_here(store: Store, tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text("version: 1\nname: book\nparts:\n  ann: [{say: from the book}]\n  bob: [{say: me too}]\n")
    run = await two().run("go", store=store)
    edits = Edits(model=f"playbook:{book}")
    new = await fork(run.id, turn=2, edits=edits, chat=two(), store=store)
    again = await go_on(new, edits.applied(two()), store)
    assert lines(again)[2:] == ["ann: from the book", "bob: me too"]
    assert (again.created.models, again.created.model_kind) == (
        {"ann": "playbook:book", "bob": "playbook:book"},
        "scripted",
    )
    assert (await data_of(store, again, ev.RunForked))[0].edits == {"model": f"playbook:{book}"}
    assert await verify_run(store, new) == []


async def test_other_instructions_are_followed(store: Store) -> None:
    run = await two().run("go", store=store)
    edits, model = Edits(instructions={"ann": "Sing."}), Counting()
    new = await fork(run.id, turn=2, edits=edits, chat=two(), store=store)
    await go_on(new, edits.applied(two(model)), store)
    assert "Sing." in str(model.requests[0][0].content)
    with pytest.raises(UserError, match=r"'anne' is no assistant\(\.\.\.\).*did you mean 'ann'\?"):
        await fork(run.id, edits=Edits(instructions={"anne": "Sing."}), chat=two(), store=store)


async def test_limits_are_those_of_the_chat_that_is_given(store: Store) -> None:
    run = await two().run("go", store=store)
    more = two(limits=Limits(turns=6))
    new = await fork(run.id, chat=more, store=store)
    again = await go_on(new, more, store)
    assert (again.turns, again.outcome) == (6, Outcome.LIMIT)
    assert (await data_of(store, again, ev.RunForked))[0].edits == {"limits.turns": "6"}
    assert await verify_run(store, new) == []


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


@pytest.mark.parametrize("given", [{"message": " "}, {"task": ""}, {"message": "\ud83d"}])
def test_empty_or_broken_words_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"is empty: say what|is not UTF-8"):
        Edits(**given)  # type: ignore[arg-type]


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


PLAY = """
version: 1
name: duet
parts:
  ann: [{say: "hello from ann"}]
  bob: [{when: {turn: 2}, say: "DONE: agreed"}, {say: "not yet"}]
"""
DUET = """
version: 1
name: duet
task: "Agree on {what}."
inputs: {what: {default: lunch}}
model: playbook:play.yaml
participants:
  ann: {role: assistant, instructions: "Talk."}
  bob: {role: assistant, instructions: "Talk, then {{DONE}}:", model: "playbook:play.yaml#bob"}
limits: {turns: 6}
stop: [{id: done, says: {participant: bob, starts: "DONE:"}}]
"""


@pytest.fixture
def duet(tmp_path: Path) -> Path:
    (tmp_path / "play.yaml").write_text(PLAY)
    (tmp_path / "duet.yaml").write_text(DUET)
    return tmp_path / "duet.yaml"


async def played(duet: Path, store: Store) -> Run:
    loaded = load_chat(duet)
    run = await loaded.chat.run(loaded.task, store=store)
    for name in ("duet.yaml", "play.yaml"):
        (duet.parent / name).unlink()
    return run


async def test_a_run_of_a_chat_file_is_forked_by_id_alone(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    new = await fork(run.id[:-1], turn=2, store=store)
    again = await go_on(new, None, store)
    assert lines(again) == lines(run)
    assert again.created == run.created
    assert await verify_run(store, new) == []


async def test_any_place_of_a_chat_file_can_be_another_in_a_fork(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    sets = {"limits.turns": "3", "participants.ann.instructions": "Sing {loudly}.", "stop[0].id": "agreed"}
    new = await fork(run.id, turn=2, edits=Edits(sets=sets, task="Agree: {now}"), store=store)
    again = await go_on(new, None, store)
    assert (again.turns, again.outcome, again.created.limits) == (3, Outcome.LIMIT, {"turns": 3})
    assert (await data_of(store, again, ev.RunForked))[0].edits == {**sets, "task": "Agree: {now}"}
    spec = str((again.created.spec or {})["resolved"])
    assert all(text in spec for text in ("Sing {loudly}.", "Agree: {now}", "Talk, then {DONE}:"))
    assert await verify_run(store, new) == []


async def test_another_model_also_takes_the_place_of_an_assistants_own(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    (duet.parent / "new.yaml").write_text(PLAY.replace("duet", "new").replace("hello", "hi").replace("not yet", "soon"))
    new = await fork(run.id, turn=0, edits=Edits(model=f"playbook:{duet.parent}/new.yaml"), store=store)
    (duet.parent / "new.yaml").unlink()
    again = await go_on(new, None, store)
    assert lines(again) == ["ann: hi from ann", "bob: soon", "ann: hi from ann", "bob: DONE: agreed"]
    assert again.created.models == {"ann": "playbook:new", "bob": "playbook:new"}
    assert await verify_run(store, new) == []


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"inputs.what": "x"}, "inputs were filled in when the run began"),
        ({"sandbox.files": "x"}, "a fork works on the files that the run began with"),
        ({"task": "x"}, "change it with --task"),
        ({"limits.truns": "3"}, r"--set limits.truns: unknown key \(did you mean 'turns'\?\)"),
        ({"limits.turns": "many"}, "--set limits.turns: expected a whole number"),
        ({"participants.cay.goal": "x"}, "unknown participant"),
        ({"stop[0].says.participant": "cay"}, "nobody is called 'cay'"),
        ({"model": "opena/gpt"}, "unknown model 'opena/gpt'"),
        ({"participants.ann.model": "playbook:none.yaml"}, "none.yaml"),
        ({"name": ""}, "--set name: "),
    ],
)
async def test_what_cannot_be_set_is_told_and_nothing_is_written(
    store: Store, duet: Path, sets: dict[str, str], said: str
) -> None:
    run = await played(duet, store)
    with pytest.raises((UserError, SpecError, ModelError, PlaybookError), match=said) as refused:
        await fork(run.id, edits=Edits(sets=sets), store=store)
    assert "1:1" not in str(refused.value)
    assert await store.names() == [run.id]


async def test_the_same_again_is_no_change(store: Store, duet: Path) -> None:
    run = await played(duet, store)
    new = await fork(run.id, turn=1, edits=Edits(sets={"limits.turns": "6"}), store=store)
    (forked,) = [e.data for e in await store.load(new) if isinstance(e.data, ev.RunForked)]
    assert forked.edits == {}


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


async def test_only_the_speakers_own_context_is_changed_not_that_of_an_agent_that_is_its_tool(store: Store) -> None:
    def chat(model: Counting, turns: int) -> Chat:
        inner = AssistantAgent("helper", model, description="helps")
        outer = AssistantAgent("a", model, tools=[AgentTool(inner)], reflect_on_tool_use=True)
        return Chat([outer], limits=Limits(turns=turns))

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        said: list[Words] = [[call("helper", {"task": "look"}, "c1")], "I looked", "it is there"]
        return said[number - 1]

    run = await chat(Counting(answer), 1).run("go", store=store)
    assert lines(run) == ["a: it is there"]
    new = await fork(run.id, turn=1, edits=Edits(message="it is gone"), chat=chat(Counting(), 2), store=store)
    before, after = [
        next(e.data for e in await store.load(name) if isinstance(e.data, ev.TurnFinished)) for name in (run.id, new)
    ]
    assert set(before.contexts) == {"", "helper/"}
    assert after.contexts["helper/"] == before.contexts["helper/"]
    assert len(after.contexts[""]) == len(before.contexts[""])
    model = Counting()
    await go_on(new, chat(model, 2), store)
    assert [m.content for m in model.requests[0]][-1] == "it is gone"
    assert "it is there" not in str(model.requests[0])
    assert await verify_run(store, new) == []


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
    all_heard = [ev.dumped(said) for said in await data_of(store, again, ev.HumanSaid)]
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


async def test_a_fork_can_be_answered_from_a_tape(store: Store, duet: Path, tmp_path: Path) -> None:
    loaded = load_chat(duet)
    tape = tmp_path / "tape.jsonl"
    run = await recorded(loaded.chat, tape).run(loaded.task, store=store)
    for name in ("duet.yaml", "play.yaml"):
        (duet.parent / name).unlink()
    new = await fork(run.id, turn=1, edits=Edits(model=f"replay:{tape}"), store=store)
    tape.unlink()
    again = await go_on(new, None, store)
    assert (lines(again), again.outcome) == (lines(run), Outcome.GOAL)
    third = await fork(new, turn=2, edits=Edits(sets={"limits.turns": "5"}), store=store)
    assert lines(await go_on(third, None, store)) == lines(run)
    assert [await verify_run(store, name) for name in (new, third)] == [[], []]


class Terminal(CodeExecutor):
    """Prints 1, whatever it runs."""

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        return CodeResult(0, "1")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


async def test_the_output_of_autogens_code_executor_can_be_another(store: Store) -> None:
    def chat() -> Chat:
        coder = Scripted("coder", lambda n, _: "```python\nprint(1)\n```")
        runner = CodeExecutorAgent(
            "runner", Terminal(), approval_func=lambda _: ApprovalResponse(approved=True, reason="")
        )
        return Chat([coder, runner], limits=FOUR)

    run = await chat().run("go", store=store)
    assert lines(run)[1] == "runner: 1"
    new = await fork(run.id, turn=2, edits=Edits(message="2"), chat=chat(), store=store)
    again = await go_on(new, chat(), store)
    assert [line for line in lines(again) if line.startswith("runner")] == ["runner: 2", "runner: 1"]
    assert (await contexts(again))["runner"] == []
    assert await verify_run(store, new) == []


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (TextMessage(content="old", source="a"), TextMessage),
        (HandoffMessage(content="old", target="b", source="a"), HandoffMessage),
        (MultiModalMessage(content=["old", "still old"], source="a"), TextMessage),
    ],
)
def test_a_message_of_any_kind_can_say_something_else(said: BaseChatMessage, kind: type[BaseChatMessage]) -> None:
    new = reworded(said, "new")
    assert isinstance(new, kind)
    assert (new.source, new.to_text()) == ("a", "new")
    stored = reworded(said.model_dump(mode="json"), "new")
    assert isinstance(stored, dict)
    assert (stored["type"], stored["source"], stored["content"]) == (kind.__name__, "a", "new")
    assert said.to_text() != "new"
