"""Who speaks next, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from moot.termination.outcome import Stop
from moot.termination.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Choice:
    """A policy's answer: who speaks next (several: in parallel) and why, in words a person can check."""

    names: tuple[str, ...]
    reason: str
    policy: str
    candidates: tuple[str, ...] = ()
    attempts: int = 1
    fallback: str | None = None
    note: str | None = None
    """Told to the chosen participants, and only to them, before they speak."""


class SpeakerPolicy(Protocol):
    """Picks the next speaker from what has been said; keeps nothing of its own, so a resumed run picks the same."""

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice | Stop:
        """Who speaks next; a `Stop` when nobody can, which ends the run with its outcome."""
        ...


@dataclass(frozen=True, slots=True)
class RoundRobin:
    """Participants speak in the order they were given."""

    async def choose(self, said: Transcript, eligible: Sequence[str]) -> Choice:
        """The participant after the last one that spoke."""
        number = said.turns
        name = eligible[number % len(eligible)]
        return Choice((name,), f"round {number // len(eligible) + 1}, in order", "round_robin", tuple(eligible))


def round_robin() -> RoundRobin:
    """Participants speak in the order they were given, again and again."""
    return RoundRobin()
