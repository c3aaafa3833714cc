"""Why and how a run ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a run ended."""

    GOAL = "goal"
    LIMIT = "limit"
    REJECTED = "rejected"
    STALLED = "stalled"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stop:
    """A rule's yes: which rule, why in words, with which outcome, after which turn (0: before the first)."""

    rule: str
    reason: str
    outcome: Outcome
    turn: int = 0
