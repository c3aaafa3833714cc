"""Who speaks next, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

from moot.termination.outcome import Stop
from moot.termination.transcript import Transcript

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

    from moot.agents.models import ModelKind, ModelSpec
    from moot.agents.playbook import Playbook

    AnyModel = str | ModelSpec | ChatCompletionClient

SELECT = "select"
"""Under this name the ledger and the journal keep what picking the speakers takes. No participant has it."""


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


class SeatedPolicy(SpeakerPolicy, Protocol):
    """A policy of one run that asks a model. What it asks is journalled like a participant's calls, under `select`."""

    @property
    def model_name(self) -> str:
        """What the model is called."""
        ...

    @property
    def model_kind(self) -> ModelKind:
        """Whether it is `real`, `scripted` or `replayed`."""
        ...

    async def close(self) -> None:
        """Give back what was made for this run."""
        ...


def is_seated(policy: SpeakerPolicy) -> TypeGuard[SeatedPolicy]:
    """Whether it asks a model, so that what it does is to be journalled."""
    return all(hasattr(policy, name) for name in ("model_name", "model_kind", "close"))


@runtime_checkable
class AskingPolicy(Protocol):
    """What a policy is that asks a model: an inert value, seated anew for each run."""

    def seated(
        self, model: AnyModel | None, playbooks: Callable[[str], Playbook], described: Mapping[str, str]
    ) -> SeatedPolicy:
        """The policy with its client; `model` is the chat's, `described` says who each participant is.

        Raises ModelError, ValueError without any model.
        """
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
