"""`runs list`, `runs show`, `export`, `verify`: what happened, from the journal alone."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moot.cli.completable import runs
from moot.cli.edge import wait
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Json, Run

if TYPE_CHECKING:
    from moot.chats.events import Event
    from moot.chats.store import RunRow, Store
    from moot.cli.loaded import Loaded


LISTED = 20
"""How many runs a person is shown unasked."""


class Format(StrEnum):
    """Of an export."""

    MD = "md"
    HTML = "html"
    JSONL = "jsonl"
    MERMAID = "mermaid"


_ENDINGS = {
    ".md": Format.MD,
    ".markdown": Format.MD,
    ".html": Format.HTML,
    ".htm": Format.HTML,
    ".jsonl": Format.JSONL,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
}


def list_runs(
    limit: Annotated[
        int | None, typer.Option(help=f"How many at most; else {LISTED}, and all with --json.", min=1)
    ] = None,
    json: Json = False,
) -> None:
    """Runs, newest first."""
    from moot.cli.consoles import console, result_json, say
    from moot.cli.run_list import row_object, run_table

    rows, asked = wait(_rows(limit if json else limit or LISTED))
    if json:
        result_json([row_object(row, asked.get(row.run, 0)) for row in rows[:limit]])
        return
    shown = rows[: limit or LISTED]
    if not shown:
        say("no runs yet: moot demo makes one")
        return
    on = console(stderr=False)
    on.print(run_table(shown, [row.run for row in rows], on.width, asked))
    if len(rows) > len(shown):
        say(f"and {len(rows) - len(shown):,} more: moot runs list --limit {len(rows)}")


async def _rows(limit: int | None) -> tuple[list[RunRow], dict[str, int]]:
    """Every run, and of the first how many questions they wait for."""
    from moot.chats.home import open_store
    from moot.cli.run_list import may_wait

    store, _ = open_store()
    try:
        rows = await store.runs()
        waiting = [row.run for row in rows[:limit] if may_wait(row)]
        return rows, {run: await _questions(store, run) for run in waiting}
    finally:
        await store.close()


async def _questions(store: Store, run: str) -> int:
    """How many questions a run waits for; none where its journal cannot be read, of which `moot verify` says more."""
    from moot.chats.errors import StoreError
    from moot.cli.loaded import load_named

    try:
        return len((await load_named(store, run, run)).story.waiting)
    except StoreError:
        return 0


def show_run(
    run: Run,
    turn: Annotated[int | None, typer.Option(help="Only what was said in this turn, in full.", min=1)] = None,
    json: Json = False,
) -> None:
    """A run's turns with their reasons, code and files, what each participant cost, and why it ended."""
    from moot.chats.errors import UserError
    from moot.cli.consoles import result, result_json
    from moot.cli.run_shown import full_turn, show, shown_object

    loaded = wait(_loaded(run))
    story = loaded.story
    if turn is not None:
        telling = story.turns.get(turn)
        if telling is None:
            raise UserError(f"run {loaded.short} has no turn {turn}; it has {len(story.turns)}")
        result(full_turn(telling))
    elif json:
        result_json(shown_object(story, loaded.status))
    else:
        show(loaded)


def export(
    run: Run,
    format: Annotated[
        Format | None,
        typer.Option(
            help="html: a page to send. md: a document. mermaid: a diagram of the turns. jsonl: every event. "
            "Unless given, what the ending of FILE says, else md.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file instead of stdout.", metavar="FILE")
    ] = None,
) -> None:
    """Write a run down, from its journal alone."""
    from moot.chats.errors import StoreError, UserError
    from moot.chats.event_types import RunCreated
    from moot.cli.consoles import write

    form = format or _format_of(output)
    text, called, events = wait(_exported(run, form))
    if output is None:
        write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {output}: {error.strerror}") from None
    if not events or not isinstance(events[0].data, RunCreated):  # what there is may still be of use
        what = "it does not begin with run.created"
        raise StoreError(f"the journal of run {called} is damaged: {what} (moot verify {called} says more)")


def _format_of(output: Path | None) -> Format:
    """What a file's name asks for. Raises UserError for an ending that is none of ours."""
    from moot.chats.errors import UserError

    ending = output.suffix.lower() if output is not None else ""
    if ending and ending not in _ENDINGS:
        known = ", ".join(_ENDINGS)
        raise UserError(f"no format is known by the ending {ending} of {output}: give --format, or one of {known}")
    return _ENDINGS.get(ending, Format.MD)


async def _exported(prefix: str, form: Format) -> tuple[str, str, list[Event]]:
    """The text, what the run is called for short, and its events."""
    from moot.chats.exports.html import html
    from moot.chats.exports.jsonl import jsonl
    from moot.chats.exports.md import markdown
    from moot.chats.exports.mermaid import mermaid
    from moot.chats.exports.pictures import pictures
    from moot.chats.find import find_run
    from moot.chats.home import open_store
    from moot.chats.ids import short
    from moot.chats.story import Story

    store, _ = open_store()
    try:
        name = await find_run(store, prefix)
        called, events = short(name, await store.names()), await store.load(name)
        match form:
            case Format.JSONL:
                return "".join(f"{line}\n" for line in jsonl(name, events)), called, events
            case Format.HTML:
                story = Story.of(name, events)
                return html(story, await pictures(story, store.blobs)), called, events
            case Format.MERMAID:
                return mermaid(Story.of(name, events)), called, events
            case Format.MD:
                return markdown(Story.of(name, events)), called, events
    finally:
        await store.close()


async def _loaded(prefix: str) -> Loaded:
    from moot.chats.home import open_store
    from moot.cli.loaded import load_run

    store, _ = open_store()
    try:
        return await load_run(store, prefix)
    finally:
        await store.close()


def verify(
    run: Annotated[
        str | None, typer.Argument(help="The run's id, or the beginning of it.", autocompletion=runs)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run.")] = False,
    json: Json = False,
) -> None:
    """Fold a run's journal again and compare it with what it claims. Ends with 1 when something is wrong."""
    from moot.chats.errors import UserError
    from moot.cli.consoles import result, result_json, say

    if (run is None) != all_:
        raise UserError("name a run to verify, or give --all")
    found = wait(_verified(run))
    if json:
        result_json([{"run": name, "ok": not problems, "problems": problems} for name, problems in found.items()])
    else:
        result("\n".join(f"{'ok      ' if not problems else 'damaged '} {name}" for name, problems in found.items()))
        for name, problems in found.items():
            for problem in problems:
                say(f"{name}: {problem}")
    if any(found.values()):
        raise typer.Exit(ExitCode.FAILED)


async def _verified(run: str | None) -> dict[str, list[str]]:
    from moot.chats.find import find_run
    from moot.chats.home import open_store
    from moot.chats.verify import verify_run

    store, _ = open_store()
    try:
        names = await store.names() if run is None else [await find_run(store, run)]
        return {name: await verify_run(store, name) for name in names}
    finally:
        await store.close()
