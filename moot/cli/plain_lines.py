"""Lines as the terminal itself makes them: where nothing can be drawn."""

from __future__ import annotations

import asyncio
import os
import select
import sys

from moot.chats.clean import clean
from moot.cli.lines import Left, Typed
from moot.cli.terminal import PIECE, typed_ahead


class PlainLines:
    """A `Lines`. What comes at once is one text, for a paste cannot be told from typing here."""

    keeps = False
    hint = "Enter sends it, Ctrl-D leaves it for later"

    def open(self) -> None:
        """There is nothing to be taken."""

    def close(self) -> None:
        """There is nothing to be given back."""

    def ahead(self) -> str:
        """What the terminal holds."""
        return clean(typed_ahead(sys.stdin)).strip()

    async def line(self, label: str, text: str = "") -> Typed:
        """Raises Left. A `text` to write on is shown: it cannot be handed in."""
        sys.stderr.write(f"(so far: {text})\n{label}" if text else label)
        sys.stderr.flush()
        try:
            await _readable(sys.stdin.fileno())
        except asyncio.CancelledError:
            sys.stderr.write("\n")  # what comes now is not what was typed
            raise
        pieces: list[bytes] = []
        try:
            while not pieces or select.select([sys.stdin], [], [], 0)[0]:
                pieces.append(os.read(sys.stdin.fileno(), PIECE))
                if not pieces[-1]:
                    break
        except OSError:  # the terminal has gone
            raise Left from None
        given = b"".join(pieces).decode(sys.stdin.encoding or "utf-8", errors="replace")
        if not given:
            sys.stderr.write("\n")
            raise Left
        return Typed(given.removesuffix("\n"))


async def _readable(number: int) -> None:
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(number, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(number)
