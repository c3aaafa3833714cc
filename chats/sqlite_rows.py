"""Events and runs as rows of a journal file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from moot.chats.chain import Row
from moot.chats.errors import StoreError
from moot.chats.events import Event, dumped, read
from moot.chats.owner import Hold, is_held
from moot.chats.store import RunRow

ROWS = "SELECT seq, ts, turn, attempt, type, participant, span, data FROM event WHERE run = ? AND seq > ? ORDER BY seq"
"""The rows of one run above a number."""
FIRST = float("-inf")
"""Rows that no store numbers, 0 and below, count too where changes are looked for."""
_LIST = """
SELECT r.name, r.chat, r.status, r.owner, r.until, r.ticks, r.parent,
  (SELECT json_extract(data, '$.outcome') FROM event
    WHERE run = r.id AND seq = r.head AND type = 'run.finished' AND json_valid(data)),
  count(CASE WHEN e.type = 'turn.finished' THEN 1 END),
  coalesce(min(CASE WHEN e.seq > r.base THEN e.ts END), min(e.ts)),
  total(CASE WHEN e.seq > r.base THEN json_extract(e.done, '$.spent.input_tokens') END),
  total(CASE WHEN e.seq > r.base THEN json_extract(e.done, '$.spent.output_tokens') END),
  total(CASE WHEN e.seq > r.base THEN json_extract(e.done, '$.spent.usd') END),
  count(CASE WHEN e.seq > r.base AND e.done IS NOT NULL AND json_extract(e.done, '$.spent.usd') IS NULL THEN 1 END)
FROM run r {join} (
  SELECT run, seq, ts, type, CASE WHEN type = 'effect.completed' AND json_valid(data) THEN data END AS done
  FROM event) e
  ON e.run = r.id {where} GROUP BY r.id ORDER BY r.name DESC
"""
_ALL = _LIST.format(join="JOIN", where="")
_ONE = _LIST.format(join="LEFT JOIN", where="WHERE r.name = ?")


def rows_of_types(count: int) -> str:
    """The same of so many types of event alone: what lies beside them is not read."""
    return ROWS.replace("ORDER BY", f"AND type IN ({', '.join('?' * count)}) ORDER BY")


def rows_of(run: str, head: int, events: Sequence[Event]) -> list[Row]:
    """Events as they are kept, numbered from `head` on. Raises StoreError for one that is no data."""
    return [
        (seq, float(e.ts), e.turn, e.attempt, e.type, e.participant, e.span, _written(run, e))
        for seq, e in enumerate(events, head + 1)
    ]


def event_of(run: str, row: tuple[Any, ...]) -> Event:
    """A row read back. Raises StoreError for a damaged one."""
    seq, ts, turn, attempt, kind, participant, span, data = row
    try:
        return Event(kind, turn, attempt, participant, read(kind, data), span, seq, ts)
    except (ValidationError, ValueError, TypeError):
        raise StoreError(f"event {seq} of run {run} ({kind}) cannot be read: its row is damaged") from None


def listed(db: sqlite3.Connection, now: float, run: str | None = None) -> list[RunRow]:
    """Every run that has an event, newest first; or that one."""
    found = db.execute(_ALL) if run is None else db.execute(_ONE, (run,))
    return [
        RunRow(
            name, chat, status, outcome, turns, started or 0.0, int(given), int(taken), None if unpriced else usd,
            is_held(Hold(owner, until, ticks), now), parent,
        )
        for name, chat, status, owner, until, ticks, parent, outcome, turns, started, given, taken, usd, unpriced
        in found.fetchall()
    ]  # fmt: skip


def _written(run: str, event: Event) -> str:
    try:
        return dumped(event.data)
    except ValueError as error:
        who = f" of {event.participant}" if event.participant else ""
        raise StoreError(f"event {event.seq} of run {run} ({event.type}{who}) cannot be written: {error}") from error
