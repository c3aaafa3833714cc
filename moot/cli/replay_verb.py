"""`replay`: a run shown again as it was shown while it went on."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Annotated

import typer

from moot.cli.edge import wait
from moot.cli.options import Display, Mode, Run

if TYPE_CHECKING:
    from moot.chats.replay import Replay
    from moot.chats.story import Story
    from moot.cli.display import Display as Screen


def replay(
    run: Run,
    display: Display = Mode.AUTO,
    speed: Annotated[
        str,
        typer.Option(help="max: without waiting. 1 is as fast as it went, 2 twice as fast.", metavar="NUMBER|max"),
    ] = "max",
) -> None:
    """Show a run again from its journal alone: nothing is asked, run or written. The result goes to stdout."""
    from moot.cli.consoles import result

    story = wait(_replayed(run, display, _speed(speed)))
    if display is not Mode.JSONL and story.finished is not None and story.finished.result is not None:
        result(story.finished.result)


def _speed(text: str) -> float | None:
    from moot.chats.errors import UserError

    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not (speed > 0 and math.isfinite(speed)):
        raise UserError(f"--speed takes a number above 0 or max, got {text!r}")
    return speed


async def _replayed(run: str, mode: Mode, speed: float | None) -> Story:
    from moot.chats.home import open_store
    from moot.chats.ids import short
    from moot.chats.replay import replay as replayed
    from moot.cli.display import display_for

    store, _ = open_store()
    try:
        again = await replayed(run, speed=speed, store=store)
        called, driven = short(again.run, await store.names()), (await store.row(again.run)).driven
    finally:
        await store.close()  # nothing of it is held while the run is looked at
    display = display_for(mode, json=False)
    display.open(called)
    try:
        await _show(again, display)
        if driven:
            display.notice("the run is under way: this is how far it has come")
        else:
            display.end(again.story)
    except OSError:  # nobody looks any more
        return again.to_end()
    finally:
        display.close()
    return again.story


async def _show(again: Replay, view: Screen) -> None:
    async for event in again:
        view.event(event, again.story, past=False)
        await asyncio.sleep(0)  # Ctrl-C is heard between two events, also where nothing is waited for
