"""The two seams of this room: what can be opened, and what is then open. `Docker` and `Fake` are both."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from moot.sandbox.execution import Execution, File

LANGUAGES = ("python", "bash", "sh")
"""The languages a block may be written in."""

_ALIASES = {"py": "python", "python3": "python"}

OnOutput = Callable[[str, str], None]
"""Called with `"stdout"` or `"stderr"` and a piece of text as it comes, for the first 64 KiB of each. It must return at
once; what it raises ends the block and is raised by `run`."""


def known_language(name: str) -> str:
    """The language meant by a fence's label (`py` is `python`). ValueError names those that are supported."""
    language = name.strip().lower()
    language = _ALIASES.get(language, language)
    if language not in LANGUAGES:
        raise ValueError(f"cannot run {name!r}; a sandbox runs {', '.join(LANGUAGES)}")
    return language


class OpenBox(Protocol):
    """An open sandbox: a live interpreter and a workspace, for one run."""

    async def run(
        self,
        code: str,
        language: str = "python",
        *,
        timeout_seconds: float | None = None,
        on_output: OnOutput | None = None,
    ) -> Execution:
        """Run one block to its end, its timeout or an interrupt. SandboxError only when the sandbox itself fails."""
        ...

    async def put(self, name: str, data: bytes) -> None:
        """Write a file into the workspace; it is an input and therefore no artifact."""
        ...

    async def get(self, name: str) -> bytes:
        """Read a regular file of the workspace; FileRefused if there is none of that name."""
        ...

    async def list(self) -> builtins.list[File]:
        """All regular files of the workspace, by name."""
        ...

    async def interrupt(self) -> None:
        """Stop the block that is running, if one is; its `run` returns with `interrupted` set."""
        ...

    async def close(self) -> None:
        """Let go of everything. Safe to call twice."""
        ...


class Sandbox(Protocol):
    """A specification of a sandbox: an inert value that can be opened any number of times."""

    def open(self, *, run: str = "", files: Mapping[str, bytes] | None = None) -> AbstractAsyncContextManager[OpenBox]:
        """A box with these input files in its workspace, gone when the block of `async with` is left."""
        ...

    async def check(self) -> None:
        """Raise the SandboxError that `open` would meet first, without starting anything."""
        ...
