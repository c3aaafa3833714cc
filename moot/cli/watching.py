"""Following a run that another process drives, with the displays of one that is driven here."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from moot.chats.event_types import TurnStarted
from moot.chats.store import Store
from moot.chats.story import Story
from moot.cli.conduct import Interrupts
from moot.cli.consoles import result, result_json
from moot.cli.display import Display
from moot.cli.exit_codes import ExitCode, exit_code
from moot.cli.loaded import Loaded, load_named, load_run
from moot.cli.options import Mode
from moot.cli.run_object import run_object
from moot.cli.run_shown import known_files


@dataclass(slots=True)
class Watch:
    """One run, followed until nobody drives it any more."""

    store: Store
    display: Display
    mode: Mode
    json: bool = False
    tail: bool = False
    """Whether what happened before is left out."""
    told: int = 0
    """The last event that the display has been given already."""

    async def follow(self, prefix: str, interrupts: Interrupts) -> ExitCode:
        """To the run's end, or until Ctrl-C: the run does not notice either. Raises UserError, StoreError."""
        run = await load_run(self.store, prefix)
        following = asyncio.ensure_future(self._follow(run))
        interrupts.act = lambda _: _stop(following)
        try:
            now = await following
        except asyncio.CancelledError:
            if not interrupts.asked:
                raise
            self.display.close()
            self.display.notice(f"stopped watching; the run goes on: moot watch {run.short}")
            return ExitCode.INTERRUPTED
        finally:
            self.display.close()
        return self._hand_over(now)

    async def _follow(self, run: Loaded) -> Loaded:
        story, past, seen = Story(run.name), _before(run) if self.tail else 0, 0
        self.display.open(run.short)
        while True:
            async with aclosing(self.store.watch(run.name, seen)) as events:  # type: ignore[type-var]
                async for event in events:
                    seen = event.seq
                    story.apply(event)
                    if seen > self.told:
                        self.display.event(event, story, past=seen <= past)
            now = await load_named(self.store, run.name, run.short)
            if not now.row.driven and now.events[-1].seq == seen:
                now.decide(story)
                self.display.end(story)
                return now

    def _hand_over(self, run: Loaded) -> ExitCode:
        story = run.story
        done = story.finished
        code = exit_code(None) if done is None else exit_code(done.outcome, done.cause)
        if self.json:
            result_json(run_object(story, run.status, code, known_files(story)))
        elif self.mode is not Mode.JSONL and done is not None and done.result is not None:
            result(done.result)
        if run.status == "paused":
            left = "" if story.paused else "its process ended without a word; "
            self.display.notice(f"  nobody drives it: {left}to go on: {run.go_on}")
        elif done is not None and done.cause:
            self.display.notice(f"  once that is put right: {run.go_on}")
        return code


def _before(run: Loaded) -> int:
    """The last event before what is under way: turns that have begun are shown from their beginning."""
    begun = {event.turn: event.seq for event in run.events if isinstance(event.data, TurnStarted)}
    ended = {number for number, turn in run.story.turns.items() if turn.finished}
    return min((seq - 1 for turn, seq in begun.items() if turn not in ended), default=run.events[-1].seq)


def _stop(following: asyncio.Future[Loaded]) -> None:
    following.cancel()
