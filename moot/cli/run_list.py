"""Runs in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from moot.chats.clean import clean_line
from moot.chats.ids import short
from moot.cli.words import dollars, time_of, tokens

if TYPE_CHECKING:
    from rich.table import Table

    from moot.chats.store import RunRow

_COLUMNS = ("run", "status", "chat", "turns", "started", "tokens", "cost")
_RIGHT = ("turns", "started", "tokens", "cost")
_LEAST_FIRST = ("tokens", "cost", "started", "turns", "chat")
NOTHING_ASKED: Mapping[str, int] = {}
_CHAT_CELLS = 8
"""A longer name may be cut."""


def status_of(row: RunRow, questions: int = 0) -> str:
    """`finished`, `running` while a living process drives it, `waiting` for a person to decide that many `questions`,
    else `paused`: also where all is decided and nobody has driven it on yet.
    """
    if row.status == "finished":
        return "finished"
    if row.driven:
        return "running"
    return "waiting" if row.status == "waiting" and questions else "paused"


def may_wait(row: RunRow) -> bool:
    """Whether it has to be looked up how many questions the run waits for."""
    return row.status == "waiting" and not row.driven


def row_object(row: RunRow, questions: int = 0) -> dict[str, object]:
    """One run for `--json`."""
    status = status_of(row, questions)
    return {
        "run": row.run,
        "chat": row.chat,
        "status": status,
        "outcome": row.outcome if status == "finished" else None,
        "questions": questions,
        "turns": row.turns,
        "started": time_of(row.started),
        "usage": {
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "usd": row.usd,
            "priced": row.usd is not None,
        },
    }


def run_table(
    rows: Sequence[RunRow], names: Sequence[str], width: int, questions: Mapping[str, int] = NOTHING_ASKED
) -> Table:
    """Runs for people, by the shortest beginnings of their ids among all `names`; where there is little room columns
    are left out, the least needed first. `questions`: how many each run waits for.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = [_cells(row, names, questions.get(row.run, 0)) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, wide in _fitting(cells, width).items():
        justify: Literal["left", "right"] = "right" if title in _RIGHT else "left"
        table.add_column(title, justify=justify, no_wrap=True, overflow="ellipsis", width=wide)
    for row in cells:
        table.add_row(*(Text(row[str(column.header)]) for column in table.columns))
    return table


def _cells(row: RunRow, names: Sequence[str], questions: int) -> dict[str, str]:
    status = status_of(row, questions)
    if status == "waiting":
        status = f"waiting ({questions})"
    return {
        "run": short(row.run, names),
        "status": row.outcome or status if status == "finished" else status,
        "chat": clean_line(row.chat, 60),
        "turns": str(row.turns),
        "started": _local(row.started),
        "tokens": tokens(row.input_tokens + row.output_tokens),
        "cost": "unpriced" if row.usd is None else dollars(row.usd),
    }


def _fitting(cells: Sequence[dict[str, str]], width: int) -> dict[str, int]:
    """The columns that fit, with their widths; the chat's name gets what the others leave."""
    from rich.cells import cell_len

    wide = {title: max(cell_len(title), *(cell_len(row[title]) for row in cells)) for title in _COLUMNS}
    chat, wide["chat"] = wide["chat"], min(wide["chat"], _CHAT_CELLS)
    for title in _LEAST_FIRST:
        if _total(wide) <= width:
            break
        del wide[title]
    if "chat" in wide:
        wide["chat"] = min(chat, wide["chat"] + max(0, width - _total(wide)))
    return wide


def _total(wide: dict[str, int]) -> int:
    """Cells of a whole line: a blank at both ends, three between columns."""
    return sum(wide.values()) + 3 * len(wide) - 1


def _local(ts: float) -> str:
    return datetime.fromtimestamp(ts).astimezone().strftime("%Y-%m-%d %H:%M") if ts else "never"
