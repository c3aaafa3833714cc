"""A run as lines that stay: what a log keeps, and what scrolls up above the live region."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.text import Text

from moot.chats import events as ev
from moot.chats.clean import clean_line
from moot.chats.events import Draft, Event
from moot.chats.story import Block, Story, text_of
from moot.cli import shown
from moot.cli.consoles import console


class PlainDisplay:
    """Prints finished turns, reasons and warnings as they are recorded."""

    def __init__(self, on: Console | None = None) -> None:
        self.short = ""
        self.console = on or console()
        self._began = False
        self._noted = 0
        self._unrun: dict[str, str] = {}
        """Programs that were said and not run yet: text to language."""

    def open(self, short: str) -> None:
        """Remember what the run is called."""
        self.short = short

    def draft(self, draft: Draft) -> None:
        """A log has no use for half sentences."""

    def event(self, event: Event, story: Story, *, past: bool) -> None:
        """Print what is new."""
        notes, self._noted = story.notes[self._noted :], len(story.notes)
        if past:
            return
        self._begin(event, story)
        for note in notes:
            if note.kind not in ("paused", "resumed"):
                self.print(shown.note(note.kind, note.text))
        match event.data:
            case ev.MessageSaid(to=None, message=message):
                self.print(shown.task(text_of(message)))
            case ev.SpeakerSelected() as choice:
                self.print(shown.chosen(choice))
            case ev.CodeProposed(code=code):
                self._unrun.pop(code.strip(), None)
            case ev.Inner(message=message):
                self.print(shown.indented(Text(f"· {clean_line(text_of(message))}", style="dim")))
            case ev.TurnFinished():
                telling = story.turns[event.turn]
                if story.executors - {telling.participant}:
                    self._unrun.update((code.strip(), language) for language, code in shown.folded(telling.text)[1])
                self.print(shown.turn(story, telling, self.short))
            case _:
                pass

    def _begin(self, event: Event, story: Story) -> None:
        if self._began or story.created is None:
            return
        self._began = True
        for line in shown.header(story, self.short):
            self.print(line)
        if isinstance(event.data, ev.RunResumed):
            self.print(Text(f"resumed: goes on with turn {story.count + 1}", style="dim"))

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
        for code, language in self._unrun.items():
            for part in shown.code(Block("", f"{language}, not run", code), self.short):
                self.print(part)
        if story.created is not None:
            self.print(shown.ending(story))

    def close(self) -> None:
        """Nothing to give back."""
