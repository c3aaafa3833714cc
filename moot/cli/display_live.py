"""A run on a terminal: finished turns scroll up; below them what is being said right now and what is left to spend."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from moot.chats import event_types as ev
from moot.chats.clean import clean_line
from moot.chats.events import Draft, Event
from moot.chats.story import Story
from moot.cli import shown
from moot.cli.budget import budget_left
from moot.cli.clip import clip, tail
from moot.cli.display_plain import PlainDisplay
from moot.cli.terminal import Quiet
from moot.cli.words import seconds

FRAME_SECONDS = 0.1
KEPT_CHARACTERS = 8000
"""How much of a text that is still coming is remembered: more than fits a screen."""
CODE_LINES = 12


@dataclass(slots=True)
class Speaking:
    """A turn that is under way."""

    number: int
    participant: str
    since: float
    doing: str = "thinking"
    code: str = ""
    language: str = ""
    said: str = ""
    """The end of what has come so far."""

    def hear(self, kind: str, text: str) -> None:
        """Take in a piece."""
        self.doing = "speaking" if kind == "token" else "running"
        self.said = (self.said + text)[-KEPT_CHARACTERS:]


@dataclass(slots=True)
class Region:
    """What is drawn anew: never higher than the terminal."""

    story: Story | None = None
    speaking: dict[int, Speaking] = field(default_factory=dict)
    notice: str = ""
    since: float = field(default_factory=time.monotonic)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(2, min(options.size.height - 3, 24))
        status = self._status()
        room -= len(status)
        each = max(1, room // max(1, len(self.speaking)))
        for turn in list(self.speaking.values())[:room]:
            yield from self._turn(turn, console, options, each)
        for line in status:
            yield from console.render(line, options)

    def _turn(self, turn: Speaking, console: Console, options: ConsoleOptions, room: int) -> RenderResult:
        if self.story is None:
            return
        left = Text.assemble((f"{turn.number:>2} ", "dim"), shown.who(self.story, turn.participant))
        spent = f"   {turn.doing} {seconds(time.monotonic() - turn.since)}"
        yield Text.assemble(left, (spent, "dim"), no_wrap=True, overflow="ellipsis")
        parts: list[RenderableType] = []
        if turn.code:
            parts.append(shown.program(clip(turn.code, CODE_LINES)[0], turn.language))
            parts.append(Text("output", style="dim"))
        if turn.said:
            parts.append(Text(tail(turn.said, room)))
        body = shown.indented(shown.Gutter(Group(*parts)))
        lines = console.render_lines(body, options, pad=False) if parts else []
        for line in lines[len(lines) - (room - 1) :] if len(lines) >= room else lines:
            yield from line
            yield Segment.line()

    def _status(self) -> list[Text]:
        lines = [Text(self.notice, style="yellow", no_wrap=True, overflow="ellipsis")] if self.notice else []
        if self.story is not None and self.story.created is not None:
            words = f"   left {budget_left(self.story)} · {seconds(time.monotonic() - self.since)}"
            lines.append(Text(words, style="dim", no_wrap=True, overflow="ellipsis"))
        return lines


class LiveDisplay(PlainDisplay):
    """A `Display` for terminals."""

    def __init__(self) -> None:
        super().__init__()
        self._region = Region()
        self._live = self._new_live()
        self._quiet = Quiet(sys.stderr)
        self._drawing: asyncio.Task[None] | None = None

    def open(self, short: str) -> None:
        """Begin to draw. What was drawn before is not gone back to: other lines stand there now."""
        super().open(short)
        self._quiet.begin()
        self._live = self._new_live()
        self._region.notice = ""
        self._live.start()
        self._drawing = asyncio.get_running_loop().create_task(self._draw())

    def _new_live(self) -> Live:
        return Live(
            self._region,
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    async def _draw(self) -> None:
        """By a clock of our own: a thread would read what the loop is changing."""
        while True:
            self._live.refresh()
            await asyncio.sleep(FRAME_SECONDS)

    def event(self, event: Event, story: Story, *, past: bool) -> None:
        """Print what is new, and change what is drawn."""
        self._region.story = story
        speaking = self._region.speaking
        match event.data:
            case ev.TurnStarted() if not past:
                speaking[event.turn] = Speaking(event.turn, event.participant, time.monotonic())
            case ev.CodeProposed(code=code, language=language) if event.turn in speaking:
                turn = speaking[event.turn]
                turn.doing, turn.code, turn.language, turn.said = "running", code, language, ""
            case ev.RequestAsked() if event.turn in speaking:
                speaking[event.turn].doing = "asking"
            case ev.TurnFinished() | ev.TurnFailed() | ev.TurnAbandoned():
                speaking.pop(event.turn, None)
            case _:
                pass
        super().event(event, story, past=past)

    def draft(self, draft: Draft) -> None:
        """Text as it comes."""
        turn = self._region.speaking.get(draft.turn)
        if turn is not None:
            turn.hear(draft.kind, draft.text)

    def notice(self, text: str) -> None:
        """A line about this process, in the region while there is one."""
        if self._drawing is None:
            super().notice(text)
        else:
            self._region.notice = clean_line(text)
            self._live.refresh()

    def end(self, story: Story) -> None:
        """The region goes, the ending stays."""
        self.close()
        super().end(story)

    def close(self) -> None:
        """Give the terminal back."""
        if self._drawing is not None:
            self._drawing.cancel()
            self._drawing = None
            try:
                self._live.stop()
            finally:
                self._quiet.end()
