"""Killed at every commit, a run of AutoGen's agents goes on, and the world sees again only what was in doubt."""

import asyncio
import contextlib
import itertools
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import (
    ApprovalRequest,
    ApprovalResponse,
    AssistantAgent,
    CodeExecutorAgent,
    UserProxyAgent,
)
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_core.memory import ListMemory, MemoryContent
from autogen_core.models import LLMMessage, UserMessage
from autogen_ext.code_executors._common import CommandLineCodeResult
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor

from moot.chats.chat import Chat
from moot.chats.errors import UserError
from moot.chats.events import Event
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.chats.verify import verify_run
from moot.termination.limits import Limits
from tests.fakes import Counting, DyingStore, Killed, Words, call, contexts, lines

Make = Callable[[Path], Chat]


class Terminal(LocalCommandLineCodeExecutor):
    """Its first block fails. The world counts what it runs. It keeps nothing in variables."""

    def __init__(self, log: Path) -> None:
        with warnings.catch_warnings(action="ignore"):
            super().__init__()
        self._log = log

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CommandLineCodeResult:
        seen(self._log, "code")
        failed = "first" in code_blocks[0].code
        return CommandLineCodeResult(exit_code=int(failed), output="boom" if failed else "fine", code_file=None)


FREEZES: set[int] = set()
"""At which of its deeds in the world this process is to stand still for good."""
DEEDS = itertools.count(1)


def seen(log: Path, what: str) -> None:
    with log.open("a") as world:
        world.write(f"{what}\n")
    if next(DEEDS) in FREEZES:
        sys.stdout.write("here\n")
        sys.stdout.flush()
        sys.stdin.read()


def asked(messages: Sequence[LLMMessage]) -> bool:
    return isinstance(messages[-1], UserMessage)


def with_tools(log: Path) -> Chat:
    """Tools with an id that comes twice and one without, a memory, structured steps, and an agent without anything."""

    def answer(messages: Sequence[LLMMessage], number: int) -> Words:
        numbers = [(len(messages), 1, "c1"), (5, 5, "c1"), (0, 0, "")]
        wishes = [call("add", {"a": a, "b": b}, ident) for a, b, ident in numbers]
        return wishes if asked(messages) else f"n={len(messages)} last={str(messages[-1].content)[:60]}"

    async def add(a: int, b: int) -> int:
        """Add."""
        seen(log, f"{a}+{b}")
        return a + b

    plain = Counting(lambda messages, _: f"{len(messages)} seen", log=log)
    model = Counting(answer, log=log)
    memory = ListMemory(memory_contents=[MemoryContent(content="be kind", mime_type="text/plain")])
    return Chat(
        [
            AssistantAgent("a", plain),
            AssistantAgent("b", model, tools=[add], reflect_on_tool_use=True, max_tool_iterations=2),
            AssistantAgent("c", plain, memory=[memory]),
        ],
        limits=Limits(turns=5),
    )


def nested(log: Path) -> Chat:
    """An agent that is a tool, side by side with a tool; it has one, too."""

    async def t(x: str) -> str:
        """A tool."""
        seen(log, f"t{x}")
        return f"t{x}"

    def inner(messages: Sequence[LLMMessage], number: int) -> Words:
        return [call("t", {"x": "1"}, "c")] if asked(messages) else f"helper saw {len(messages)}"

    def outer(messages: Sequence[LLMMessage], number: int) -> Words:
        wishes = [call("helper", {"task": "t"}, "h"), call("t", {"x": "2"}, "c")]
        return wishes if asked(messages) else f"done {len(messages)}"

    helper = AssistantAgent("helper", Counting(inner, log=log), tools=[t], reflect_on_tool_use=True)
    agent = AssistantAgent("a", Counting(outer, log=log), tools=[AgentTool(helper), t], reflect_on_tool_use=True)
    return Chat([agent, AssistantAgent("b", Counting(log=log))], limits=Limits(turns=4))


def coding(log: Path) -> Chat:
    """Somebody who types, and a coder whose code fails, is approved, and is mended."""

    def answer(messages: Sequence[LLMMessage], number: int) -> str:
        last = str(messages[-1].content)
        if "Should we attempt" in last:
            return '{"retry": true, "reason": "mend it"}'
        tried = sum("boom" in str(message.content) for message in messages)
        return "it is done" if "fine" in last else f"```python\n{'second' if tried else 'first'}\n```"

    def approve(request: ApprovalRequest) -> ApprovalResponse:
        seen(log, "approved")
        return ApprovalResponse(approved=True, reason="")

    def typed(prompt: str) -> str:
        seen(log, "typed")
        return "please"

    coder = CodeExecutorAgent(
        "x", Terminal(log), model_client=Counting(answer, log=log), approval_func=approve, max_retries_on_error=1
    )
    return Chat([UserProxyAgent("u", input_func=typed), coder], limits=Limits(turns=4))


