"""The ledger: money is reserved before a call and settled after it."""

import pytest
from autogen_agentchat.messages import TextMessage

from moot.termination.ledger import NOTHING, Cost, Ledger
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.termination.transcript import Transcript, Turn


def said(turns: int, participants: int = 2) -> Transcript:
    names = tuple("abcdef"[:participants])
    reply = TextMessage(content="x", source="a")
    return Transcript(names, (), [Turn(n, n, names[0], reply) for n in range(1, turns + 1)])


def test_a_cost_that_does_not_fit_is_refused_with_the_limit_and_both_amounts() -> None:
    stop = Ledger(Limits(tokens=100)).refuse(Cost(90, 20), turn=3)
    assert stop is not None
    assert (stop.rule, stop.outcome, stop.turn) == ("limits.tokens", Outcome.LIMIT, 3)
    assert stop.reason == "the next call could reach 110 of 100 tokens"


def test_a_cost_that_fits_exactly_is_not_refused() -> None:
    assert Ledger(Limits(tokens=100)).refuse(Cost(80, 20), turn=1) is None


@pytest.mark.parametrize(
    ("limits", "cost", "rule"),
    [
        (Limits(tokens=100), Cost(30, 30), "limits.tokens"),
        (Limits(usd=1.0), Cost(1, 1, 0.6), "limits.usd"),
        (Limits(turns=9, code_runs=1), Cost(code_runs=1), "limits.code_runs"),
    ],
)
def test_what_others_have_reserved_counts_until_it_is_settled_or_given_back(
    limits: Limits, cost: Cost, rule: str
) -> None:
    ledger = Ledger(limits)
    ledger.reserve("a", cost)
    refused = ledger.refuse(cost, turn=1)
    assert refused is not None
    assert refused.rule == rule
    ledger.release("a")
    assert ledger.refuse(cost, turn=1) is None


def test_settling_replaces_the_worst_case_by_the_truth() -> None:
    ledger = Ledger(Limits(tokens=100))
    ledger.reserve("k", Cost(50, 50))
    ledger.settle("k", "a", Cost(10, 5))
    assert ledger.refuse(Cost(80, 5), turn=1) is None
    assert ledger.total.tokens == 15
    assert ledger.by_participant["a"].model_calls == 1


def test_one_unpriced_call_makes_the_sum_a_lower_bound() -> None:
    ledger = Ledger(Limits(turns=1))
    ledger.settle("1", "a", Cost(1, 1, 0.5))
    assert (ledger.total.usd, ledger.total.priced) == (0.5, True)
    ledger.settle("2", "a", Cost(1, 1, None))
    assert (ledger.total.usd, ledger.total.known_usd, ledger.total.priced) == (None, 0.5, False)


def test_what_takes_nothing_is_never_refused() -> None:
    ledger = Ledger(Limits(tokens=10, usd=0.1))
    ledger.settle("k", "a", Cost(100, 100, 5.0))
    assert ledger.refuse(NOTHING, turn=1) is None


@pytest.mark.parametrize(
    ("limits", "turns", "rule", "reason"),
    [
        (Limits(turns=4), 4, "limits.turns", "4 turns taken"),
        (Limits(turns=1), 1, "limits.turns", "1 turn taken"),
        (Limits(rounds=2), 4, "limits.rounds", "2 rounds of 2 participants taken"),
        (Limits(rounds=1), 2, "limits.rounds", "1 round of 2 participants taken"),
    ],
)
def test_a_limit_of_turns_or_rounds_is_reached_at_its_turn_and_not_before(
    limits: Limits, turns: int, rule: str, reason: str
) -> None:
    ledger = Ledger(limits)
    assert ledger.reached(said(turns - 1)) is None
    stop = ledger.reached(said(turns))
    assert stop is not None
    assert (stop.rule, stop.reason, stop.outcome, stop.turn) == (rule, reason, Outcome.LIMIT, turns)


@pytest.mark.parametrize(
    ("limits", "rule", "reason"),
    [
        (Limits(tokens=15), "limits.tokens", "15 of 15 tokens spent"),
        (Limits(usd=1.5), "limits.usd", "$1.50 of $1.50 spent"),
        (Limits(seconds=2.5), "limits.seconds", "2.5 of 2.5 seconds spent"),
    ],
)
def test_a_limit_that_is_spent_forbids_another_turn(limits: Limits, rule: str, reason: str) -> None:
    ledger = Ledger(limits)
    assert ledger.reached(said(1)) is None
    ledger.settle("k", "a", Cost(10, 5, 1.5))
    ledger.seconds = 2.5
    stop = ledger.reached(said(1))
    assert stop is not None
    assert (stop.rule, stop.reason) == (rule, reason)


def test_spent_code_runs_do_not_forbid_to_talk_about_what_was_run() -> None:
    ledger = Ledger(Limits(turns=9, code_runs=1))
    ledger.settle("k", "a", Cost(code_runs=1))
    assert ledger.reached(said(1)) is None


def test_a_limit_is_nearly_spent_at_80_percent_until_it_was_warned_about() -> None:
    ledger = Ledger(Limits(turns=10, usd=2.0))
    ledger.settle("k", "a", Cost(10, 5, 1.6))
    assert ledger.nearly(said(7)) == {"usd": "$1.60 of $2.00"}
    assert ledger.nearly(said(8)) == {"turns": "8 of 10 turns", "usd": "$1.60 of $2.00"}
    ledger.warned.add("usd")
    assert ledger.nearly(said(8)) == {"turns": "8 of 10 turns"}


def test_rounds_are_told_with_one_decimal() -> None:
    assert Ledger(Limits(rounds=6)).nearly(said(16, 3)) == {"rounds": "5.3 of 6 rounds"}
