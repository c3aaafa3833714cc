"""Stop rules about what people decided: a fact of their messages that no model can write."""

from __future__ import annotations

from dataclasses import dataclass

from moot.termination.ledger import Ledger
from moot.termination.outcome import Outcome, Stop
from moot.termination.rules import REASON_CHARACTERS, Rule
from moot.termination.transcript import APPROVED, Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedBy(Rule):
    """The person approved what they were shown, as it was or edited."""

    participant: str

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """Looks at what the person decided in the last step."""
        for turn in said.step:
            if turn.participant == self.participant and turn.decision in APPROVED:
                how = " with changes" if turn.decision == "edit" else ""
                return self.stop(f"{turn.participant} approved{how}", said)
        return None

    @property
    def watches(self) -> frozenset[str]:
        """The one person."""
        return frozenset((self.participant,))

    @property
    def people(self) -> frozenset[str]:
        """The one person."""
        return frozenset((self.participant,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejections(Rule):
    """The person has rejected what they were shown that often, in the whole run."""

    participant: str
    count: int

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """Counts from the first turn on."""
        times = said.decided(self.participant, "reject")
        if times < self.count:
            return None
        last = next((t.text for t in said.step if (t.participant, t.decision) == (self.participant, "reject")), "")
        why = f", last: {' '.join(last.split())!r}"[:REASON_CHARACTERS] if last else ""
        return self.stop(f"{self.participant} rejected {'once' if times == 1 else f'{times} times'}{why}", said)

    @property
    def watches(self) -> frozenset[str]:
        """The one person."""
        return frozenset((self.participant,))

    @property
    def people(self) -> frozenset[str]:
        """The one person."""
        return frozenset((self.participant,))


def approved_by(person: str, *, outcome: Outcome = Outcome.GOAL, id: str | None = None) -> ApprovedBy:
    """End when that person, a `human(...)` who approves what somebody says, approves it: as it is, or edited."""
    return ApprovedBy(id=id or f"approved_by({person})", outcome=outcome, participant=person)


def rejections(
    person: str, count: int = 1, *, outcome: Outcome = Outcome.REJECTED, id: str | None = None
) -> Rejections:
    """End, as `rejected`, when that person has rejected so often in the whole run. Raises ValueError for a count below
    1.
    """
    if count < 1:
        raise ValueError(f"rejections({person!r}): count must be at least 1, got {count}")
    return Rejections(id=id or f"rejections({person})", outcome=outcome, participant=person, count=count)
