"""Stop rules: questions put to the transcript after each step."""

import pytest
from autogen_agentchat.messages import TextMessage

from moot.termination.ledger import Ledger
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome, Stop
from moot.termination.rules import ANYTHING, CODE, Rule, code_succeeded, says, when
from moot.termination.transcript import CodeRun, Transcript, Turn

SPENT = Ledger(Limits(turns=9))


def after(*turns: tuple[str, str], exit_code: int | None = None, parallel: bool = False) -> Transcript:
    runs = () if exit_code is None else (CodeRun(turns[-1][0], "python", exit_code),)
    names = tuple(dict.fromkeys(name for name, _ in turns))
    history = [
        Turn(n, 1 if parallel else n, name, TextMessage(content=text, source=name), runs if n == len(turns) else ())
        for n, (name, text) in enumerate(turns, 1)
    ]
    return Transcript(names, (), history)


def asked(rule: Rule, said: Transcript) -> str | None:
    stop = rule.ask(said, SPENT)
    return None if stop is None else stop.reason


def test_who_says_it_at_the_start_of_a_line_ends_the_run() -> None:
    stop = says("critic", "APPROVED").ask(after(("critic", "Well.\n  APPROVED: all good\nbye")), SPENT)
    assert stop == Stop("says(critic)", "critic said 'APPROVED: all good'", Outcome.GOAL, 1)


@pytest.mark.parametrize("text", ["I will say APPROVED later", "> APPROVED", '"APPROVED"', "approved"])
def test_quoting_the_word_ends_nothing(text: str) -> None:
    assert asked(says("critic", "APPROVED"), after(("critic", text))) is None


def test_another_participant_saying_it_ends_nothing() -> None:
    assert asked(says("critic", "APPROVED"), after(("writer", "APPROVED"))) is None


def test_what_was_said_before_the_last_step_ends_nothing() -> None:
    assert asked(says("critic", "APPROVED"), after(("critic", "APPROVED"), ("writer", "thanks"))) is None


def test_everything_said_in_a_parallel_step_is_looked_at() -> None:
    assert asked(says("critic", "APPROVED"), after(("critic", "APPROVED"), ("writer", "x"), parallel=True)) is not None


def test_a_rule_can_look_for_a_text_anywhere_or_for_an_expression() -> None:
    assert asked(says("a", contains="42"), after(("a", "it is 42."))) == "a said 'it is 42.'"
    assert asked(says("a", matches=r"\d{3}"), after(("a", "it is 42."))) is None
    assert asked(says("a", matches=r"^it is \d+"), after(("a", "so\nit is 42."))) == "a said 'it is 42.'"


def test_a_long_line_is_shortened_in_the_reason() -> None:
    reason = asked(says("a", "X"), after(("a", "X" * 5000)))
    assert reason is not None
    assert len(reason) < 250


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "exactly one of starts, contains, matches; got none"),
        ({"starts": "a", "contains": "b"}, "got starts, contains"),
        ({"starts": ""}, "starts is empty"),
        ({"matches": "("}, "is no regular expression"),
    ],
)
def test_a_rule_that_asks_nothing_clear_is_refused(given: dict[str, str], problem: str) -> None:
    with pytest.raises(ValueError, match=r"says\('a'\)") as refused:
        says("a", **given)  # type: ignore[arg-type]
    assert problem in str(refused.value)


@pytest.mark.parametrize(("exit_code", "yes"), [(0, True), (1, False), (-1, False), (None, False)])
def test_code_succeeded_looks_at_the_exit_code_of_the_latest_block(exit_code: int | None, yes: bool) -> None:
    reason = asked(code_succeeded(), after(("runner", "ran"), exit_code=exit_code))
    assert reason == ("the last code run (runner) succeeded" if yes else None)


def test_a_callable_may_answer_yes_a_reason_or_a_whole_stop() -> None:
    def is_long(said: Transcript, spent: Ledger) -> bool:
        return said.turns >= 2

    assert asked(when(is_long), after(("a", "x"))) is None
    assert asked(when(is_long), after(("a", "x"), ("b", "y"))) == "when(is_long) said yes"
    assert asked(when(lambda said, spent: "enough"), after(("a", "x"))) == "enough"
    own = Stop("mine", "because", Outcome.REJECTED, 1)
    assert when(lambda said, spent: own).ask(after(("a", "x")), SPENT) == own


def test_a_callable_is_not_asked_before_the_first_turn() -> None:
    assert when(lambda said, spent: True).ask(Transcript(("a",)), SPENT) is None


def test_either_of_two_rules_answers_with_its_own_name() -> None:
    rule = says("a", "NO", outcome=Outcome.REJECTED) | says("b", "YES")
    stop = rule.ask(after(("b", "YES")), SPENT)
    assert stop is not None
    assert (stop.rule, stop.outcome) == ("says(b)", Outcome.GOAL)
    assert rule.id == "says(a) | says(b)"


def test_both_of_two_rules_must_hold_at_the_same_step() -> None:
    rule = says("r", "DONE") & code_succeeded()
    assert asked(rule, after(("r", "DONE"))) is None
    assert asked(rule, after(("r", "wait"), exit_code=0)) is None
    stop = rule.ask(after(("r", "DONE"), exit_code=0), SPENT)
    assert stop is not None
    assert stop.reason == "r said 'DONE' and the last code run (r) succeeded"
    assert stop.rule == "says(r) & code_succeeded"


def test_and_binds_tighter_than_or() -> None:
    rule = says("a", "X") | says("b", "Y") & code_succeeded()
    assert asked(rule, after(("a", "X"))) is not None
    assert asked(rule, after(("b", "Y"))) is None


def test_a_rule_names_everything_it_looks_at() -> None:
    assert (says("a", "X") & code_succeeded() | says("b", "Y")).watches == {"a", "b", CODE}
    assert when(lambda said, spent: True).watches == {ANYTHING}


def test_a_rule_keeps_nothing_between_questions() -> None:
    rule, said = says("a", "X"), after(("a", "X"))
    assert asked(rule, said) == asked(rule, said) == asked(rule, said)
