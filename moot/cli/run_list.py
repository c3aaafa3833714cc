"""Runs in a list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moot.chats.clean import clean_line
from moot.chats.ids import short
from moot.cli.words import dollars, tokens

if TYPE_CHECKING:
    from rich.table import Table

    from moot.chats.store import RunRow

WIDE = 72
"""Columns of a terminal in which the whole table is legible."""


def status_of(row: RunRow) -> str:
    """`finished`, `running` while a living process drives it, else `paused`."""
    if row.status == "finished":
        return "finished"
    return "running" if row.driven else "paused"


def time_of(ts: float) -> str | None:
    """ISO 8601 in UTC; None for a run whose journal is empty."""
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="milliseconds") if ts else None


def row_object(row: RunRow) -> dict[str, object]:
    """One run for `--json`."""
    status = status_of(row)
    return {
        "run": row.run,
        "chat": row.chat,
        "status": status,
        "outcome": row.outcome if status == "finished" else None,
        "turns": row.turns,
        "started": time_of(row.started),
        "usage": {
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "usd": row.usd,
            "priced": row.usd is not None,
        },
    }


def run_table(rows: Sequence[RunRow], width: int) -> Table:
    """Runs for people, by the shortest beginnings of their ids; fewer columns where there is little room."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    names = [row.run for row in rows]
    left, right = ("run", "status", "chat"), ("turns", "started", "tokens", "cost")
    shown = (*left, *(right if width >= WIDE else right[:1]))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in shown:
        table.add_column(title, justify="right" if title in right else "left", no_wrap=True)
    for row in rows:
        status = status_of(row)
        cells = {
            "run": short(row.run, names),
            "status": row.outcome or status if status == "finished" else status,
            "chat": clean_line(row.chat, 60),
            "turns": str(row.turns),
            "started": _local(row.started),
            "tokens": tokens(row.input_tokens + row.output_tokens),
            "cost": "unpriced" if row.usd is None else dollars(row.usd),
        }
        table.add_row(*(Text(cells[title]) for title in shown))
    return table


def _local(ts: float) -> str:
    return datetime.fromtimestamp(ts).astimezone().strftime("%Y-%m-%d %H:%M") if ts else "never"
