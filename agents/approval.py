"""What a person must approve before it is done: who is asked, and what they may decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from moot.agents.questions import Verdict

ANYONE = "anyone"
"""Whoever decides: nobody in particular is asked."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who is asked before something is done, and what they may decide. Raises ValueError for what is no decision, or
    where nothing could ever be approved.
    """

    ask: str = ANYONE
    """A `human(...)` of the chat, or `anyone`. Whoever it is, anybody may answer."""
    allow: tuple[Verdict, ...] = ("approve", "edit", "reject", "respond")

    def __post_init__(self) -> None:
        known = get_args(Verdict)
        if strange := [verdict for verdict in self.allow if verdict not in known]:
            raise ValueError(f"Approval: {strange[0]!r} is no decision: allow takes {', '.join(known)}")
        if not {"approve", "edit"}.intersection(self.allow):
            raise ValueError("Approval: nothing could ever be approved: allow approve, edit, or both")


ASKS_ANYONE = Approval()
"""Anyone is asked, and may decide whatever they like."""
