"""What it costs to go on with a run, to keep it, and to let many of them wait.

    .venv/bin/python -m benchmarks.resume [--turns 200] [--waiting 1000]

Resume: a run of three AssistantAgents is left after that many turns, and opened again by a store of its own: claim,
read, fold, and rebuild what each participant's model would be told. Shown per 1,000 events, and for five times as many
turns. Disk: a run of 1,000 turns of 200 characters, after the store was closed. Waiting: runs that wait for a person's
answer, all of them left by this process: the tasks, threads and memory they hold, and how long an answered one takes to
be opened, shown, decided, opened again and ended.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import statistics
import tempfile
import threading
import time
from pathlib import Path

from autogen_agentchat.agents import AssistantAgent, UserProxyAgent
from autogen_agentchat.base import ChatAgent
from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage

from benchmarks.turns import TEXT, Instant
from moot.chats.chat import Chat
from moot.chats.run import Run, open_run
from moot.chats.sqlite_store import SqliteStore
from moot.termination.limits import Limits

REPETITIONS = 5


class Numbered(Instant):
    """Answers at once, each time with other words, so that nothing is shared in memory by chance."""

    def __init__(self) -> None:
        super().__init__(([], []))
        self._count = 0

    async def create(self, *_: object, **__: object) -> CreateResult:
        self._count += 1
        text = f"{self._count:08d}{TEXT[8:]}"
        return CreateResult(finish_reason="stop", content=text, usage=RequestUsage(1, 2), cached=False)


def chat(turns: int) -> Chat:
    model: ChatCompletionClient = Numbered()
    agents: list[ChatAgent] = [AssistantAgent(name, model) for name in "abc"]
    return Chat(agents, limits=Limits(turns=turns))


async def left_after(turns: int, path: Path) -> tuple[str, int]:
    """A run that was paused after that many turns: its id, and how many events it has."""
    store = SqliteStore(path, "NORMAL")
    run = await chat(turns + 1000).start("go", store=store)
    async for event in run.events():
        if event.type == "turn.finished" and event.turn == turns:  # type: ignore[union-attr]
            run.pause_after_turn()
    await run.finish()
    events = len(await store.load(run.id))
    await store.close()
    return run.id, events


async def resumed(path: Path, name: str) -> tuple[float, float]:
    """Milliseconds of CPU and wall until the run is driven again."""
    made, store = chat(100_000), SqliteStore(path, "NORMAL")
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    run = await open_run(name, chat=made, store=store)
    spent = (time.process_time() - cpu) * 1e3, (time.perf_counter() - wall) * 1e3
    await run.stop_now()
    await store.close()
    return spent


async def resume(turns: int) -> None:
    with tempfile.TemporaryDirectory(prefix="moot-resume-") as folder:
        path = Path(folder) / "moot.db"
        name, events = await left_after(turns, path)
        seen = [await resumed(path, name) for _ in range(REPETITIONS)]
    cpu, wall = (statistics.median(each) for each in zip(*seen, strict=True))
    share = 1000 / events
    print(
        f"resume after {turns:5} turns, {events:6} events   {cpu:7.1f} ms CPU   {wall:7.1f} ms wall"
        f"   {cpu * share:5.1f} ms CPU per 1,000 events"
    )


async def disk() -> None:
    with tempfile.TemporaryDirectory(prefix="moot-disk-") as folder:
        store = SqliteStore(Path(folder) / "moot.db", "NORMAL")
        await chat(1000).run("go", store=store)
        await store.close()
        size = await asyncio.to_thread(size_of, Path(folder))
    print(f"disk, 1,000 turns of 200 characters       {size / 1e6:7.2f} MB")


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def asking() -> Chat:
    agents: list[ChatAgent] = [UserProxyAgent("owner"), AssistantAgent("a", Numbered())]
    return Chat(agents, limits=Limits(turns=2))


async def waiting(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="moot-waiting-") as folder:
        store = SqliteStore(Path(folder) / "moot.db", "NORMAL")
        await asking().run("go", store=store)
        gc.collect()
        tasks, threads, memory = len(asyncio.all_tasks()), threading.active_count(), resident()
        ids = [await _asked(store) for _ in range(count)]
        gc.collect()
        more = len(asyncio.all_tasks()) - tasks, threading.active_count() - threads, resident() - memory
        print(f"{count} runs that wait hold {more[0]} tasks, {more[1]} threads, {more[2] / 1e6:.1f} MB")
        times = [await _answered(store, name) for name in ids[:20]]
        print(f"opened, answered, opened again and ended  {statistics.median(times):7.1f} ms wall")
        await store.close()


async def _asked(store: SqliteStore) -> str:
    run = await asking().run("go", store=store)
    assert run.status == "waiting", run.status
    return run.id


async def _answered(store: SqliteStore, name: str) -> float:
    began = time.perf_counter()
    run: Run = await open_run(name, chat=asking(), store=store)
    await run.finish()
    (request,) = run.requests
    await run.decide(request.id, "respond", "yes")
    again = await (await open_run(name, chat=asking(), store=store)).finish()
    assert again.turns == 2, again.status
    return (time.perf_counter() - began) * 1e3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--turns", type=int, default=200)
    options.add_argument("--waiting", type=int, default=1000)
    given = options.parse_args()
    for turns in (given.turns, given.turns * 5):
        asyncio.run(resume(turns))
    asyncio.run(disk())
    asyncio.run(waiting(given.waiting))


if __name__ == "__main__":
    main()
