"""`runs search`, `runs rm`, `backup`: looking after what is kept."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moot.cli import completable
from moot.cli.edge import wait
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Json

if TYPE_CHECKING:
    from rich.text import Text

    from moot.chats.search import Hit
    from moot.chats.store import RunRow, Store

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_NAMED = 10
"""How many runs are named before it is asked whether they are to go."""


def search(
    words: Annotated[
        list[str],
        typer.Argument(help="All of them must be there. word* is any that begins so; '\"two words\"' must follow."),
    ],
    run: Annotated[
        str | None,
        typer.Option(help="Only in this run: its id, or the beginning of it.", autocompletion=completable.runs),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many places at most.", min=1)] = 20,
    json: Json = False,
) -> None:
    """Find what was said, and code, in all runs: the newest run first."""
    from moot.cli.consoles import console, result_json, say

    hits, names = wait(_hits(" ".join(words), run, limit))
    if json:
        result_json([_hit_object(hit) for hit in hits])
        return
    if not hits:
        say("nothing was found")
    on = console(stderr=False)
    for hit in hits:
        on.print(_line(hit, names), soft_wrap=True)
    if len(hits) == limit:
        say(f"there may be more: --limit {2 * limit}")


async def _hits(query: str, run: str | None, limit: int) -> tuple[list[Hit], list[str]]:
    from moot.chats.find import find_run
    from moot.chats.home import open_file
    from moot.chats.search import search

    store = open_file()
    try:
        name = await find_run(store, run) if run is not None else ""
        return await search(store.path, query, run=name, limit=limit), await store.names()
    finally:
        await store.close()


def _line(hit: Hit, names: list[str]) -> Text:
    """`1m7xb25vxcc  turn 3  ann: ... the words that were found in bold`, on one line."""
    from rich.text import Text

    from moot.chats.clean import clean, clean_line
    from moot.chats.ids import short

    where = f"turn {hit.turn}" if hit.turn else "task"
    who = f"{clean_line(hit.participant, 40)}{' (code)' if hit.kind == 'code' else ''}: " if hit.participant else ""
    line = Text.assemble((short(hit.run, names), "bold"), "  ", (f"{where}  {who}", "dim"))
    for piece in hit.snippet:
        line.append(re.sub(r"\s+", " ", clean(piece.text)), style="bold yellow" if piece.found else "")
    return line


def _hit_object(hit: Hit) -> dict[str, object]:
    return {
        "run": hit.run,
        "turn": hit.turn,
        "participant": hit.participant,
        "kind": hit.kind,
        "snippet": hit.text,
        "found": [piece.text for piece in hit.snippet if piece.found],
    }


def remove(
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Ids, or the beginnings of them.", metavar="RUN...", autocompletion=completable.other_runs),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    finished: Annotated[bool, typer.Option("--finished", help="Every run that is finished.")] = False,
    older_than: Annotated[
        str | None, typer.Option(help="Every run that began longer ago than this: 90m, 12h, 30d, 8w.", metavar="AGE")
    ] = None,
    json: Json = False,
) -> None:
    """Remove runs for good: what was said, what was run, and files that no other run has.

    Copies of files in a folder of yours stay. What a run put away in the last ten minutes goes with the next removal.
    """
    from moot.chats.errors import UserError
    from moot.cli.consoles import result, result_json, say
    from moot.cli.words import count, size

    if bool(runs) == (finished or older_than is not None):
        raise UserError("name runs to remove, or choose them by --finished or --older-than")
    seconds = _age(older_than) if older_than is not None else None
    rows, names = wait(_chosen(runs or [], finished=finished, seconds=seconds))
    if rows and not yes and not _agreed(rows, names):
        say("nothing was removed")
        raise typer.Exit(ExitCode.STOPPED)
    removed, content = wait(_remove([row.run for row in rows]))
    total = sum(removed.values()) + content
    if json:
        told = [{"run": run, "bytes": taken} for run, taken in removed.items()]
        result_json({"removed": told, "files_bytes": content, "bytes": total})
    elif not removed:
        say("there is nothing to remove")
    else:
        result("\n".join(removed))
        say(f"removed {count(len(removed), 'run')}, {size(total)}")


def _age(text: str) -> float:
    from moot.chats.errors import UserError

    found = re.fullmatch(r"(\d{1,6})\s*([mhdw])", text.strip().lower())
    if found is None:
        raise UserError(f"--older-than takes an age such as 90m, 12h, 30d or 8w, not {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


async def _chosen(given: list[str], *, finished: bool, seconds: float | None) -> tuple[list[RunRow], list[str]]:
    """The runs to remove, and the names of all. Named ones must not be driven; of the others those that are stay."""
    import time

    from moot.chats.errors import UserError
    from moot.chats.find import find_run
    from moot.chats.home import open_file
    from moot.cli.consoles import say

    store = open_file()
    try:
        names = await store.names()
        if given:
            rows = [await store.row(run) for run in dict.fromkeys([await find_run(store, prefix) for prefix in given])]
            driven = [row.run for row in rows if row.driven]
            if driven:
                raise UserError(f"{', '.join(driven)} is under way: stop it first (nothing was removed)")
            return rows, names
        limit = time.time() - seconds if seconds is not None else float("inf")
        rows = [r for r in await store.runs() if r.started < limit and (not finished or r.status == "finished")]
        for row in rows:
            if row.driven:
                say(f"{row.run} is under way: it stays")
        return [row for row in rows if not row.driven], names
    finally:
        await store.close()


def _agreed(rows: list[RunRow], names: list[str]) -> bool:
    from moot.chats.clean import clean_line
    from moot.chats.errors import UserError
    from moot.chats.ids import short
    from moot.cli.consoles import say
    from moot.cli.run_list import status_of
    from moot.cli.words import count, few

    if not sys.stdin.isatty():
        raise UserError(f"to remove {count(len(rows), 'run')} without being asked, give --yes")
    told = [f"{short(r.run, names)}  {status_of(r)}  {clean_line(r.chat, 40)}  {count(r.turns, 'turn')}" for r in rows]
    for line in few(told, _NAMED):
        say(line)
    return typer.confirm(f"Remove {count(len(rows), 'run')} for good?", err=True)


async def _remove(runs: list[str]) -> tuple[dict[str, int], int]:
    """Bytes of journals by run, and of files that no run has any more. A run that somebody took up meanwhile ends it:
    what went before is told.
    """
    from moot.chats.errors import ChatError
    from moot.chats.home import open_file

    store, removed = open_file(), dict[str, int]()
    try:
        for run in runs:
            try:
                removed[run] = await store.remove(run, sweeps=False)
            except ChatError as error:
                if removed:
                    error.add_note(f"removed before: {', '.join(removed)}")
                raise
        content = await store.sweep() + sum([await asyncio.to_thread(_drop_copies, run) for run in removed])
        await store.compact()
        return removed, content
    finally:
        await store.close()


def _drop_copies(run: str) -> int:
    """The folder of a run's files under Moot's home; how many bytes were in it. What cannot be removed stays."""
    from moot.cli.artifact_files import folder_for

    if not run.isalnum():  # as every id is that Moot made; nothing else becomes the name of a folder to remove
        return 0
    folder = folder_for(run, None)
    size = sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    shutil.rmtree(folder, ignore_errors=True)
    return size if not folder.exists() else 0


def backup(
    path: Annotated[Path, typer.Argument(help="A folder that does not exist yet.", metavar="FOLDER")],
    json: Json = False,
) -> None:
    """Copy every run and all files into a new folder, also while runs are under way.

    Damaged runs are copied as they are; they are named, and it ends with 1.
    The copy is used as it is: MOOT_HOME=FOLDER moot runs list.
    """
    from moot.cli.consoles import result, result_json, say
    from moot.cli.words import count, size

    runs, bad = wait(_backup(path))
    total = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    if json:
        result_json({"path": str(path), "runs": runs, "bytes": total, "damaged": bad})
    else:
        result(str(path))
        say(f"copied {count(runs, 'run')}, {size(total)}")
    for name, why in bad.items():
        say(f"damaged: run {name}, which was copied as it is: {why}")
    if bad:
        raise typer.Exit(ExitCode.FAILED)


async def _backup(path: Path) -> tuple[int, dict[str, str]]:
    from moot.chats.home import open_file

    store = open_file()
    try:
        await store.backup(path)
    finally:
        await store.close()
    return await _runs_in(path)


async def _runs_in(folder: Path) -> tuple[int, dict[str, str]]:
    """Counted in the copy, and the damaged ones with what is wrong: that it opens is part of the promise."""
    from moot.chats.damage import damaged
    from moot.chats.home import open_file

    copy: Store = open_file(folder)
    try:
        return len(await copy.names()), await damaged(copy)
    finally:
        await copy.close()
