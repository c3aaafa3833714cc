"""Where a turn's CPU goes: one table whose rows add up to the whole.

    .venv/bin/python -m benchmarks.parts [--turn 300]

The whole is a journalled turn (SQLite, FULL) of one of three AssistantAgents that see the last 20 messages, as
`benchmarks/turns.py` measures it. Each part is called alone, on the objects of a run that has come to that turn, and
timed over many calls; what no row names (tasks, wake-ups, events, hand-over between threads) is the last row, so
that nothing is hidden. Microseconds of CPU; only shares mean something on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import ChatAgent
from autogen_agentchat.messages import TextMessage
from autogen_core import CancellationToken
from autogen_core.model_context import BufferedChatCompletionContext

from benchmarks.turns import TEXT, Instant, around
from moot.agents.context import RollingDigest, created
from moot.agents.journalled_client import JournalledClient
from moot.chats.chat import Chat
from moot.chats.event_types import EffectCompleted
from moot.chats.events import Event, dumped
from moot.chats.run import Run
from moot.chats.sqlite_store import SqliteStore
from moot.termination.limits import Limits
from moot.termination.rules import says

CALLS = 2000


def chat(stamps: tuple[list[float], list[float]], turns: int) -> Chat:
    model = Instant(stamps)
    agents: list[ChatAgent] = [
        AssistantAgent(name, model, model_context=BufferedChatCompletionContext(20)) for name in "abc"
    ]
    return Chat(agents, limits=Limits(turns=turns), stop=says("a", starts="DONE"))


def each(call: Callable[[], object], calls: int = CALLS) -> float:
    """Microseconds of CPU a call takes: the median of ten series."""
    series = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(calls // 10):
            call()
        series.append((time.process_time() - began) / (calls // 10) * 1e6)
    return statistics.median(series)


async def awaited(call: Callable[[], Awaitable[object]], calls: int = CALLS) -> float:
    """The same for what is awaited."""
    series = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(calls // 10):
            await call()
        series.append((time.process_time() - began) / (calls // 10) * 1e6)
    return statistics.median(series)


async def agents_own(turn: int) -> float:
    """AutoGen's AssistantAgent by itself, with a model that answers at once, given what a turn would give it."""
    agent = AssistantAgent("a", Instant(([], [])), model_context=BufferedChatCompletionContext(20))
    for _ in range(min(turn, 20)):
        await agent.on_messages([TextMessage(content=TEXT, source="b")], CancellationToken())
    said = [TextMessage(content=TEXT, source="b"), TextMessage(content=TEXT, source="c")]

    async def speak() -> None:
        async for _ in agent.on_messages_stream(said, CancellationToken()):
            pass

    return await awaited(speak, 500)


async def commit(folder: Path, events: list[Event]) -> float:
    """One turn's events written: dumped, chained, handed over, committed with an fsync, acknowledged."""
    store = SqliteStore(folder / "commits.db")
    await store.create("r", "c")
    claim = await store.claim("r", "o")
    head = 0

    async def append() -> None:
        nonlocal head
        await store.append(claim, head, events)
        head += len(events)

    taken = await awaited(append, 500)
    await store.close()
    return taken


async def parts(run: Run, folder: Path) -> dict[str, float]:
    """Each part, called alone on a run's own objects."""
    table, turn = run._table, run.turns
    state, said = table.state, table.state.transcript
    speakers, stop = table._rules.speakers, table._rules.stop
    assert stop is not None
    events = [e for e in await table.store.load(run.id) if e.turn == turn]
    context = table.seats["a"].contexts[""]
    messages = await context.get_messages()
    digest = RollingDigest(context)
    client = table.seats["a"].agent._model_client  # type: ignore[attr-defined]
    assert isinstance(client, JournalledClient)
    result = created(next(e.data.result for e in events if isinstance(e.data, EffectCompleted)))
    worst = client._cost(1000, 4096)
    writing = each(lambda: [dumped(e.data) for e in events])
    return {
        "AutoGen's AssistantAgent": await agents_own(turn),
        "policy: who speaks, and why": await awaited(lambda: speakers.choose(said, said.participants)),
        "rules and limits": each(lambda: (stop.ask(said, state.ledger), state.ledger.reached(said))),
        "budget: reserve, settle, warn": each(lambda: (state.ledger.nearly(said), state.ledger.spent(said))),
        "digest of the request": each(lambda: digest.of(messages, [], ("auto", None, ()))),
        "wrapper: cost of the reply": each(lambda: client._spent(worst, result)),
        "events to JSON": writing,
        "commit, FULL, with its hand-over": await commit(folder, events) - writing,
    }


async def whole(turn: int, folder: Path) -> tuple[float, dict[str, float]]:
    stamps: tuple[list[float], list[float]] = ([], [])
    path = folder / "moot.db"
    store = SqliteStore(path)
    made = chat(stamps, turn + 21)
    run = await made.run("go", store=store)
    found = await parts(run, folder)
    await store.close()
    return around(stamps[0], turn), found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--turn", type=int, default=300)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="moot-parts-") as folder:
        total, found = asyncio.run(whole(given.turn, Path(folder)))
    print(f"CPU µs of turn {given.turn}: a journalled turn of an AssistantAgent that sees the last 20 messages")
    for name, taken in (*found.items(), ("everything else", total - sum(found.values()))):
        print(f"{name:38} {taken:7.1f}   {taken / total:6.1%}")
    print(f"{'whole turn':38} {total:7.1f}   {1:6.1%}")


if __name__ == "__main__":
    main()
