"""What others ask of a run, from whatever process, is taken in once, between turns or at once, and never lost."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence

import pytest
from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.base import ChatAgent
from autogen_agentchat.messages import BaseChatMessage

from moot.chats import event_types as ev
from moot.chats.chat import Chat
from moot.chats.commands import Command, Decide, End, Pause, Say
from moot.chats.errors import UserError
from moot.chats.events import Event
from moot.chats.memory_store import MemoryStore
from moot.chats.outside import post, requests, watch
from moot.chats.run import Run, open_run
from moot.chats.store import Store
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from tests.fakes import Scripted, data_of, lines, steps, types

FOUR = Limits(turns=4)


class Halfway:
    """An agent's reply that waits in the middle of its turn until it is told to go on."""

    def __init__(self) -> None:
        self.here, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, number: int, messages: Sequence[BaseChatMessage]) -> str:
        self.here.set()
        await self.go_on.wait()
        return f"a {number}"


async def noticed(run: Run, commands: int) -> None:
    """Wait until whoever drives the run has heard of so many commands."""
    while not (run._table.hearing.knocked or run._table.state.commands == commands):  # noqa: ASYNC110 - a flag of the product's
        await asyncio.sleep(0)


async def asked_halfway(store: Store, *commands: Command, turns: int = 4) -> tuple[Run, Scripted]:
    """A run that is asked all this in the middle of its first turn, over or left."""
    halfway = Halfway()
    ben = Scripted("b")
    run = await Chat([Scripted("a", halfway), ben], limits=Limits(turns=turns)).start("go", store=store)
    await halfway.here.wait()
    for command in commands:
        await post(run.id, command, store)
    await noticed(run, len(commands))
    if not any(isinstance(c, Pause | End) and c.now for c in commands):
        halfway.go_on.set()
    await run.finish()
    return run, ben


async def test_what_a_person_says_is_heard_by_everybody_from_the_next_turn_on(store: Store) -> None:
    run, ben = await asked_halfway(store, Say(text="be brief", by="ann"), turns=2)
    assert ben.told == ["user: go", "a: a 1", "ann: be brief"]
    (said,) = await data_of(store, run, ev.HumanSaid)
    assert (said.by, said.to, said.command) == ("ann", None, 1)
    assert await verify_run(store, run.id) == []


async def test_what_is_said_to_one_is_heard_by_one(store: Store) -> None:
    run, ben = await asked_halfway(store, Say(text="psst", to=("a",)), turns=3)
    assert not any("psst" in words for words in ben.told)
    agent = run._table.seats["a"].agent
    assert isinstance(agent, Scripted)
    assert "user: psst" in agent.told


