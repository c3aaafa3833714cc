"""`watch`, `say`, `pause`, `stop`: what is done with a run that another process drives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from moot.cli.edge import drive, wait
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Display, Json, Mode, Run

if TYPE_CHECKING:
    from moot.chats.commands import End, Pause, Say
    from moot.cli.asking import Answer

By = Annotated[str | None, typer.Option(help="Who asks; else the login name.", metavar="NAME")]
Now = Annotated[bool, typer.Option("--now", help="In the middle of the turn: what is under way is cut off.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it was taken in; ends with 2 where it was refused.")]


def watch(
    run: Run,
    tail: Annotated[
        bool, typer.Option("--tail/--from-start", help="Only what is under way and what comes, or all of it.")
    ] = False,
    display: Display = Mode.AUTO,
    json: Json = False,
) -> None:
    """Follow a run that another process drives.

    Ends when nobody drives it any more, with the exit code of the run.
    That is 4 where it waits or was left. Ctrl-C stops watching, not the run.
    """
    raise typer.Exit(drive(_watch(run, display, json=json, tail=tail)))


async def _watch(run: str, mode: Mode, *, json: bool, tail: bool) -> ExitCode:
    from moot.chats.home import open_store
    from moot.cli.conduct import Interrupts
    from moot.cli.display import display_for
    from moot.cli.watching import Watch

    interrupts = Interrupts()
    with interrupts.watched(to_the_end=True):
        store, _ = open_store()
        try:
            display = display_for(mode, json=json)
            return await Watch(store, display, mode, json=json, tail=tail).follow(run, interrupts)
        finally:
            await store.close()


def say(
    run: Run,
    text: Annotated[str, typer.Argument(help="What is said; - reads it from stdin.")],
    to: Annotated[list[str] | None, typer.Option(help="Only to this participant. Repeatable.", metavar="NAME")] = None,
    by: By = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Say something to the participants, before the next turn.

    With --wait it ends with 4 where nobody drives the run: it is heard when somebody does.
    """
    from moot.chats.commands import Say
    from moot.cli.stdin_text import given_text

    _ask(run, Say(text=given_text(text), to=tuple(to) if to else None, by=_by(by)), until_taken=wait, json=json)


def pause(run: Run, now: Now = False, by: By = None, wait: Wait = False, json: Json = False) -> None:
    """Leave a run where it can be resumed, after the turns that are under way.

    The process that drives it ends with 4.
    """
    from moot.chats.commands import Pause

    _ask(run, Pause(now=now, by=_by(by)), until_taken=wait, json=json)


def stop(
    run: Run,
    now: Now = False,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at the run later.", metavar="TEXT")] = "",
    by: By = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """End a run for good, after the turns that are under way.

    The process that drives it ends with 9. A run that nobody drives is ended here.
    """
    from moot.chats.commands import End

    _ask(run, End(now=now, reason=reason, by=_by(by)), until_taken=wait, json=json)


def _by(given: str | None) -> str:
    from moot.cli.asking import login

    return login() if given is None else given


def _ask(run: str, command: Say | Pause | End, *, until_taken: bool, json: bool) -> None:
    from moot.cli.consoles import result_json
    from moot.cli.consoles import say as tell

    answer = wait(_asked(run, command, until_taken=until_taken))
    if json:
        result_json(answer.as_object())
    else:
        tell(answer.words)
    raise typer.Exit(answer.code)


async def _asked(run: str, command: Say | Pause | End, *, until_taken: bool) -> Answer:
    from moot.chats.home import open_store
    from moot.cli.asking import ask

    store, _ = open_store()
    try:
        return await ask(store, run, command, wait=until_taken)
    finally:
        await store.close()
