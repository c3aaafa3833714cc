"""Nothing but what went wrong."""

from __future__ import annotations

from moot.chats.clean import clean_line
from moot.chats.events import Draft, Event
from moot.chats.story import Story
from moot.cli.consoles import say
from moot.cli.words import few
from moot.termination.outcome import Outcome


class NoDisplay:
    """A `Display` that shows no run."""

    short = ""
    asks = True

    def open(self, short: str) -> None:
        """Remember what the run is called."""
        self.short = short

    def event(self, event: Event, story: Story, *, past: bool) -> None:
        """Not shown."""

    def draft(self, draft: Draft) -> None:
        """Not shown."""

    def notice(self, text: str) -> None:
        """One line on stderr: it answers something the user did."""
        say(text)

    def hint(self, text: str) -> None:
        """Not shown."""

    def end(self, story: Story) -> None:
        """What the run waits for; one line where it missed its goal: an exit code alone explains nothing."""
        from moot.cli import question_shown

        done = story.finished
        for line in question_shown.still_open(story, self.short):
            say(line)
        if done is not None and done.outcome is not Outcome.GOAL:
            rule = f"rule {clean_line(done.rule, 80)}, turn {done.turn}"
            first, _, more = done.reason.partition("\n")
            say(f"{done.outcome}: {clean_line(first)} ({rule})")
            for line in few([f"  {clean_line(line)}" for line in more.splitlines()], 20):
                say(line)

    def close(self) -> None:
        """Nothing to give back."""
