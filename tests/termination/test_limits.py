"""Limits: what a run may spend, and that there is an end to it."""

import math

import pytest

from moot.termination.limits import Limits


@pytest.mark.parametrize("name", ["turns", "rounds", "tokens", "usd", "seconds", "code_runs"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_limit_that_is_no_number_above_zero_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"limits\.{name} must be a number above 0"):
        Limits(**{"turns": 5, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [{}, {"code_runs": 3}])
def test_limits_without_a_hard_one_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no hard limit: give at least one of turns, rounds, tokens, usd, seconds"):
        Limits(**given)


def test_code_runs_alone_end_nothing_and_are_no_hard_limit() -> None:
    assert Limits(turns=3, code_runs=2).hard() == ("turns",)


def test_every_limit_given_is_known_by_name() -> None:
    assert Limits(rounds=6, usd=2.0, code_runs=8).given() == {"rounds": 6, "usd": 2.0, "code_runs": 8}


def test_limits_are_told_to_people_in_words() -> None:
    assert (
        Limits(rounds=6, usd=2, code_runs=8, tokens=1_500_000).words()
        == "6 rounds, 1,500,000 tokens, $2.00, 8 code runs"
    )


def test_one_of_a_kind_is_told_in_the_singular() -> None:
    assert Limits(turns=1, rounds=1, seconds=1, code_runs=1).words() == "1 turn, 1 round, 1 second, 1 code run"
    assert Limits(seconds=1.5).words() == "1.5 seconds"
