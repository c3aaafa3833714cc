"""A run as lines that stay: what a log keeps, and what scrolls up above the live region."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.text import Text

from moot.agents.blocks import Block as Program
from moot.chats import event_types as ev
from moot.chats.clean import clean_line
from moot.chats.events import Draft, Event
from moot.chats.requests import Request
from moot.chats.story import Story, text_of
from moot.chats.telling import Block, Telling
from moot.cli import question_shown, shown
from moot.cli.consoles import console

_SHOWN_ELSEWHERE = ("paused", "resumed", "asked", "waits")


class PlainDisplay:
    """Prints finished turns, reasons and warnings as they are recorded."""

    def __init__(self, on: Console | None = None) -> None:
        self.short = ""
        self.asks = True
        self.console = on or console()
        self._began = False
        self._noted = 0
        self._heard: dict[int, int] = {}
        """How many inner events of each turn were seen."""
        self._unrun: dict[str, tuple[int, Program]] = {}
        """Programs that were said and neither run nor shown yet, by text, with the turn."""

    def open(self, short: str) -> None:
        """Remember what the run is called."""
        self.short = short

    def draft(self, draft: Draft) -> None:
        """A log has no use for half sentences."""

    def event(self, event: Event, story: Story, *, past: bool) -> None:
        """Print what is new."""
        notes, self._noted = story.notes[self._noted :], len(story.notes)
        inner = self._inner(event, story)
        if past:
            return
        self._begin(event, story)
        self._print_all(shown.note(note) for note in notes if note.kind not in _SHOWN_ELSEWHERE)
        match event.data:
            case ev.MessageSaid(to=None, message=message):
                self.print(shown.task(text_of(message)))
            case ev.SpeakerSelected() as choice:
                self._chosen(choice, story)
            case ev.CodeProposed(code=code):
                self._unrun.pop(code, None)
            case ev.Inner():
                self._print_all(shown.inner(line) for line in inner)
            case ev.TurnFinished():
                self._told(story.turns[event.turn], story)
            case ev.RequestAsked(id=name):
                self._asked(story.asked[name].request)
            case _:
                pass

    def _asked(self, request: Request) -> None:
        """A question. A program that it shows needs not be shown again if it is not run, or edited."""
        shown_in = str(request.payload.get("code", ""))
        self._unrun = {code: kept for code, kept in self._unrun.items() if code.strip() not in shown_in}
        if self.asks:
            self._print_all(question_shown.asked(request, self.short))

    def _inner(self, event: Event, story: Story) -> list[str]:
        """What an inner event adds: nothing where another attempt repeats what was shown."""
        if not isinstance(event.data, ev.Inner):
            return []
        lines = story.turns[event.turn].inner
        before, self._heard[event.turn] = self._heard.get(event.turn, 0), len(lines)
        return lines[before:]

    def _begin(self, event: Event, story: Story) -> None:
        if self._began or story.created is None:
            return
        self._began = True
        self._print_all(shown.header(story, self.short))
        if isinstance(event.data, ev.RunResumed):
            self.print(Text(f"resumed: goes on with turn {story.count + 1}", style="dim"))

    def _chosen(self, choice: ev.SpeakerSelected, story: Story) -> None:
        if not story.executors & set(choice.chosen):
            self._show_unrun()
        self.print(shown.chosen(choice))

    def _told(self, telling: Telling, story: Story) -> None:
        self.print(shown.turn(story, telling, self.short))
        if telling.participant in story.executors:
            self._show_unrun()
        elif (later := shown.folded(telling, story)[1]) is not None:
            self._unrun[later.code] = telling.number, later

    def _show_unrun(self) -> None:
        """Programs that are not run after all."""
        for turn, program in self._unrun.values():
            self._print_all(shown.code(Block("", f"{program.language}, not run", program.code), self.short, turn))
        self._unrun.clear()

    def _print_all(self, parts: Iterable[RenderableType]) -> None:
        for part in parts:
            self.print(part)

    def print(self, what: RenderableType) -> None:
        """A permanent line."""
        self.console.print(what)

    def notice(self, text: str) -> None:
        """A line about this process."""
        self.print(Text(text, style="yellow"))

    def hint(self, text: str) -> None:
        """A line that can be copied: never broken into two."""
        self.console.print(Text(f"  {clean_line(text, 2000)}", style="dim"), soft_wrap=True)

    def end(self, story: Story) -> None:
        """Programs nobody ran, then why the run ended."""
        self._show_unrun()
        if story.created is not None:
            self.print(shown.ending(story))
        for line in question_shown.still_open(story, self.short):
            self.hint(line)

    def close(self) -> None:
        """Nothing to give back."""