@dataclass
class Told:
    """What is the same in every world."""

    said: list[str]
    contexts: dict[str, list[dict[str, Any]]]

    @classmethod
    async def by(cls, run: Run) -> "Told":
        return cls(lines(run), await contexts(run))


async def first_process(make: Make, path: Path, log: Path, died: tuple[str, int, bool]) -> tuple[str | None, bool, int]:
    """Drive until it dies at that append; the run's id, whether it died, and how many appends there were."""
    owner, at, after = died
    inner = SqliteStore(path, "OFF")
    store = DyingStore(inner, owner, at=at, after=after)
    with contextlib.suppress(Killed):
        await (await make(log).start("go", store=store)).finish()
    names = await inner.names()
    await inner.close()
    return (names[0] if names else None), store.fired, store.appends


async def second_process(make: Make, path: Path, log: Path, run_id: str) -> tuple[Told | None, list[Event]]:
    """Nothing but the file; None where the first process had said its last word."""
    store = SqliteStore(path, "OFF")
    told = None
    if (await store.load(run_id))[-1].type == "run.finished":
        with pytest.raises(UserError, match="is finished"):
            await open_run(run_id, chat=make(log), store=store)
    else:
        told = await Told.by(await (await open_run(run_id, chat=make(log), store=store)).finish())
    assert await verify_run(store, run_id) == []
    events = await store.load(run_id)
    await store.close()
    return told, events


def doubted(events: Sequence[Event]) -> int:
    return sum(event.type == "effect.unknown" for event in events)


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("make", [with_tools, nested, coding], ids=lambda make: make.__name__)
async def test_killed_at_every_commit_the_world_sees_again_only_what_was_in_doubt(
    make: Make, after: bool, tmp_path: Path, dead_owner: str
) -> None:
    log = tmp_path / "undisturbed.log"
    want = await Told.by(await make(log).run("go", store=tmp_path / "undisturbed.db"))
    spent = Counter(log.read_text().splitlines())
    _, _, commits = await first_process(make, tmp_path / "n.db", tmp_path / "n.log", (dead_owner, 0, after))
    deaths = 0
    for at in range(2, commits + 1):
        path, log = tmp_path / f"{at}.db", tmp_path / f"{at}.log"
        run_id, died, _ = await first_process(make, path, log, (dead_owner, at, after))
        deaths += died
        assert run_id is not None
        told, events = await second_process(make, path, log, run_id)
        assert told in (None, want), f"killed at commit {at}"
        done = Counter((event.turn, event.span) for event in events if event.type == "effect.completed")
        assert set(done.values()) == {1}
        warned = [e for e in events if e.type == "warning" and "something else" in e.data.text]  # type: ignore[attr-defined]
        assert warned == []
        world = Counter(log.read_text().splitlines())
        assert not spent - world, f"killed at commit {at}: something never happened"
        assert (world - spent).total() <= doubted(events), f"killed at commit {at}: done again, and not in doubt"
    assert deaths >= commits - 3  # results that arrive together share a commit, so their number varies a little


@pytest.mark.parametrize("make", [with_tools, nested, coding], ids=lambda make: make.__name__)
async def test_what_is_rebuilt_from_the_journal_is_what_was_lived(make: Make, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "moot.db", "OFF")
    run = await make(tmp_path / "log").start("go", store=store)
    async for event in run.events():
        if isinstance(event, Event) and event.type == "turn.finished" and event.turn == 2:
            run.pause_after_turn()
    lived = await Told.by(await run.finish())
    assert run.status == "paused"
    again = await open_run(run.id, chat=make(tmp_path / "log"), store=store)
    await again.stop_now()
    assert await Told.by(again) == lived
    assert len(lived.said) >= 2
    await store.close()


async def child(make: str, path: Path, log: Path, at: int) -> None:
    """What the process does that is to be killed."""
    FREEZES.add(at)
    await {"nested": nested, "coding": coding}[make](log).run("go", store=SqliteStore(path))


CHILD = "import asyncio, sys; from pathlib import Path; from tests.chats.test_adopted_crash import child\n"
CHILD += "make, path, log, at = sys.argv[1:]; asyncio.run(child(make, Path(path), Path(log), int(at)))"


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("make", [nested, coding], ids=lambda make: make.__name__)
async def test_a_process_that_is_killed_in_the_middle_of_a_deed_is_followed_by_another(
    make: Make, at: int, tmp_path: Path
) -> None:
    path, log, pipe = tmp_path / "moot.db", tmp_path / "log", asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, make.__name__, str(path), str(log), str(at), stdin=pipe, stdout=pipe,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL

    undisturbed = tmp_path / "undisturbed"
    want = await Told.by(await make(undisturbed).run("go", store=tmp_path / "undisturbed.db"))
    store = SqliteStore(path)
    (run_id,) = await store.names()
    await store.close()
    told, events = await second_process(make, path, log, run_id)
    assert told == want
    spent, world = (Counter(file.read_text().splitlines()) for file in (undisturbed, log))
    assert not spent - world
    assert 1 <= (world - spent).total() <= doubted(events)  # what was done is not known to have been
