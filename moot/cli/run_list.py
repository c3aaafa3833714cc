"""Runs in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from moot.chats.clean import clean_line
from moot.chats.ids import short
from moot.cli.columns import Columns
from moot.cli.words import dollars, time_of, tokens

if TYPE_CHECKING:
    from rich.table import Table

    from moot.chats.store import RunRow

_COLUMNS = Columns(
    titles=("run", "status", "chat", "turns", "started", "tokens", "cost"),
    right=("turns", "started", "tokens", "cost"),
    least_first=("tokens", "cost", "started", "turns", "chat"),
    stretching="chat",
    least=8,
)
NOTHING_ASKED: Mapping[str, int] = {}


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
        "parent": row.parent or None,
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
    return _COLUMNS.table([_cells(row, names, questions.get(row.run, 0)) for row in rows], width)


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


def _local(ts: float) -> str:
    return datetime.fromtimestamp(ts).astimezone().strftime("%Y-%m-%d %H:%M") if ts else "never"
