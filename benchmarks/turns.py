"""What a turn costs in CPU: Moot in memory, Moot journalled, and AutoGen's RoundRobinGroupChat, side by side.

    .venv/bin/python benchmarks/turns.py [--long] [--rounds 3]

Three participants in a round, about 200 characters a message, agents and models that answer at once, the full history
to each. Every agent stamps the process's CPU time when its turn begins: the distance between two stamps is a whole
turn of the runtime, with all of its threads. A figure is the median of 40 turns around the turn it stands for, and of
the repetitions, which alternate. Only ratios mean something on a busy machine. Wall time of the commits is the disk's
and is shown apart.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import ChatAgent, Response, Team
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage

from moot.chats.chat import Chat
from moot.chats.memory_store import MemoryStore
from moot.chats.sqlite_store import SqliteStore
from moot.chats.store import Store
from moot.termination.limits import Limits

TEXT = "x" * 200
WINDOW = 20
Stamps = tuple[list[float], list[float]]
"""CPU and wall clock, at the beginning of each turn."""


class Trivial(BaseChatAgent):
    """Answers at once with the same words."""

    def __init__(self, name: str, stamps: Stamps) -> None:
        super().__init__(name, "answers at once")
        self._stamps = stamps

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        stamp(self._stamps)
        return Response(chat_message=TextMessage(content=TEXT, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        pass


class Instant(ChatCompletionClient):
    """A model that answers at once."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps

    async def create(self, messages: Sequence[LLMMessage], **_: Any) -> CreateResult:
        stamp(self._stamps)
        return CreateResult(finish_reason="stop", content=TEXT, usage=RequestUsage(1, 2), cached=False)

    async def create_stream(self, messages: Sequence[LLMMessage], **_: Any) -> AsyncGenerator[str | CreateResult, None]:
        yield await self.create(messages)

    async def close(self) -> None:
        pass

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        return 1_000_000

    @property
    def capabilities(self) -> Any:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(vision=True, function_calling=True, json_output=True, family="none", structured_output=True)


def stamp(stamps: Stamps) -> None:
    stamps[0].append(time.process_time())
    stamps[1].append(time.perf_counter())


def trivial(stamps: Stamps) -> list[ChatAgent]:
    return [Trivial(name, stamps) for name in "abc"]


def assistants(stamps: Stamps) -> list[ChatAgent]:
    model = Instant(stamps)
    return [AssistantAgent(n, model, model_context=BufferedChatCompletionContext(20)) for n in "abc"]


async def moot(agents: list[ChatAgent], turns: int, store: Store) -> None:
    run = await Chat(agents, limits=Limits(turns=turns)).run("go", store=store)
    assert run.turns == turns, run.stopped_by


async def in_memory(make: Callable[[Stamps], list[ChatAgent]], stamps: Stamps, turns: int) -> None:
    await moot(make(stamps), turns, MemoryStore())


async def journalled(make: Callable[[Stamps], list[ChatAgent]], stamps: Stamps, turns: int) -> None:
    with tempfile.TemporaryDirectory(prefix="moot-turns-") as folder:
        store = SqliteStore(Path(folder) / "moot.db")
        try:
            await moot(make(stamps), turns, store)
        finally:
            await store.close()


async def autogen(make: Callable[[Stamps], list[ChatAgent]], stamps: Stamps, turns: int) -> None:
    participants: list[ChatAgent | Team] = [*make(stamps)]
    await RoundRobinGroupChat(participants, max_turns=turns).run(task="go")


async def together(runs: int, turns: int) -> float:
    """CPU µs per turn of many journalled runs side by side in one file: they share commits."""
    with tempfile.TemporaryDirectory(prefix="moot-turns-") as folder:
        store = SqliteStore(Path(folder) / "moot.db")
        chats = [Chat(trivial(([], [])), limits=Limits(turns=turns)) for _ in range(runs)]
        began = time.process_time()
        await asyncio.gather(*(chat.run("go", store=store) for chat in chats))
        spent = time.process_time() - began
        await store.close()
    return spent / runs / turns * 1e6


Bench = Callable[[Stamps, int], Awaitable[None]]
BENCHES: Mapping[str, Bench] = {
    "Moot, in memory": lambda s, n: in_memory(trivial, s, n),
    "Moot, journalled (FULL)": lambda s, n: journalled(trivial, s, n),
    "AutoGen RoundRobinGroupChat": lambda s, n: autogen(trivial, s, n),
    "Moot, in memory, AssistantAgents, last 20": lambda s, n: in_memory(assistants, s, n),
    "Moot, journalled, AssistantAgents, last 20": lambda s, n: journalled(assistants, s, n),
    "AutoGen, AssistantAgents, last 20": lambda s, n: autogen(assistants, s, n),
}


def around(stamps: Sequence[float], mark: int) -> float:
    """Microseconds of the median turn around that one."""
    near = stamps[mark - WINDOW - 1 : mark + WINDOW]
    return statistics.median(b - a for a, b in itertools.pairwise(near)) * 1e6


def measure(marks: Sequence[int], repetitions: int) -> dict[str, list[tuple[float, float]]]:
    """For each runtime and mark: CPU and wall microseconds."""
    seen: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in BENCHES}
    for _ in range(repetitions):
        for name, bench in BENCHES.items():
            own = marks if name == "Moot, in memory" else [m for m in marks if m <= 1000]
            stamps: Stamps = ([], [])
            asyncio.run(_run(bench, stamps, max(own) + WINDOW))
            seen[name].append([(around(stamps[0], m), around(stamps[1], m)) for m in own])
    return {
        name: [
            (statistics.median(c for c, _ in at), statistics.median(w for _, w in at)) for at in zip(*runs, strict=True)
        ]
        for name, runs in seen.items()
    }


async def _run(bench: Bench, stamps: Stamps, turns: int) -> None:
    await bench(stamps, turns)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--long", action="store_true", help="Moot in memory to turn 10,000")
    options.add_argument("--rounds", type=int, default=3, help="repetitions, alternating (default 3)")
    given = options.parse_args()
    marks = [50, 300, 1000] + ([10_000] if given.long else [])
    figures = measure(marks, given.rounds)
    print("CPU µs per turn (wall in brackets)".ljust(44) + "".join(f"{f'turn {m:,}':>16}" for m in marks))
    for name, at in figures.items():
        print(name.ljust(44) + "".join(f"{f'{cpu:.0f} ({wall:.0f})':>16}" for cpu, wall in at))
    for ours, theirs in (
        ("Moot, in memory", "AutoGen RoundRobinGroupChat"),
        ("Moot, in memory, AssistantAgents, last 20", "AutoGen, AssistantAgents, last 20"),
    ):
        pairs = list(zip(figures[theirs], figures[ours], strict=False))
        print(f"AutoGen / {ours}".ljust(44) + "".join(f"{f'{a[0] / m[0]:.1f}x':>16}" for a, m in pairs))
    print(f"Moot, journalled, 50 runs together: {asyncio.run(together(50, 200)):.0f} µs a turn")
    flat = figures["Moot, in memory"]
    print(f"growth in memory, turn {marks[0]} to {marks[-1]:,}: {flat[-1][0] / flat[0][0]:.2f}x")


if __name__ == "__main__":
    main()
