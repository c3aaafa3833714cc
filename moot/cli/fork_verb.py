"""`fork`: a new run that goes on from a turn of another one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from moot.cli.completable import runs
from moot.cli.edge import drive
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Artifacts, AskOption, Display, Json, Mode, Model

if TYPE_CHECKING:
    from moot.chats.fork_edits import Edits
    from moot.chats.store import Store
    from moot.cli.driving import Wanted


def fork(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN[@TURN]",
            help="The run's id, or the beginning of it; after which turn, else after the last.",
            autocompletion=runs,
        ),
    ],
    model: Model = None,
    edit: Annotated[
        str | None, typer.Option(help="What that turn said instead; - reads it from stdin.", metavar="TEXT")
    ] = None,
    task: Annotated[str | None, typer.Option(help="What was asked instead.", metavar="TEXT")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any key of the chat file but its inputs. Repeatable."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Limit: rounds of all participants.", min=1)] = None,
    turns: Annotated[int | None, typer.Option(help="Limit: turns, those before the fork included.", min=1)] = None,
    usd: Annotated[float | None, typer.Option(help="Limit: US dollars, more than 0.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Limit: tokens in and out.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="Limit: seconds of work, more than 0.")] = None,
    code_runs: Annotated[int | None, typer.Option(help="Limit: blocks of code.", min=1)] = None,
    no_run: Annotated[bool, typer.Option("--no-run", help="Only make it, and print its id.")] = False,
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    ask: AskOption = None,
    json: Json = False,
) -> None:
    """Go on from any turn of a run as a new run: with another model, other words, other limits. The run itself stays as
    it is, and what it has spent is not spent again.
    """
    from moot.chats.fork_edits import Edits
    from moot.cli.chats_named import given
    from moot.cli.driving import Wanted

    flags = {"rounds": rounds, "turns": turns, "usd": usd, "tokens": tokens, "seconds": seconds, "code_runs": code_runs}
    limits = {f"limits.{name}": f"{value}" for name, value in flags.items() if value is not None}
    edits = Edits(model=model, message=_text(edit), task=task, sets={**given(set_ or []), **limits})
    wanted = Wanted(display, json, artifacts, ask)
    raise typer.Exit(drive(_fork(run, edits, wanted, no_run=no_run)))


def _text(edit: str | None) -> str | None:
    """What stands on the command line, or what comes on stdin, without the line end that editors leave."""
    from moot.chats.errors import UserError
    from moot.cli.consoles import say

    if edit != "-":
        return edit
    if sys.stdin is None:
        raise UserError("there is no stdin to read the new message from")
    if sys.stdin.isatty():
        say("type what the turn said instead; Ctrl-D ends it")
    try:
        return sys.stdin.read().removesuffix("\n")
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"stdin cannot be read as text: {error}") from None


def _place(text: str) -> tuple[str, int | None]:
    """A run and perhaps a turn."""
    from moot.chats.errors import UserError

    run, at, turn = text.partition("@")
    if not at:
        return run, None
    try:
        return run, int(turn)
    except ValueError:
        raise UserError(f"{text!r}: after @ stands the number of a turn, such as {run or '1m7xb25vxcc'}@3") from None


async def _fork(place: str, edits: Edits, wanted: Wanted, *, no_run: bool) -> ExitCode:
    from moot.chats.fork import fork as forked
    from moot.chats.home import open_store
    from moot.chats.run import open_run
    from moot.cli import artifact_files
    from moot.cli.conduct import Interrupts, before_run
    from moot.cli.display import display_for
    from moot.cli.driving import Drive

    interrupts = Interrupts()
    with interrupts.watched(to_the_end=True):
        run, turn = _place(place)
        artifact_files.prepare(wanted.artifacts)
        store, _ = open_store()
        try:
            new = await before_run(interrupts, forked(run, turn=turn, edits=edits, store=store))
            past = await _told(store, new, edits, wanted, no_run=no_run)
            if no_run:
                return ExitCode.GOAL
            going = Drive(store, display_for(wanted.display, json=wanted.json), interrupts, wanted)
            return await going.conduct(lambda: open_run(new, store=store), past)
        finally:
            await store.close()


async def _told(store: Store, new: str, edits: Edits, wanted: Wanted, *, no_run: bool) -> set[int]:
    """Say what was made of what; which events of it need not be shown: all that were copied and are as they were."""
    from moot.chats.event_types import MessageSaid, RunForked, TurnFinished, Warned
    from moot.chats.ids import short
    from moot.cli.consoles import result, result_json, say

    events, names = await store.load(new), await store.names()
    made = next(event for event in reversed(events) if isinstance(event.data, RunForked))
    data = made.data
    assert isinstance(data, RunForked)
    if wanted.display is not Mode.NONE:
        say(f"forked {short(data.parent, names)}@{data.turn} as {short(new, names)}")
    if no_run:
        warnings = [event.data.text for event in events[made.seq :] if isinstance(event.data, Warned)]
        for text in warnings:
            say(f"warning: {text}")
        if wanted.json:
            said = {"parent": data.parent, "turn": data.turn, "edits": dict(data.edits), "warnings": warnings}
            result_json({"run": new, **said})
        else:
            result(new)
    return {
        event.seq
        for event in events[: made.seq]
        if not (edits.task is not None and isinstance(event.data, MessageSaid) and event.data.to is None)
        and not (edits.message is not None and isinstance(event.data, TurnFinished) and event.turn == data.turn)
    }
