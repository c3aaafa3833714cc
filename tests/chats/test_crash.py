"""Killed at every commit and at the worst moments, a run goes on as if nothing had happened."""

import asyncio
import contextlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import BaseChatMessage
from autogen_core.models import LLMMessage

from moot.agents.executor import executor
from moot.chats import event_types as ev
from moot.chats.chat import Chat, Participant
from moot.chats.errors import UserError
from moot.chats.events import Event
from moot.chats.run import Run, open_run
from moot.chats.speakers import Choice
from moot.chats.sqlite_store import SqliteStore
from moot.chats.verify import verify_run
from moot.sandbox.execution import Execution
from moot.sandbox.fake import Fake
from moot.termination.limits import Limits
from moot.termination.outcome import Stop
from moot.termination.transcript import Transcript
from tests.fakes import Counting, DyingStore, Killed, Scripted, Steps, Words, call, calls, contexts, lines, steps

CODE = "```python\nprint(4)\n```"


def answer(messages: Sequence[LLMMessage], number: int) -> Words:
    """Depends on the request alone, so that every process answers alike."""
    last = str(messages[-1].content)
    if "found" in last:
        return f"{CODE}\nafter {len(messages)} messages"
    return [call("look", {}, "c1")]


def say_here() -> None:
    """Tell the test that this process is where it is to be killed."""
    sys.stdout.write("here\n")
    sys.stdout.flush()


class Hang:
    """Where a process stops for good, having said so; nowhere, unless a point is given."""

    def __init__(self, point: str = "") -> None:
        self.point = point

    async def here(self, point: str) -> None:
        """Stop, with everything else going on."""
        if point == self.point:
            say_here()
            await asyncio.Event().wait()

    def frozen(self, point: str) -> None:
        """Stop as soon as this step is over, with nothing going on: no timer, no commit."""
        if point == self.point:
            asyncio.get_running_loop().call_soon(_freeze)


def _freeze() -> None:
    say_here()
    sys.stdin.read()


@dataclass(frozen=True)
class Plan(Steps):
    """Stops between two turns."""

    hang: Hang = field(default_factory=Hang)

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice | Stop:
        if said.turns == 4 and self.hang.point == "between turns":
            await asyncio.Event().wait()
        return await super().choose(said, eligible)


def talk(log: Path, point: str = "") -> Chat:
    """An assistant with a tool, one without, an agent with a state, an executor, and steps in parallel."""
    hang = Hang(point)

    async def look() -> str:
        """Look something up."""
        return "found"

    async def heard(messages: Sequence[LLMMessage], number: int) -> str:
        if number == 2:
            await hang.here("request sent")
            hang.frozen("response received")
        return f"{len(messages)} heard, last {str(messages[-1].content)[:20]!r}"

    async def remember(number: int, messages: Sequence[BaseChatMessage]) -> str:
        if number == 2:
            await hang.here("in a whole turn")
        return f"turn {number}, {len(messages)} new"

    def run(code: str, language: str) -> Execution:
        with log.open("a") as written:
            written.write("block\n")
        return Execution(exit_code=0, stdout="4\n")

    participants: list[Participant] = [
        AssistantAgent("coder", Counting(answer, log=log), tools=[look], reflect_on_tool_use=True),
        executor("runner", Fake(run), runs_code_from=["coder"]),
        AssistantAgent("critic", Counting(heard, log=log)),
        Scripted("old", remember),
    ]
    plan = steps("coder", "runner", "critic old", "coder", "old critic", "critic")
    return Chat(participants, speakers=Plan(plan.plan, hang=hang), limits=Limits(turns=50))


@dataclass
class Told:
    """What is the same in every world."""

    said: list[str]
    contexts: dict[str, list[dict[str, Any]]]
    state: object

    @classmethod
    async def by(cls, run: Run) -> "Told":
        return cls(lines(run), await contexts(run), json.loads(run._table.seats["old"].state or ""))


async def first_process(path: Path, log: Path, owner: str, at: int, *, after: bool) -> tuple[str | None, bool, int]:
    """Drive until it dies at that append; the run's id, whether it died, and how many appends there were."""
    inner = SqliteStore(path, "OFF")
    store = DyingStore(inner, owner, at=at, after=after)
    with contextlib.suppress(Killed):
        await (await talk(log).start("go", store=store)).finish()
    names = await inner.names()
    await inner.close()
    return (names[0] if names else None), store.fired, store.appends


async def second_process(path: Path, log: Path, run_id: str) -> tuple[Run | None, list[Event]]:
    """Nothing but the file; None where the first process had said its last word."""
    store = SqliteStore(path, "OFF")
    run = None
    if (await store.load(run_id))[-1].type == "run.finished":
        with pytest.raises(UserError, match="is finished"):
            await open_run(run_id, chat=talk(log), store=store)
    else:
        run = await (await open_run(run_id, chat=talk(log), store=store)).finish()
    assert await verify_run(store, run_id) == []
    events = await store.load(run_id)
    await store.close()
    return run, events


