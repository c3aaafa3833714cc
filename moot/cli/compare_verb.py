"""`compare`: two runs beside each other, from their journals alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from moot.cli.edge import wait
from moot.cli.exit_codes import ExitCode
from moot.cli.options import Json, Run

if TYPE_CHECKING:
    from moot.chats.compare import Comparison


def compare(a: Run, b: Run, json: Json = False) -> None:
    """Two runs by turn: where they part, who said what, what it cost. Ends with 1 when turns or endings differ."""
    from moot.cli.compared import compared_object, compared_text
    from moot.cli.consoles import result, result_json

    found, called = wait(_compared(a, b))
    if json:
        result_json(compared_object(found))
    else:
        result(compared_text(found, *called))
    if not found.same:
        raise typer.Exit(ExitCode.FAILED)


async def _compared(a: str, b: str) -> tuple[Comparison, tuple[str, str]]:
    from moot.chats.compare import compare as compared
    from moot.chats.home import open_store
    from moot.chats.ids import short

    store, _ = open_store()
    try:
        found = await compared(a, b, store=store)
        names = await store.names()
        return found, (short(found.a.run, names), short(found.b.run, names))
    finally:
        await store.close()
