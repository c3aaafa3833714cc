"""The stop rules of a chat file as rules."""

from __future__ import annotations

from collections.abc import Sequence

from moot.chats.chat_file import StopEntry, StopQuestion
from moot.termination.decisions import approved_by, rejections
from moot.termination.outcome import Outcome
from moot.termination.rules import AllOf, AnyOf, Rule, code_succeeded, says, spoke


def stop_of(entries: Sequence[StopEntry]) -> Rule | None:
    """Any of them ends the run; None where there are none."""
    rules = [_rule(entry, entry.id, outcome_of(entry)) for entry in entries]
    return AnyOf(id=" | ".join(r.id for r in rules), rules=tuple(rules)) if rules else None


def outcome_of(entry: StopEntry) -> Outcome:
    """How the run ends when this rule ends it: as rejected where rejections are counted, unless the file says more."""
    if entry.outcome is not None:
        return entry.outcome
    return Outcome.REJECTED if entry.rejections is not None else Outcome.GOAL


def _rule(asked: StopQuestion, id: str, outcome: Outcome) -> Rule:
    """One stop rule; the parts of a compound one answer in its name."""
    if asked.says is not None:
        s = asked.says
        return says(s.participant, s.starts, contains=s.contains, matches=s.matches, outcome=outcome, id=id)
    if asked.spoke is not None:
        return spoke(asked.spoke, outcome=outcome, id=id)
    if asked.approved_by is not None:
        return approved_by(asked.approved_by, outcome=outcome, id=id)
    if asked.rejections is not None:
        return rejections(asked.rejections.participant, asked.rejections.count, outcome=outcome, id=id)
    if asked.code_succeeded:
        return code_succeeded(outcome=outcome, id=id)
    parts = tuple(_rule(part, id, outcome) for part in asked.all or asked.any or ())
    return AllOf(id=id, rules=parts, outcome=outcome) if asked.all else AnyOf(id=id, rules=parts, outcome=outcome)
