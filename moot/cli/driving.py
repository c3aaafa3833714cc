"""What `run`, `resume` and `demo` have in common: drive, show, hand over what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moot.chats.clean import clean_line
from moot.chats.errors import StoreError, UserError
from moot.cli import artifact_files
from moot.cli.conduct import NO_PAST, Conducted, Conductor, Interrupts, Past
from moot.cli.consoles import result, result_json, say
from moot.cli.display import Display
from moot.cli.exit_codes import ExitCode, exit_code
from moot.cli.options import Mode
from moot.cli.run_object import run_object
from moot.cli.words import few, size

if TYPE_CHECKING:
    from moot.chats.chat import Chat
    from moot.chats.run import Run
    from moot.chats.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a run is to be shown, and where its files go."""

    display: Mode = Mode.AUTO
    json: bool = False
    artifacts: Path | None = None


async def preflight(chat: Chat) -> None:
    """Raises the SandboxError that the run's first code would meet, before anything is started or spent."""
    from moot.agents.executor import Executor

    for participant in chat.participants:
        if isinstance(participant, Executor) and participant.sandbox is not None:
            await participant.sandbox.check()


@dataclass(frozen=True, slots=True)
class Drive:
    """One run driven from the command line."""

    store: Store
    display: Display
    interrupts: Interrupts
    wanted: Wanted

    async def conduct(self, begin: Callable[[], Awaitable[Run]], past: Past = NO_PAST) -> ExitCode:
        """To its end, and the result on stdout. `past`: the events that need not be shown."""
        conductor = Conductor(self.display, self.interrupts, self.store, past)
        return await self._hand_over(await conductor.conduct(begin))

    async def _hand_over(self, done: Conducted) -> ExitCode:
        code = ExitCode.INTERRUPTED if done.interrupted else exit_code(done.run.outcome, done.run.cause)
        files = await self._files(done)
        if self.wanted.json:
            result_json(run_object(done.story, done.run.status, code, files))
        elif self.wanted.display is not Mode.JSONL and done.run.result is not None:
            result(done.run.result)
        for line in few([f"file {file.path} ({size(file.bytes)})" for file in files]):
            self.display.hint(line)
        if done.run.status not in ("finished", "waiting"):  # what it waits for was said
            self.display.notice(f"  to go on: moot resume {done.short}")
        elif done.run.cause:
            self.display.notice(f"  once that is put right: moot resume {done.short}")
        self.display.hint(f"moot export {done.short} --format md")
        if done.run.status == "finished" and done.story.count:
            self.display.hint(f"moot fork {done.short}@{done.story.count}")
        return code

    async def _files(self, done: Conducted) -> list[artifact_files.CopiedFile]:
        """What cannot be copied does not change how the run ended."""
        files, wanted = done.story.files.values(), self.wanted.artifacts
        try:
            copied = await artifact_files.copy_out(files, self.store.blobs, done.run.id, wanted)
        except (StoreError, UserError) as error:
            say(f"warning: {error}")
            return []
        for line in few([f"{clean_line(f.name)} was there already: kept as {f.path}" for f in copied if f.numbered]):
            say(f"warning: {line}")
        return copied
