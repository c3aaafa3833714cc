"""Two runs beside each other: where they part, and in what."""

import hashlib

import pytest

from moot.agents.assistant import assistant
from moot.agents.executor import executor
from moot.chats.chat import Chat
from moot.chats.compare import compare
from moot.chats.errors import StoreError, UserError
from moot.chats.fork import fork
from moot.chats.fork_edits import Edits
from moot.chats.memory_store import MemoryStore
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.sandbox.execution import Artifact, Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from tests.fakes import Counting, Scripted, steps

FOUR = Limits(turns=4)


def two(*, limits: Limits = FOUR, usage: tuple[int, int] = (10, 5), word: str = "said") -> Chat:
    model = Counting(lambda messages, number: f"{word} {number}", usage=usage)
    return Chat([assistant("ann", "Talk."), assistant("bob", "Talk.")], limits=limits, model=model)


async def test_two_runs_in_which_the_same_was_said_are_the_same_whatever_they_cost(store: Store) -> None:
    one = await two().run("go", store=store)
    other = await two(usage=(1000, 50)).run("go", store=store)
    found = await compare(one.id, other.id, store=store)
    assert (found.same, found.first, found.ends, found.settings, found.relation) == (True, None, (), (), "")
    assert [pair.turn for pair in found.turns] == [1, 2, 3, 4]
    assert (found.a.spent.input_tokens, found.b.spent.input_tokens) == (40, 4000)


async def test_a_fork_parts_from_its_run_where_it_says_something_else(store: Store) -> None:
    one = await two().run("go", store=store)
    chat = two(word="sang")
    new = await fork(one.id, turn=2, edits=Edits(message="no"), chat=chat, store=store)
    await (await open_run(new, chat=chat, store=store)).finish()
    found = await compare(one.id, new, store=store)
    assert (found.same, found.first) == (False, 2)
    assert [(pair.turn, pair.differs) for pair in found.turns] == [
        (1, ()),
        (2, ("text",)),
        (3, ("text",)),
        (4, ("text",)),
    ]
    assert found.relation == "b was forked from a after turn 2"
    assert (await compare(new, one.id, store=store)).relation == "a was forked from b after turn 2"
    sister = await fork(one.id, turn=1, chat=chat, store=store)
    assert (
        await compare(new, sister, store=store)
    ).relation == f"both were forked from {one.id}: a after turn 2, b after turn 1"
    assert [end.name for end in found.ends] == ["result"]


async def test_what_the_runs_were_made_of_is_told_and_makes_no_difference(store: Store) -> None:
    one = await two().run("go", store=store)
    other = await two(limits=Limits(turns=4, tokens=90_000)).run("go", store=store)
    found = await compare(one.id, other.id, store=store)
    assert found.same
    assert [(s.name, s.a, s.b) for s in found.settings] == [("limits.tokens", None, "90,000")]
    third = await Chat([Scripted("ann"), Scripted("cay")], limits=FOUR, name="talk").run("stay", store=store)
    found = await compare(one.id, third.id, store=store)
    assert [s.name for s in found.settings] == ["chat", "task", "participants", "models.ann", "models.bob"]


async def test_another_speaker_and_a_longer_run_are_told(store: Store) -> None:
    def of(*plan: str) -> Chat:
        return Chat(
            [Scripted(name, lambda n, _: "hm") for name in "abc"], speakers=steps(*plan), limits=Limits(turns=9)
        )

    one = await of("a", "b", "a").run("go", store=store)
    other = await of("a", "c b").run("go", store=store)
    found = await compare(one.id, other.id, store=store)
    assert [(p.turn, p.differs) for p in found.turns] == [(1, ()), (2, ("speaker",)), (3, ("speaker",))]
    longer = await of("a", "b", "a", "c").run("go", store=store)
    found = await compare(one.id, longer.id, store=store)
    assert [(p.turn, p.differs) for p in found.turns if p.differs] == [(4, ("missing",))]
    assert (found.turns[-1].a, found.first) == (None, 4)
    assert [(end.name, end.a, end.b) for end in found.ends] == [("turns", "3", "4")]


async def ran(
    store: Store, *, printed: str = "1\n", seconds: float = 0.1, data: bytes = b"x", exit_code: int = 0
) -> Run:
    file = Artifact("out.txt", len(data), hashlib.sha256(data).hexdigest(), data)
    done = Execution(exit_code=exit_code, stdout=printed, seconds=seconds, artifacts=(file,))
    coder = Scripted("coder", lambda n, _: "```python\nprint(1)\n```")
    chat = Chat([coder, executor("runner", Fake(lambda code, language: done))], limits=Limits(turns=2))
    return await chat.run("go", store=store)


async def test_how_long_code_took_makes_no_difference_and_what_came_of_it_does(store: Store) -> None:
    one = await ran(store)
    assert (await compare(one.id, (await ran(store, seconds=7.5)).id, store=store)).same
    for other in (await ran(store, printed="2\n"), await ran(store, exit_code=1)):
        found = await compare(one.id, other.id, store=store)
        assert (found.first, found.turns[1].differs) == (2, ("text", "code"))
    found = await compare(one.id, (await ran(store, data=b"y")).id, store=store)
    assert found.turns[1].differs == ("code",)


async def test_a_run_that_is_not_finished_is_compared_as_far_as_it_has_come(store: Store) -> None:
    one = await two().run("go", store=store)
    new = await fork(one.id, turn=2, chat=two(), store=store)
    found = await compare(one.id, new, store=store)
    assert (found.b.outcome, found.b.turns, found.first) == (None, 2, 3)
    assert [(end.name, end.a, end.b) for end in found.ends][:2] == [("turns", "4", "2"), ("outcome", "limit", None)]


async def test_a_run_is_the_same_as_itself(store: Store) -> None:
    one = await two().run("go", store=store)
    found = await compare(one.id, one.id[:-1], store=store)
    assert (found.same, found.relation) == (True, "a and b are one run")


async def test_what_is_not_there_is_told(store: Store) -> None:
    one = await two().run("go", store=store)
    with pytest.raises(UserError, match="no run begins with 'zzz'"):
        await compare(one.id, "zzz", store=store)
    kept = MemoryStore()
    await kept.create("r1", "chat")
    events = await store.load(one.id)
    await kept.append(await kept.claim("r1", "me"), 0, events[1:3])
    with pytest.raises(StoreError, match=r"does not begin with run\.created"):
        await compare("r1", "r1", store=kept)
