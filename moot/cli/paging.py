"""A long text page by page, in the user's own pager."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence

from rich.console import Console, RenderableType

from moot.chats.errors import UserError
from moot.cli.editing import Ears, run

PAGERS = ("less", "more")


def pager() -> list[str]:
    """What $PAGER names, else one that is there; empty where there is none."""
    try:
        wanted = shlex.split(os.environ.get("PAGER", ""))
    except ValueError:
        wanted = []
    if wanted and shutil.which(wanted[0]):
        return wanted
    found = next((program for program in PAGERS if shutil.which(program)), None)
    return [found, "-R"] if found == "less" else [found] if found else []


async def page(parts: Sequence[RenderableType], on: Console, ears: Ears) -> None:
    """All of it: printed where it fits the terminal, or where no pager can show it."""
    text = rendered(parts, on)
    command = pager()
    if not command or on.is_dumb_terminal or text.count("\n") < on.size.height:
        for part in parts:
            on.print(part)
        return
    with tempfile.NamedTemporaryFile("w", prefix="moot-", suffix=".txt", encoding="utf-8", errors="replace") as file:
        file.write(text)
        file.flush()
        try:
            await run([*command, file.name], ears)
        except UserError:
            for part in parts:
                on.print(part)


def rendered(parts: Sequence[RenderableType], on: Console) -> str:
    """As the terminal would show it."""
    out = io.StringIO()
    copy = Console(
        file=out, width=on.width, color_system=None, markup=False, emoji=False, highlight=False, legacy_windows=False
    )
    for part in parts:
        copy.print(part)
    return out.getvalue()
