"""Stop rules: questions put to the transcript after each step. A yes is a `Stop`; stopping is a result, not an error.

A rule is a frozen value that keeps nothing between questions, so resuming a run is asking again.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from moot.termination.ledger import Ledger
from moot.termination.outcome import Outcome, Stop
from moot.termination.transcript import Transcript

REASON_CHARACTERS = 200
CODE, ANYTHING = "<code>", "<anything>"
"""In `Rule.watches`, beside names of participants."""
Answer = Stop | str | bool | None
"""What a callable rule may answer: a yes (`True`, or the reason in words, or a whole `Stop`) or a no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A question with an id. `rule | other` stops when either says yes, `rule & other` when both do."""

    id: str
    outcome: Outcome = Outcome.GOAL

    @abstractmethod
    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """A `Stop` when the run should end here, with the reason in words."""

    @property
    def watches(self) -> frozenset[str]:
        """What this rule looks at: participants by name, `CODE` for whoever runs code, `ANYTHING` when it cannot be
        told.
        """
        return frozenset()

    @property
    def people(self) -> frozenset[str]:
        """Those whose decisions this rule looks at: it would never hold for anybody who is no person."""
        return frozenset()

    def stop(self, reason: str, said: Transcript) -> Stop:
        """This rule's yes."""
        return Stop(self.id, reason, self.outcome, said.turns)

    def __or__(self, other: Rule) -> AnyOf:
        return AnyOf(id=f"{self.id} | {other.id}", rules=(*_parts(self, AnyOf), *_parts(other, AnyOf)))

    def __and__(self, other: Rule) -> AllOf:
        return AllOf(
            id=f"{self.id} & {other.id}", rules=(*_parts(self, AllOf), *_parts(other, AllOf)), outcome=self.outcome
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf(Rule):
    """Yes when any rule says yes; the answer is that rule's own."""

    rules: tuple[Rule, ...]

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """The first yes."""
        for rule in self.rules:
            if stop := rule.ask(said, spent):
                return stop
        return None

    @property
    def watches(self) -> frozenset[str]:
        """Everybody any of the rules looks at."""
        return frozenset().union(*(r.watches for r in self.rules))

    @property
    def people(self) -> frozenset[str]:
        """Those of all the rules."""
        return frozenset().union(*(r.people for r in self.rules))


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf(Rule):
    """Yes when every rule says yes at the same step."""

    rules: tuple[Rule, ...]

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """All of them, their reasons joined."""
        reasons = []
        for rule in self.rules:
            if (stop := rule.ask(said, spent)) is None:
                return None
            reasons.append(stop.reason)
        return self.stop(" and ".join(reasons), said)

    @property
    def watches(self) -> frozenset[str]:
        """Everybody any of the rules looks at."""
        return frozenset().union(*(r.watches for r in self.rules))

    @property
    def people(self) -> frozenset[str]:
        """Those of all the rules."""
        return frozenset().union(*(r.people for r in self.rules))


@dataclass(frozen=True, slots=True, kw_only=True)
class Says(Rule):
    """The named participant said it. `starts` is looked for at the start of any line, so that quoting ends nothing."""

    participant: str
    pattern: re.Pattern[str]

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """Looks at what the participant said in the last step."""
        for turn in said.step:
            if turn.participant == self.participant and (found := self.pattern.search(turn.text)):
                return self.stop(f"{turn.participant} said {_line(turn.text, found.start())!r}", said)
        return None

    @property
    def watches(self) -> frozenset[str]:
        """The one participant."""
        return frozenset((self.participant,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoke(Rule):
    """The named participant has replied."""

    participant: str

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """Looks at who spoke in the last step."""
        if any(turn.participant == self.participant for turn in said.step):
            return self.stop(f"{self.participant} spoke", said)
        return None

    @property
    def watches(self) -> frozenset[str]:
        """The one participant."""
        return frozenset((self.participant,))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSucceeded(Rule):
    """The latest block of code ended with exit code 0."""

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """Looks at the latest block of code, in whatever turn it ran."""
        run = said.last_code_run
        if run is None or run.exit_code != 0:
            return None
        return self.stop(f"the last code run ({run.participant}) succeeded", said)

    @property
    def watches(self) -> frozenset[str]:
        """Whoever runs code."""
        return frozenset((CODE,))


@dataclass(frozen=True, slots=True, kw_only=True)
class When(Rule):
    """Whatever the callable says."""

    question: Callable[[Transcript, Ledger], Answer]

    def ask(self, said: Transcript, spent: Ledger) -> Stop | None:
        """Asked from the first turn on."""
        if not said.turns:
            return None
        answer = self.question(said, spent)
        if isinstance(answer, Stop):
            return answer
        return self.stop(answer if isinstance(answer, str) else f"{self.id} said yes", said) if answer else None

    @property
    def watches(self) -> frozenset[str]:
        """A callable may look at anything."""
        return frozenset((ANYTHING,))


def says(  # noqa: PLR0913 - three ways to have said it, and what every rule has
    participant: str,
    starts: str | None = None,
    *,
    contains: str | None = None,
    matches: str | None = None,
    outcome: Outcome = Outcome.GOAL,
    id: str | None = None,
) -> Says:
    """End when `participant` says the text: `starts` a line with it, `contains` it, or `matches` the regular
    expression.

    Exactly one of the three. Raises ValueError for none, several, an empty text or a bad expression.
    """
    given = {k: v for k, v in {"starts": starts, "contains": contains, "matches": matches}.items() if v is not None}
    if len(given) != 1:
        raise ValueError(
            f"says({participant!r}) needs exactly one of starts, contains, matches; got {', '.join(given) or 'none'}"
        )
    (how, text), *_ = given.items()
    if not text:
        raise ValueError(f"says({participant!r}): {how} is empty")
    try:
        pattern = re.compile(
            {"starts": r"^[ \t]*" + re.escape(text), "contains": re.escape(text), "matches": text}[how], re.MULTILINE
        )
    except re.error as error:
        raise ValueError(f"says({participant!r}): {text!r} is no regular expression: {error}") from None
    return Says(id=id or f"says({participant})", outcome=outcome, participant=participant, pattern=pattern)


def spoke(participant: str, *, outcome: Outcome = Outcome.GOAL, id: str | None = None) -> Spoke:
    """End when `participant` has replied, whatever they said."""
    return Spoke(id=id or f"spoke({participant})", outcome=outcome, participant=participant)


def code_succeeded(*, outcome: Outcome = Outcome.GOAL, id: str = "code_succeeded") -> CodeSucceeded:
    """End when the latest block of code ended with exit code 0. Usually with another: `says(...) &
    code_succeeded()`.
    """
    return CodeSucceeded(id=id, outcome=outcome)


def when(
    question: Callable[[Transcript, Ledger], Answer], *, outcome: Outcome = Outcome.GOAL, id: str | None = None
) -> When:
    """End when the callable says so: it gets the transcript and the ledger and answers a reason, True, a `Stop`, or
    no.
    """
    return When(id=id or f"when({getattr(question, '__name__', 'callable')})", outcome=outcome, question=question)


def _parts(rule: Rule, kind: type[AnyOf] | type[AllOf]) -> tuple[Rule, ...]:
    return rule.rules if isinstance(rule, kind) and type(rule) is kind else (rule,)


def _line(text: str, at: int) -> str:
    """The line that holds the match, shortened to what fits a reason."""
    line = text[text.rfind("\n", 0, at) + 1 :].lstrip().split("\n", 1)[0].strip()
    return line if len(line) <= REASON_CHARACTERS else line[: REASON_CHARACTERS - 1] + "…"
