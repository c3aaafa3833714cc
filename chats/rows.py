"""One run as a row of a list, from its events."""

from __future__ import annotations

from collections.abc import Sequence

from moot.chats.event_types import EffectCompleted, RunFinished, TurnFinished
from moot.chats.events import Event
from moot.chats.store import RunRow


def row_of(run: str, chat: str, status: str, events: Sequence[Event], *, base: int = 0) -> RunRow:
    """Counts turns, and sums what was spent after the first `base` events. As of a run that nobody drives."""
    own = events[base:]
    spent = [e.data.spent for e in own if isinstance(e.data, EffectCompleted)]
    last = events[-1].data if events else None
    unpriced = any(s.usd is None for s in spent)
    return RunRow(
        run=run,
        chat=chat,
        status=status,
        outcome=last.outcome.value if isinstance(last, RunFinished) else None,
        turns=sum(isinstance(e.data, TurnFinished) for e in events),
        started=(own or events)[0].ts if events else 0.0,
        input_tokens=sum(s.input_tokens for s in spent),
        output_tokens=sum(s.output_tokens for s in spent),
        usd=None if unpriced else sum(s.usd or 0.0 for s in spent),
        driven=False,
    )