def made_again(events: Sequence[Event]) -> int:
    return sum(event.type == "effect.unknown" for event in events)


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_killed_at_every_commit_a_run_ends_as_if_it_had_not_been(
    after: bool, tmp_path: Path, dead_owner: str
) -> None:
    log = tmp_path / "undisturbed.log"
    store = SqliteStore(tmp_path / "undisturbed.db", "OFF")
    run = await talk(log).run("go", store=store)
    want, spent = await Told.by(run), calls(log)
    await store.close()
    assert (len(want.said), spent) == (8, 8)

    _, _, commits = await first_process(tmp_path / "count.db", tmp_path / "count.log", dead_owner, 0, after=after)
    assert commits > 10
    deaths = 0
    for at in range(1, commits + 1):
        path, log = tmp_path / f"{at}.db", tmp_path / f"{at}.log"
        run_id, died, _ = await first_process(path, log, dead_owner, at, after=after)
        deaths += died
        if run_id is None:
            assert (at, after) == (1, False)
            continue
        resumed, events = await second_process(path, log, run_id)
        if resumed is not None:
            assert await Told.by(resumed) == want, f"killed at commit {at}"
        finished = [e.data.reply for e in events if isinstance(e.data, ev.TurnFinished)]
        assert len(finished) == 8
        results = Counter((e.turn, e.span) for e in events if e.type == "effect.completed")
        assert set(results.values()) == {1}
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        extra = calls(log) - spent
        assert 0 <= extra <= made_again(events), f"killed at commit {at}: only what was in doubt may be made again"
        begun = {(e.turn, e.attempt) for e in events if e.type == "turn.started"}
        warned = {e.data.facts.get("turn") for e in events if isinstance(e.data, ev.Warned)}
        assert {turn for turn, attempt in begun if attempt > 1} <= warned
    assert deaths >= commits - 2  # results that arrive together share a commit, so their number varies a little


async def test_killed_again_and_again_while_it_recovers_a_run_ends_all_the_same(
    tmp_path: Path, dead_owner: str
) -> None:
    want = await Told.by(await talk(tmp_path / "undisturbed.log").run("go", store=tmp_path / "undisturbed.db"))
    spent, deaths = calls(tmp_path / "undisturbed.log"), 0
    for at in range(2, 8):
        path, log = tmp_path / f"{at}.db", tmp_path / f"{at}.log"
        run_id, died, _ = await first_process(path, log, dead_owner, at, after=at % 2 == 0)
        deaths += died
        assert run_id is not None
        for again in (1, 2, 3):  # it gets a little further each time
            inner = SqliteStore(path, "OFF")
            store = DyingStore(inner, dead_owner, at=again, after=again == 2)
            with contextlib.suppress(Killed):
                await (await open_run(run_id, chat=talk(log), store=store)).finish()
            deaths += store.fired
            await inner.close()
        run, events = await second_process(path, log, run_id)
        assert run is not None
        assert await Told.by(run) == want
        assert 0 <= calls(log) - spent <= made_again(events)
    assert deaths == 6 * 4


async def child(point: str, path: Path, log: Path) -> None:
    """What the process does that is to be killed."""
    run = await talk(log, point).start("go", store=SqliteStore(path))
    async for event in run.events():
        if point == "between turns" and isinstance(event, Event) and event.type == "turn.finished" and event.turn == 4:
            say_here()


CHILD = "import asyncio, sys; from pathlib import Path; from tests.chats.test_crash import child\n"
CHILD += "asyncio.run(child(sys.argv[1], *map(Path, sys.argv[2:])))"
POINTS = ["request sent", "response received", "between turns", "in a whole turn"]


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_that_is_killed_is_followed_by_another_that_goes_on(point: str, tmp_path: Path) -> None:
    path, log = tmp_path / "moot.db", tmp_path / "calls.log"
    pipe, root = asyncio.subprocess.PIPE, Path(__file__).parents[2]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, point, str(path), str(log), stdin=pipe, stdout=pipe, cwd=root
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"here\n"
    child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL

    store = SqliteStore(path)
    (run_id,) = await store.names()
    cut_off = await store.load(run_id)
    assert cut_off[-1].type != "run.finished"
    run = await (await open_run(run_id, chat=talk(log), store=store)).finish()
    events = await store.load(run_id)
    assert await verify_run(store, run_id) == []
    await store.close()
    assert events[: len(cut_off)] == cut_off

    undisturbed = await talk(tmp_path / "other.log").run("go", store=tmp_path / "other.db")
    assert await Told.by(run) == await Told.by(undisturbed)
    assert 0 <= calls(log) - calls(tmp_path / "other.log") <= made_again(events)
    assert (made_again(events) > 0) == (point != "between turns")