@pytest.mark.parametrize("by", ["a", "moot", "select"])
async def test_nobody_speaks_in_the_name_of_a_participant_or_of_the_runtime(store: Store, by: str) -> None:
    _, ben = await asked_halfway(store, Say(text="APPROVED", by=by), turns=2)
    assert "user: APPROVED" in ben.told


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (Say(text="  "), "there is nothing in it to say"),
        (Say(text="x", to=("bb",)), "'bb' is no participant (did you mean 'b'?)"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_the_journal(store: Store, command: Command, why: str) -> None:
    run, _ = await asked_halfway(store, command, turns=2)
    assert [r.reason for r in await data_of(store, run, ev.CommandRefused)] == [why]
    assert run.turns == 2


async def test_a_command_of_a_newer_version_is_refused_and_harms_nothing(store: Store) -> None:
    halfway = Halfway()
    run = await Chat([Scripted("a", halfway)], limits=Limits(turns=1)).start("go", store=store)
    await halfway.here.wait()
    await store.post(run.id, '{"do": "levitate", "by": "ann"}')
    await store.post(run.id, "no JSON at all")
    await noticed(run, 2)
    halfway.go_on.set()
    await run.finish()
    assert [r.command for r in await data_of(store, run, ev.CommandRefused)] == [1, 2]


async def test_a_pause_leaves_the_run_after_the_turn_and_it_goes_on_as_if_it_had_not_been(store: Store) -> None:
    run, _ = await asked_halfway(store, Pause(by="ann"))
    assert (run.status, run.turns) == ("paused", 1)
    again = Chat([Scripted("a"), Scripted("b")], limits=FOUR)
    run = await (await open_run(run.id, chat=again, store=store)).finish()
    assert (run.turns, run.outcome) == (4, Outcome.LIMIT)
    assert (await types(store, run)).count("command.pause") == 1
    assert await verify_run(store, run.id) == []


async def test_a_pause_now_cuts_the_turn_off(store: Store) -> None:
    run, _ = await asked_halfway(store, Pause(now=True, by="ann"))
    assert (run.status, run.turns) == ("paused", 0)
    assert (await types(store, run))[-3:] == ["turn.abandoned", "command.pause", "run.paused"]


async def test_an_end_ends_the_run_after_the_turn_as_stopped(store: Store) -> None:
    run, _ = await asked_halfway(store, End(by="ann", reason="seen enough"))
    assert (run.status, run.outcome, run.turns) == ("finished", Outcome.STOPPED, 1)
    assert run.stopped_by is not None
    assert (run.stopped_by.rule, run.stopped_by.reason) == ("command.stop", "stopped by ann: seen enough")
    assert await verify_run(store, run.id) == []


async def test_an_end_now_does_not_wait_for_the_turn(store: Store) -> None:
    run, _ = await asked_halfway(store, End(now=True))
    assert (run.status, run.outcome, run.turns) == ("finished", Outcome.STOPPED, 0)
    with pytest.raises(UserError, match="is finished"):
        await post(run.id, Say(text="too late"), store)


async def test_what_was_asked_of_a_run_that_nobody_drives_is_taken_in_when_it_is_opened(store: Store) -> None:
    run, _ = await asked_halfway(store, Pause())
    await post(run.id, Say(text="welcome back", by="ann"), store)
    ben = Scripted("b")
    run = await (await open_run(run.id, chat=Chat([Scripted("a"), ben], limits=FOUR), store=store)).finish()
    assert ben.told[:3] == ["user: go", "a: a 1", "ann: welcome back"]
    again = await store.posted(run.id, 0)
    assert [p.number for p in again] == [1, 2]
    assert (await types(store, run)).count("human.message") == 1


def owner_and(*others: ChatAgent, turns: int = 2) -> Chat:
    return Chat([UserProxyAgent("owner"), *others], limits=Limits(turns=turns))


async def waiting(store: Store) -> Run:
    run = await owner_and(Scripted("b")).run("go", store=store)
    assert run.status == "waiting"
    return run


async def test_a_run_that_needs_a_person_waits_and_holds_nothing(store: Store) -> None:
    before = asyncio.all_tasks()
    run = await waiting(store)
    assert asyncio.all_tasks() == before
    (asked,) = await requests(run.id, store)
    assert (asked.id, asked.kind, asked.participant, asked.turn, asked.allow) == (
        "q1",
        "input",
        "owner",
        1,
        ("respond",),
    )
    assert run.requests == [asked]
    assert (await types(store, run))[-3:] == ["request.asked", "turn.abandoned", "run.paused"]
    (row,) = await store.runs()
    assert (row.status, row.driven) == ("waiting", False)


async def test_opened_without_an_answer_it_waits_on_and_asks_nothing_twice(store: Store) -> None:
    run = await waiting(store)
    again = await (await open_run(run.id, chat=owner_and(Scripted("b")), store=store)).finish()
    assert again.status == "waiting"
    assert len(await data_of(store, run, ev.RequestAsked)) == 1
    assert await verify_run(store, run.id) == []


async def test_an_answer_is_found_by_whoever_opens_the_run(store: Store) -> None:
    run = await waiting(store)
    await run.decide("q1", "respond", "forty-two", by="ann")
    ben = Scripted("b")
    again = await (await open_run(run.id, chat=owner_and(ben), store=store)).finish()
    assert lines(again) == ["owner: forty-two", "b: b 1"]
    (decided,) = await data_of(store, again, ev.RequestDecided)
    assert (decided.decision, decided.text, decided.by) == ("respond", "forty-two", "ann")
    assert again.requests == []
    assert await verify_run(store, run.id) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"request": "q7"}, "there is no question 'q7'; what waits: q1"),
        ({"digest": "other"}, "q1 asks about something else than what was decided"),
        ({"decision": "approve"}, "q1 takes respond, not approve"),
    ],
)
async def test_a_decision_about_anything_else_is_refused(store: Store, change: dict[str, str], why: str) -> None:
    run = await waiting(store)
    (asked,) = await requests(run.id, store)
    given = {"request": "q1", "decision": "respond", "text": "yes", "digest": asked.digest, **change}
    with pytest.raises(UserError, match=why.replace("(", r"\(")):
        await post(run.id, Decide.model_validate(given), store)
    assert await store.posted(run.id, 0) == []


async def test_the_first_decision_holds_and_the_same_twice_is_one(store: Store) -> None:
    run = await waiting(store)
    await run.decide("q1", "respond", "yes", by="ann")
    await run.decide("q1", "respond", "yes", by="ann")
    with pytest.raises(UserError, match="q1 was decided already: respond by ann"):
        await run.decide("q1", "respond", "no", by="ben")
    assert len(await store.posted(run.id, 0)) == 1


async def test_of_decisions_that_are_posted_at_the_same_time_the_first_holds(store: Store) -> None:
    run = await waiting(store)
    (asked,) = await requests(run.id, store)
    for word in ("yes", "no", "perhaps"):
        command = Decide(request="q1", decision="respond", text=word, by=word, digest=asked.digest)
        await store.post(run.id, command.model_dump_json())  # as a process does that did not see the other's
    again = await (await open_run(run.id, chat=owner_and(Scripted("b")), store=store)).finish()
    assert lines(again)[0] == "owner: yes"
    refused = await data_of(store, again, ev.CommandRefused)
    assert [r.reason for r in refused] == ["q1 was decided already: respond by yes"] * 2


