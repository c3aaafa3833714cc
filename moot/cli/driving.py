"""What `run`, `resume` and `demo` have in common: drive, show, hand over what came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from moot.chats.clean import clean_line
from moot.chats.errors import Fenced, StoreError, UserError
from moot.cli import artifact_files
from moot.cli.conduct import NO_PAST, Conducted, Conductor, Interrupts, Past
from moot.cli.consoles import result, result_json, say, stdout_for_results
from moot.cli.display import Display
from moot.cli.exit_codes import ExitCode, exit_code
from moot.cli.options import Ask, Mode
from moot.cli.run_object import run_object
from moot.cli.terminal import can_ask
from moot.cli.words import few, size

if TYPE_CHECKING:
    from moot.chats.chat import Chat
    from moot.chats.run import Run
    from moot.chats.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a run is to be shown, where its files go, and who is asked what it asks people. `ask` None: whoever is at the
    terminal, where there is one that shows the run. Raises UserError where nobody is there who is to be asked.
    """

    display: Mode = Mode.AUTO
    json: bool = False
    artifacts: Path | None = None
    ask: Ask | None = None

    def __post_init__(self) -> None:
        if self.ask is Ask.PROMPT and not can_ask():
            raise UserError("--ask prompt needs a terminal, as stdin and as stderr; --ask inbox leaves the run waiting")

    @property
    def asks(self) -> Ask:
        """Who is asked, as things are now."""
        if self.ask is not None:
            return self.ask
        return Ask.PROMPT if self.display not in (Mode.NONE, Mode.JSONL) and can_ask() else Ask.INBOX


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

    async def conduct(
        self, begin: Callable[[], Awaitable[Run]], past: Past = NO_PAST, *, chat: Chat | None = None
    ) -> ExitCode:
        """To its end, and the result on stdout. `past`: the events that need not be shown. A run that waits for a
        person goes on once they were asked here, with its `chat` where that cannot be rebuilt.
        """
        with stdout_for_results():
            return await self._conduct(begin, past, chat)

    async def _conduct(self, begin: Callable[[], Awaitable[Run]], past: Past, chat: Chat | None) -> ExitCode:
        from moot.chats.run import open_run

        asks = self.wanted.asks
        self.display.asks = asks is not Ask.PROMPT
        conductor = Conductor(self.display, self.interrupts, self.store, past)
        done = await conductor.conduct(begin)
        while done.status == "waiting" and not done.interrupted and await self._decided(done, asks, past):
            past = NO_PAST
            row = await self.store.row(done.run)
            if not row.driven and row.status != "finished":
                with contextlib.suppress(Fenced):
                    done = await conductor.conduct(partial(open_run, done.run, chat=chat, store=self.store))
                    continue
            return await self._watched(done, conductor.seen)
        return await self._hand_over(done, asks)

    async def _decided(self, done: Conducted, asks: Ask, past: Past) -> bool:
        """Whether a run that waits can go on now. `past`: what happened before it was shown here."""
        if asks is Ask.INBOX:
            return False
        from moot.cli.inline import Inline, deny

        if asks is Ask.DENY:
            return await deny(self.store, done.story)
        return can_ask() and await Inline(self.store, self.interrupts).ask(done.story, done.short, late=bool(past))

    async def _watched(self, done: Conducted, seen: int) -> ExitCode:
        """Whoever decided drives it on: it is followed to its end."""
        from moot.cli.watching import Watch

        self.display.notice("  another process drives it on")
        watch = Watch(self.store, self.display, self.wanted.display, json=self.wanted.json, told=seen)
        return await watch.follow(done.run, self.interrupts)

    async def _hand_over(self, done: Conducted, asks: Ask) -> ExitCode:
        self.display.end(done.story)
        story, finished = done.story, done.story.finished
        code = exit_code(None) if finished is None else exit_code(finished.outcome, finished.cause)
        if done.interrupted or (finished is None and self.interrupts.asked > 1):
            code = ExitCode.INTERRUPTED
        files = await self._files(done)
        if self.wanted.json:
            result_json(run_object(story, done.status, code, files))
        elif self.wanted.display is not Mode.JSONL and finished is not None and finished.result is not None:
            result(finished.result)
        for line in few([f"file {file.path} ({size(file.bytes)})" for file in files]):
            self.display.hint(line)
        if done.status == "waiting":  # for what was said
            if asks is Ask.PROMPT:
                self.display.notice(f"  to be asked again: moot resume {done.short}")
        elif done.status != "finished":
            self.display.notice(f"  to go on: moot resume {done.short}")
        elif finished is not None and finished.cause:
            self.display.notice(f"  once that is put right: moot resume {done.short}")
        self.display.hint(f"moot export {done.short} -o run.html")
        if done.status == "finished" and story.count:
            self.display.hint(f"moot fork {done.short}@{story.count}")
        return code

    async def _files(self, done: Conducted) -> list[artifact_files.CopiedFile]:
        """What cannot be copied does not change how the run ended."""
        files, wanted = done.story.files.values(), self.wanted.artifacts
        try:
            copied = await artifact_files.copy_out(files, self.store.blobs, done.run, wanted)
        except (StoreError, UserError) as error:
            say(f"warning: {error}")
            return []
        for line in few([f"{clean_line(f.name)} was there already: kept as {f.path}" for f in copied if f.numbered]):
            say(f"warning: {line}")
        return copied
