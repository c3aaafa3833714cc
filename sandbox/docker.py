"""`Docker(...)`: which sandbox is wanted. A value; nothing is imported, contacted or started until it is opened."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moot.sandbox.sizes import parse_size, show_size

if TYPE_CHECKING:
    from moot.sandbox.box import Box

DEFAULT_IMAGE = "moot/python:1"
"""What `moot sandbox build` makes."""

_NETWORKS = ("none",)
_HEADROOM = 64 << 20  # what the interpreter itself needs beside full file systems (they are memory, too)
_SIZES = ("memory", "workspace", "tmp", "shm", "max_artifact", "max_artifacts")


@dataclass(frozen=True, kw_only=True)
class Docker:
    """A hardened container with a live interpreter: no network, no privileges, read-only but for its workspace."""

    image: str = DEFAULT_IMAGE
    """Any image with `python3` of at least 3.9."""
    timeout_seconds: float = 60.0
    """For one block, unless its `run` says otherwise."""
    memory: str = "512m"
    """For everything in the container, its in-memory file systems included; there is no swap."""
    cpus: float = 1.0
    pids: int = 128
    """Processes and threads."""
    workspace: str = "256m"
    tmp: str = "64m"
    shm: str = "64m"
    network: str = "none"
    """Only `none` for now."""
    runtime: str | None = None
    """Another container runtime that the engine knows, such as `runsc`."""
    artifacts: tuple[str, ...] = ("*",)
    """Patterns of the files to copy out after a block. `*.png` also matches in folders; hidden files match only a
    pattern that names the dot."""
    max_artifact: str = "32m"
    """Per file. What is larger is listed as not kept."""
    max_artifacts: str = "128m"
    """Per block, all files together."""
    engine: str | None = None
    """Address of the Docker engine; None is what the docker command would use (`DOCKER_HOST` or the local socket)."""

    def __post_init__(self) -> None:
        for what in _SIZES:
            parse_size(getattr(self, what), what=what)
        if self.network not in _NETWORKS:
            raise ValueError(f"network={self.network!r} is not supported; allowed: {', '.join(_NETWORKS)}")
        if not (math.isfinite(self.timeout_seconds) and self.timeout_seconds > 0):
            raise ValueError(f"timeout_seconds={self.timeout_seconds!r} must be more than 0")
        if not (math.isfinite(self.cpus) and self.cpus > 0):
            raise ValueError(f"cpus={self.cpus!r} must be more than 0")
        if self.pids < 16:
            raise ValueError(f"pids={self.pids!r} is too few for an interpreter and its threads; give 16 or more")
        if not isinstance(self.artifacts, tuple):
            raise ValueError(f"artifacts={self.artifacts!r} must be a tuple of patterns, such as ('*.png', '*.csv')")
        if not self.image.strip():
            raise ValueError("image is empty; name one, such as " + DEFAULT_IMAGE)
        self._check_memory()

    def _check_memory(self) -> None:
        files = sum(parse_size(getattr(self, what), what=what) for what in ("workspace", "tmp", "shm"))
        need = files + _HEADROOM
        if parse_size(self.memory, what="memory") < need:
            raise ValueError(
                f"memory={self.memory!r} is too little: workspace, tmp and shm are kept in memory and need, with room "
                f"for the interpreter, {show_size(need)}; raise memory or lower them"
            )

    def open(self, *, run: str = "", files: Mapping[str, bytes] | None = None) -> AbstractAsyncContextManager[Box]:
        """A new container with `files` in its workspace; removed however the `async with` block is left.

        `run` labels the container. Raises the SandboxError that tells what is missing.
        """
        return self._opened(run, dict(files or {}))

    @asynccontextmanager
    async def _opened(self, run: str, files: dict[str, bytes]) -> AsyncIterator[Box]:
        from moot.sandbox.box import Box

        box = await Box.start(self, run=run, files=files)
        try:
            yield box
        finally:
            await box.close()
            await self._sweep()

    async def _sweep(self) -> None:
        """Remove what processes left that were killed between making and starting a container."""
        from moot.sandbox.errors import SandboxError
        from moot.sandbox.prune import prune

        with suppress(SandboxError):
            await prune(self.engine)

    async def check(self) -> None:
        """Raise EngineUnavailable, ImageMissing or RuntimeMissing now rather than in the middle of a run."""
        from moot.sandbox.engine import Engine

        async with Engine(self.engine) as engine:
            await engine.check(self)
