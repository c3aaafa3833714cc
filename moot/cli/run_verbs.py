"""`run`, `resume`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moot.cli.edge import drive
from moot.cli.exit_codes import ExitCode
from moot.cli.options import (
    Artifacts,
    AskOption,
    ChatNamed,
    Display,
    Json,
    Mode,
    Model,
    Record,
    Run,
    SandboxKind,
    SandboxOption,
    Set,
)

if TYPE_CHECKING:
    from moot.chats.chat import Chat
    from moot.cli.driving import Wanted


def run(
    chat: ChatNamed,
    task: Annotated[str | None, typer.Argument(help="What is asked, instead of the file's own task.")] = None,
    model: Model = None,
    set_: Set = None,
    rounds: Annotated[int | None, typer.Option(help="Limit: rounds of all participants.", min=1)] = None,
    turns: Annotated[int | None, typer.Option(help="Limit: turns.", min=1)] = None,
    usd: Annotated[float | None, typer.Option(help="Limit: US dollars, more than 0.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Limit: tokens in and out.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="Limit: seconds of work, more than 0.")] = None,
    code_runs: Annotated[int | None, typer.Option(help="Limit: blocks of code.", min=1)] = None,
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    ask: AskOption = None,
    json: Json = False,
    sandbox: SandboxOption = SandboxKind.DOCKER,
    record: Record = None,
) -> None:
    """Run a chat to its end. The result goes to stdout, everything else to stderr."""
    from moot.chats.build import load_chat, recorded
    from moot.cli.chats_named import chat_path, given
    from moot.cli.driving import Wanted

    flags = {"rounds": rounds, "turns": turns, "usd": usd, "tokens": tokens, "seconds": seconds, "code_runs": code_runs}
    limits = {f"limits.{name}": f"{value}" for name, value in flags.items() if value is not None}
    sets = {**given(set_ or []), **limits}
    loaded = load_chat(chat_path(chat), sets=sets, task=task, model=model, sandbox=sandbox)
    asked = loaded.chat if record is None else recorded(loaded.chat, record)
    raise typer.Exit(drive(_start(asked, loaded.task, Wanted(display, json, artifacts, ask), checked=True)))


def demo(
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    ask: AskOption = None,
    json: Json = False,
    sandbox: SandboxOption = SandboxKind.DOCKER,
) -> None:
    """Three agents study a real table: they write code, run it in Docker, check it and answer. Needs no API key."""
    from moot.chats.build import load_chat
    from moot.cli.chats_named import template_path
    from moot.cli.consoles import say
    from moot.cli.driving import Wanted

    loaded = load_chat(template_path("research"), sandbox=sandbox)
    if display is not Mode.NONE:
        say("demo: the template `research`, its own table and question, and a model that needs no key")
    code = drive(_start(loaded.chat, loaded.task, Wanted(display, json, artifacts, ask), checked=False))
    if display is not Mode.NONE:
        say("  make it yours: moot init research my-chat")
    raise typer.Exit(code)


def resume(
    run: Run,
    artifacts: Artifacts = None,
    display: Display = Mode.AUTO,
    ask: AskOption = None,
    json: Json = False,
    record: Record = None,
) -> None:
    """Go on with a run that was paused, interrupted or killed."""
    from moot.cli.driving import Wanted

    raise typer.Exit(drive(_resume(run, Wanted(display, json, artifacts, ask), record)))


async def _start(chat: Chat, task: str, wanted: Wanted, *, checked: bool) -> ExitCode:
    from moot.chats.home import open_store
    from moot.cli import artifact_files
    from moot.cli.conduct import Interrupts, before_run
    from moot.cli.display import display_for
    from moot.cli.driving import Drive, preflight

    interrupts = Interrupts()
    with interrupts.watched(to_the_end=True):
        if checked:
            await before_run(interrupts, preflight(chat))
        artifact_files.prepare(wanted.artifacts)
        store, _ = open_store()
        try:
            going = Drive(store, display_for(wanted.display, json=wanted.json), interrupts, wanted)
            return await going.conduct(lambda: chat.start(task, store=store), chat=chat)
        finally:
            await store.close()


async def _resume(run: str, wanted: Wanted, record: Path | None) -> ExitCode:
    from moot.chats.build import recorded
    from moot.chats.event_types import RunCreated
    from moot.chats.find import find_run
    from moot.chats.home import open_store
    from moot.chats.rebuild import rebuild
    from moot.chats.run import open_run
    from moot.cli import artifact_files
    from moot.cli.conduct import Interrupts
    from moot.cli.display import display_for
    from moot.cli.driving import Drive

    interrupts = Interrupts()
    with interrupts.watched(to_the_end=True):
        artifact_files.prepare(wanted.artifacts)
        store, _ = open_store()
        try:
            name = await find_run(store, run)
            events = await store.load(name)
            made = events[0].data if record is not None and events else None
            chat = recorded(rebuild(name, made), record) if record and isinstance(made, RunCreated) else None
            going = Drive(store, display_for(wanted.display, json=wanted.json), interrupts, wanted)
            past = range(len(events) + 1)
            return await going.conduct(lambda: open_run(name, chat=chat, store=store), past, chat=chat)
        finally:
            await store.close()