class AnsweredAtTheLastMoment(MemoryStore):
    """Somebody decides between the driver's last look and the moment it gives the run back."""

    decided = False

    def append(self, *given: object, **named: object):  # type: ignore[no-untyped-def]
        done = super().append(*given, **named)  # type: ignore[arg-type]
        if (named.get("status") or given[-1]) == "waiting" and not self.decided:
            self.decided = True
            run = given[0].run  # type: ignore[attr-defined]
            (asked,) = (e.data for e in self._runs[run].events if isinstance(e.data, ev.RequestAsked))
            command = Decide(request="q1", decision="respond", text="just in time", digest=asked.digest)
            with contextlib.suppress(StopIteration):  # this store does not wait for anything
                self.post(run, command.model_dump_json()).send(None)
        return done


async def test_a_decision_that_comes_as_the_run_is_left_is_not_lost() -> None:
    store = AnsweredAtTheLastMoment()
    run = await owner_and(Scripted("b")).run("go", store=store)
    assert store.decided
    assert lines(run) == ["owner: just in time", "b: b 1"]
    assert run.outcome is Outcome.LIMIT
    assert (await types(store, run)).count("run.resumed") == 1
    assert await verify_run(store, run.id) == []


async def test_whoever_watches_sees_every_event_once_until_nobody_drives(store: Store) -> None:
    halfway = Halfway()
    run = await Chat([Scripted("a", halfway)], limits=Limits(turns=2)).start("go", store=store)

    async def seen() -> list[int]:
        return [event.seq async for event in watch(run.id, store)]

    watching = asyncio.create_task(seen())
    await halfway.here.wait()
    halfway.go_on.set()
    await run.finish()
    assert await watching == list(range(1, len(await store.load(run.id)) + 1))


async def test_an_unknown_run_is_named_with_what_it_may_be(store: Store) -> None:
    run, _ = await asked_halfway(store, Pause())
    with pytest.raises(UserError, match="no run"):
        await post(run.id[:-1] + "!", Say(text="hello"), store)
    with pytest.raises(UserError, match="no run"):
        await requests("nothing-like-it", store)


async def test_a_pause_that_was_asked_for_while_nobody_drove_does_not_stop_whoever_goes_on(store: Store) -> None:
    run, _ = await asked_halfway(store, Pause())
    await store.post(run.id, Pause(by="ann").model_dump_json())
    again = Chat([Scripted("a"), Scripted("b")], limits=FOUR)
    run = await (await open_run(run.id, chat=again, store=store)).finish()
    assert run.turns == 4
    assert [r.reason for r in await data_of(store, run, ev.CommandRefused)] == ["nobody drove the run then"]


async def test_what_was_said_before_the_end_stands_in_the_journal(store: Store) -> None:
    posted: list[int] = []

    async def last(number: int, messages: Sequence[BaseChatMessage]) -> str:
        posted.append(await store.post(run.id, Say(text="well done", by="ann").model_dump_json()))
        return "bye"

    run = await Chat([Scripted("a", last)], limits=Limits(turns=1)).start("go", store=store)
    await run.finish()
    assert posted == [1]
    assert (await types(store, run))[-2:] == ["human.message", "run.finished"]
    assert await verify_run(store, run.id) == []


async def test_of_two_who_decide_at_once_one_is_told_that_the_other_was_faster(store: Store) -> None:
    run = await waiting(store)
    (asked,) = await requests(run.id, store)
    told = await asyncio.gather(
        *(
            post(run.id, Decide(request="q1", decision="respond", text=w, by=w, digest=asked.digest), store)
            for w in ("yes", "no")
        ),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in told) == ["UserError", "int"]


class Measured(MemoryStore):
    """Counts what is read of journals."""

    loaded = 0

    async def load(self, run: str, after: int = 0, *, types: Collection[str] = ()) -> list[Event]:
        events = await super().load(run, after, types=types)
        self.loaded += len(events)
        return events


async def test_what_is_asked_of_a_long_run_reads_only_what_tells_of_questions_and_commands() -> None:
    store = Measured()
    plan = steps(*(["a"] * 30), "owner")
    chat = Chat([Scripted("a"), UserProxyAgent("owner")], speakers=plan, limits=Limits(turns=40))
    run = await chat.run("go", store=store)
    assert (run.status, len(await store.load(run.id)) > 100) == ("waiting", True)
    store.loaded = 0
    await post(run.id, Say(text="hello"), store)
    assert store.loaded == 0
    (asked,) = await requests(run.id, store)
    await post(run.id, Decide(request="q1", decision="respond", text="yes", digest=asked.digest), store)
    assert 0 < store.loaded < 10
