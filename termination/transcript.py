"""What has been said so far: the fold of the journal that speaker policies and stop rules look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # only typing needs AutoGen here, and checking a chat file should not pay for its import
    from autogen_agentchat.messages import BaseChatMessage

DECISION = "decision"
"""Under this name the metadata of a person's message says what they decided; no words of a model get there."""
APPROVED = ("approve", "edit")
"""The decisions that approve: as it is, or edited."""


@dataclass(frozen=True, slots=True)
class CodeRun:
    """What one block of code came to. `exit_code` is -1 where the block never ran (`skipped` says why)."""

    participant: str
    language: str
    exit_code: int
    timed_out: bool = False
    oom: bool = False
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One participant's counted reply. `number` starts at 1; turns taken in parallel share a `step`."""

    number: int
    step: int
    participant: str
    message: BaseChatMessage
    code_runs: tuple[CodeRun, ...] = ()

    @property
    def text(self) -> str:
        """The reply as plain text."""
        return self.message.to_text()

    @property
    def exit_code(self) -> int | None:
        """The exit code of the turn's last block of code, None where it ran none."""
        return self.code_runs[-1].exit_code if self.code_runs else None

    @property
    def decision(self) -> str:
        """What a person decided with it: `approve`, `edit`, `reject`, `respond`; empty where nobody decided anything.
        Trust it of people alone: an agent with code of its own can write what it likes.
        """
        return str(self.message.metadata.get(DECISION, ""))


@dataclass(frozen=True, slots=True)
class Aside:
    """Something that a person said to everybody between two turns, without a turn of their own."""

    after: int
    """How many turns had been taken."""
    message: BaseChatMessage


@dataclass(slots=True, weakref_slot=True)
class Transcript:
    """The task and every turn that counts, oldest first. Policies may remember, weakly, how far they have read one."""

    participants: tuple[str, ...]
    task: tuple[BaseChatMessage, ...] = ()
    history: list[Turn] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    _searched: int = field(default=0, init=False, repr=False, compare=False)
    _code_run: CodeRun | None = field(default=None, init=False, repr=False, compare=False)
    """The latest of the turns searched so far: a rule that asks after every turn must not read all of them again."""
    _decisions: Counter[tuple[str, str]] = field(default_factory=Counter, init=False, repr=False, compare=False)
    """How often each participant decided what, in the turns searched so far."""

    @property
    def turns(self) -> int:
        """How many turns have been taken."""
        return len(self.history)

    @property
    def last(self) -> Turn | None:
        """The latest turn."""
        return self.history[-1] if self.history else None

    @property
    def step(self) -> Sequence[Turn]:
        """Everything said since the rules were last asked: one turn, or those that were taken in parallel."""
        if not self.history:
            return ()
        number = self.history[-1].step
        first = len(self.history) - 1
        while first and self.history[first - 1].step == number:
            first -= 1
        return self.history[first:]

    @property
    def last_code_run(self) -> CodeRun | None:
        """The latest block of code that was to be run, in whatever turn."""
        self._search()
        return self._code_run

    def decided(self, participant: str, decision: str) -> int:
        """How often that person has decided so."""
        self._search()
        return self._decisions[participant, decision]

    def _search(self) -> None:
        for turn in self.history[self._searched :]:
            if turn.code_runs:
                self._code_run = turn.code_runs[-1]
            if decision := turn.decision:
                self._decisions[turn.participant, decision] += 1
        self._searched = len(self.history)
