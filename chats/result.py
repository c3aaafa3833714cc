"""What came of a run: taken from what one participant said, if the chat says how."""

from __future__ import annotations

import re
from dataclasses import dataclass

from moot.termination.outcome import Outcome
from moot.termination.transcript import Transcript


@dataclass(frozen=True, slots=True)
class ResultSpec:
    """The result is what `participant` (None: anybody) said last: the first group of `extract` in it, or all of it."""

    participant: str | None = None
    extract: str | None = None


def result_of(said: Transcript, spec: ResultSpec | None, outcome: Outcome) -> str | None:
    """None where there is nothing to show; a run that failed has no result, whatever was said on the way."""
    if outcome is Outcome.FAILED:
        return None
    if spec is None:
        return said.last.text if said.last is not None else None
    for turn in reversed(said.history):
        if spec.participant in (None, turn.participant):
            if spec.extract is None:
                return turn.text
            if found := re.search(spec.extract, turn.text, re.MULTILINE):
                return (found[1] if found.re.groups else found[0]).strip()
    return None
