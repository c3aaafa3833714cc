"""`runs list`, `runs show`, `export`, `verify`: what happened, from the journal alone."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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

    JSONL = "jsonl"
    MD = "md"


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
        Format, typer.Option(help="jsonl: every event, one envelope a line. md: to be read.")
    ] = Format.MD,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file instead of stdout.", metavar="FILE")
    ] = None,
) -> None:
    """Write a run down, from its journal alone."""
    from moot.chats.errors import StoreError, UserError
    from moot.chats.event_types import RunCreated
    from moot.chats.exports import jsonl, md
    from moot.chats.story import Story
    from moot.cli.consoles import write

    name, called, events = wait(_journal(run))
    if format is Format.JSONL:
        text = "".join(f"{line}\n" for line in jsonl.jsonl(name, events))
    else:
        text = md.markdown(Story.of(name, events))
    if output is None:
        write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {output}: {error.strerror}") from None
    if not events or not isinstance(events[0].data, RunCreated):  # what there is may still be of use
        what = "it does not begin with run.created"
        raise StoreError(f"the journal of run {name} is damaged: {what} (moot verify {called} says more)")


async def _loaded(prefix: str) -> Loaded:
    from moot.chats.home import open_store
    from moot.cli.loaded import load_run

    store, _ = open_store()
    try:
        return await load_run(store, prefix)
    finally:
        await store.close()


async def _journal(prefix: str) -> tuple[str, str, list[Event]]:
    from moot.chats.find import find_run
    from moot.chats.home import open_store
    from moot.chats.ids import short

    store, _ = open_store()
    try:
        name = await find_run(store, prefix)
        return name, short(name, await store.names()), await store.load(name)
    finally:
        await store.close()


def verify(
    run: Annotated[str | None, typer.Argument(help="The run's id, or the beginning of it.")] = None,
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
