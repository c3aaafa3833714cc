"""What the sandbox costs, beside AutoGen's Docker executor in the same run: `.venv/bin/python benchmarks/sandbox.py`.

The comparison needs `autogen-ext[docker]` (it is no dependency of Moot); without it only Moot's figures are printed.
Both use the same image and take turns, so that a busy machine burdens both alike: trust the ratios.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from moot.sandbox.box import Box
from moot.sandbox.docker import DEFAULT_IMAGE, Docker

PYTHON = "x = sum(range(100))\nprint(x)"
BASH = "echo $((1 + 1))"
TEN_MEGABYTES = bytes(10 << 20)
STUBBORN = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)"

Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Peer:
    """AutoGen's executor, as far as this benchmark uses it."""

    run: Callable[[str, str], Awaitable[None]]
    start_seconds: float
    stop: Step


def show(name: str, unit: str, ours: list[float], theirs: list[float] | None = None) -> None:
    """One line of the table: medians and 95th percentiles in milliseconds, and how many times faster ours is."""
    cells = []
    for figures in (ours, theirs):
        if not figures:
            cells.append(f"{'-':>9} {'-':>9}")
            continue
        worst = statistics.quantiles(figures, n=20)[18] if len(figures) > 1 else figures[0]
        cells.append(f"{statistics.median(figures) * 1e3:9.2f} {worst * 1e3:9.2f}")
    ratio = f"{statistics.median(theirs) / statistics.median(ours):7.1f}x" if theirs else f"{'-':>8}"
    print(f"{name:<34}{unit:>5}  {cells[0]}   {cells[1]}  {ratio}", flush=True)


async def timed(step: Step) -> float:
    """Seconds that a step takes."""
    begun = time.perf_counter()
    await step()
    return time.perf_counter() - begun


@asynccontextmanager
async def autogen(image: str) -> AsyncIterator[Peer | None]:
    """AutoGen's executor, started; None where it is not installed."""
    try:
        from autogen_core import CancellationToken
        from autogen_core.code_executor import CodeBlock
        from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor
    except (ImportError, RuntimeError):
        print("AutoGen's executor is not installed (pip install 'autogen-ext[docker]'): Moot's figures alone\n")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # noqa: ASYNC240 - it is mounted into the container, whose user is not ours
        executor = DockerCommandLineCodeExecutor(image=image, work_dir=folder, timeout=60)
        start_seconds = await timed(executor.start)

        async def run(code: str, language: str) -> None:
            result = await executor.execute_code_blocks([CodeBlock(code=code, language=language)], CancellationToken())
            if result.exit_code:
                raise RuntimeError(f"AutoGen's executor failed: {result.output}")

        try:
            yield Peer(run, start_seconds, executor.stop)
        finally:
            await executor.stop()


async def compare_blocks(box: Box, peer: Peer | None, blocks: int) -> None:
    """Warm blocks, in turns."""
    for name, code, language in (("warm Python block", PYTHON, "python"), ("bash block", BASH, "bash")):
        ours, theirs = [], []
        for count in range(blocks + 5):
            took = await timed(lambda: box.run(code, language))  # noqa: B023 - it is awaited at once
            if count >= 5:
                ours.append(took)
            if peer is not None and count < 35:
                took = await timed(lambda: peer.run(code, language))  # noqa: B023
                if count >= 5:
                    theirs.append(took)
        show(name, "ms", ours, theirs)


async def measure_files(box: Box) -> None:
    """A file of 10 MB in, and out."""
    show("10 MB file in", "ms", [await timed(lambda: box.put("in.bin", TEN_MEGABYTES)) for _ in range(10)])
    show("10 MB file out", "ms", [await timed(lambda: box.get("in.bin")) for _ in range(10)])


async def measure_stopping(box: Box) -> None:
    """From asking a block to stop until its result is there."""
    late = []
    for _ in range(5):
        begun = asyncio.Event()
        running = asyncio.create_task(
            box.run("print(1)\nwhile True: pass", on_output=lambda stream, text: begun.set())  # noqa: B023
        )
        await begun.wait()
        await box.interrupt()
        late.append(await timed(lambda: running))  # noqa: B023
    show("interrupt", "ms", late)
    show("hard kill, beyond the timeout", "ms", [await timed(lambda: box.run(STUBBORN, timeout_seconds=0.2)) - 0.2])


async def measure_lives(spec: Docker, peer: Peer | None) -> None:
    """Cold start with the first block, and the end."""
    starts, stops = [], []
    for _ in range(5):
        opened = spec.open(run="benchmark")
        begun = time.perf_counter()
        box = await opened.__aenter__()
        await box.run(PYTHON)
        starts.append(time.perf_counter() - begun)
        stops.append(await timed(box.close))
        await opened.__aexit__(None, None, None)
    show("cold start and first block", "ms", starts, [peer.start_seconds] if peer else None)
    show("stop", "ms", stops, [await timed(peer.stop)] if peer else None)


async def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--image", default=DEFAULT_IMAGE)
    options.add_argument("--blocks", type=int, default=500)
    chosen = options.parse_args()
    spec = Docker(image=chosen.image)
    async with autogen(chosen.image) as peer, spec.open(run="benchmark") as box:
        print(f"image {chosen.image}, Python {box.python}, {chosen.blocks} blocks (AutoGen: 30)\n")
        print(f"{'':<39}  {'Moot p50':>9} {'p95':>9}   {'AutoGen':>9} {'p95':>9}  {'faster':>8}")
        await compare_blocks(box, peer, chosen.blocks)
        await measure_files(box)
        await measure_stopping(box)
        await measure_lives(spec, peer)


if __name__ == "__main__":
    asyncio.run(main())
