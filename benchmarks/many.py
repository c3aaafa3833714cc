"""Many chats at once in one process: 1,000 runs of 6 turns, every reply half a second away.

    .venv/bin/python benchmarks/many.py [--chats 1000] [--rounds 3]

The ideal is 6 x 0.5 = 3.0 s; what is more is the runtime's own work, as all the replies come at the same moment. Three
participants in a round, about 200 characters a message. Moot journalled (all runs in one file, FULL), Moot in memory,
and AutoGen's RoundRobinGroupChat, which keeps nothing, alternate. Memory is what the process gained until all runs were
over, none of them let go; each load has a process of its own. The garbage collector is told to leave alone what was
imported before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import ChatAgent, Response, Team
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken

from moot.chats.chat import Chat
from moot.chats.memory_store import MemoryStore
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Store
from moot.termination.limits import Limits

TEXT = "x" * 200
TURNS = 6
SECONDS = 0.5
WARM_UP = 20
"""Chats before those that are measured."""


class Slow(BaseChatAgent):
    """Takes half a second to answer, as a model does, and no CPU."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        await asyncio.sleep(SECONDS)
        return Response(chat_message=TextMessage(content=TEXT, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        pass


def agents() -> list[ChatAgent]:
    return [Slow(name, "answers in half a second") for name in "abc"]


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Meter:
    """Wall seconds, CPU seconds and kB a chat of one load."""

    def __init__(self, chats: int) -> None:
        gc.collect()
        gc.freeze()
        self._chats, self._memory = chats, resident()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float, float]:
        kilobytes = (resident() - self._memory) / self._chats / 1000
        return time.perf_counter() - self._wall, time.process_time() - self._cpu, kilobytes


async def moot(chats: int, store: Store) -> tuple[float, float, float]:
    meter = Meter(chats)
    made = [Chat(agents(), limits=Limits(turns=TURNS)) for _ in range(chats)]
    runs = await asyncio.gather(*(chat.run("go", store=store) for chat in made))
    assert all(run.turns == TURNS for run in runs)
    return meter.read()


async def journalled(chats: int) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory(prefix="moot-many-") as folder:
        store = SqliteStore(Path(folder) / "moot.db")
        try:
            return await moot(chats, store)
        finally:
            await store.close()


async def autogen(chats: int) -> tuple[float, float, float]:
    meter = Meter(chats)
    participants: list[list[ChatAgent | Team]] = [[*agents()] for _ in range(chats)]
    teams = [RoundRobinGroupChat(each, max_turns=TURNS) for each in participants]
    results = await asyncio.gather(*(team.run(task="go") for team in teams))
    assert all(len(result.messages) == TURNS + 1 for result in results)
    return meter.read()


LOADS: Mapping[str, tuple[str, Callable[[int], Awaitable[tuple[float, float, float]]]]] = {
    "journalled": ("Moot, journalled (FULL)", journalled),
    "memory": ("Moot, in memory", lambda chats: moot(chats, MemoryStore())),
    "autogen": ("AutoGen RoundRobinGroupChat", autogen),
}


async def once(load: str, chats: int) -> None:
    """For a process of its own: memory that an earlier load gave back would hide what this one takes."""
    await LOADS[load][1](WARM_UP)  # whatever is imported late is imported now
    print(*await LOADS[load][1](chats))


def measured(load: str, chats: int) -> Sequence[float]:
    program = [sys.executable, __file__, "--load", load, "--chats", str(chats)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return [float(figure) for figure in done.stdout.split()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chats", type=int, default=1000)
    options.add_argument("--rounds", type=int, default=3, help="repetitions, alternating (default 3)")
    options.add_argument("--load", choices=[*LOADS], help="only that one, once, as bare figures")
    given = options.parse_args()
    if given.load is not None:
        return asyncio.run(once(given.load, given.chats))
    seen: dict[str, list[Sequence[float]]] = {load: [] for load in LOADS}
    for _ in range(given.rounds):
        for load in LOADS:
            seen[load].append(measured(load, given.chats))
    print(f"{given.chats} chats x {TURNS} turns x {SECONDS} s (ideal {TURNS * SECONDS:.1f} s)")
    for load, runs in seen.items():
        wall, cpu, held = (statistics.median(each) for each in zip(*runs, strict=True))
        print(f"{LOADS[load][0]:28} {wall:6.2f} s   {cpu:6.2f} s of CPU   {held:6.1f} kB a chat")
    return None


if __name__ == "__main__":
    main()
