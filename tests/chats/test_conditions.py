"""The conditions on edges: what they mean, how they print, and what their errors point at."""

from __future__ import annotations

import pytest
from autogen_agentchat.messages import TextMessage

from moot.chats.conditions import (
    And,
    Contains,
    Decided,
    ExitCode,
    Not,
    Or,
    Says,
    TimedOut,
    about_people,
    parse_condition,
)
from moot.chats.edge_tokens import EdgeSyntaxError
from moot.termination.transcript import CodeRun, Turn


def turn(text: str = "", *exit_codes: int, timed_out: bool = False) -> Turn:
    runs = tuple(CodeRun("someone", "python", code, timed_out=timed_out) for code in exit_codes)
    return Turn(1, 1, "someone", TextMessage(content=text, source="someone"), runs)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("exit_code != 0", ExitCode("!=", 0)),
        ("exit_code == -1", ExitCode("==", -1)),
        ("timed_out", TimedOut()),
        ("approved", Decided("approved")),
        ("not rejected or approved", Or((Not(Decided("rejected")), Decided("approved")))),
        ('says "REDO:"', Says("REDO:")),
        ("says 'it\\'s'", Says("it's")),
        ('contains "a \\"b\\" \\\\"', Contains('a "b" \\')),
        ("not timed_out", Not(TimedOut())),
        ("timed_out or exit_code > 1 and not timed_out", Or((TimedOut(), And((ExitCode(">", 1), Not(TimedOut())))))),
        ("(timed_out or exit_code > 1) and timed_out", And((Or((TimedOut(), ExitCode(">", 1))), TimedOut()))),
    ],
)
def test_a_condition_is_a_value_that_prints_as_it_reads(text: str, means: object) -> None:
    condition = parse_condition(text)
    assert condition == means
    assert parse_condition(str(condition)) == condition
    assert hash(condition) == hash(means)


@pytest.mark.parametrize(
    ("op", "number", "codes"),
    [("==", 1, {1}), ("!=", 1, {0, 2}), ("<", 1, {0}), ("<=", 1, {0, 1}), (">", 1, {2}), (">=", 1, {1, 2})],
)
def test_exit_codes_are_compared_as_numbers(op: str, number: int, codes: set[int]) -> None:
    condition = parse_condition(f"exit_code {op} {number}")
    assert {code for code in (0, 1, 2) if condition.holds(turn("", code))} == codes


def test_the_last_block_of_a_turn_gives_its_exit_code() -> None:
    assert parse_condition("exit_code == 0").holds(turn("", 1, 0))


def test_a_turn_that_ran_no_code_has_failed_to_run_and_nothing_else() -> None:
    nothing = turn("no code block found")
    assert parse_condition("exit_code != 0").holds(nothing)
    for op in ("==", "<", "<=", ">", ">="):
        assert not parse_condition(f"exit_code {op} 0").holds(nothing)
    assert parse_condition("exit_code != 0").fact(nothing) == "no code ran"


def test_says_wants_the_start_of_a_line_so_that_quoting_decides_nothing() -> None:
    says = parse_condition('says "REDO:"')
    assert says.holds(turn("I looked at it.\n  REDO: the sign is wrong"))
    assert says.holds(turn("REDO: at once\r\nbye"))
    assert not says.holds(turn("You asked me to say REDO: when it is wrong"))
    assert not says.holds(turn("redo: lower case"))


def test_texts_are_looked_for_as_they_stand() -> None:
    assert parse_condition('says "a.b*"').holds(turn("a.b* and more"))
    assert not parse_condition('says "a.b*"').holds(turn("axbbb"))
    assert parse_condition('contains "(?"').holds(turn("what (? is this"))


@pytest.mark.parametrize(
    ("decided", "holding", "fact"),
    [
        ("approve", "approved", "it was approved"),
        ("edit", "approved", "it was approved"),
        ("reject", "rejected", "it was rejected"),
        ("respond", "", "nothing was decided"),
        ("", "", "nothing was decided"),
    ],
)
def test_what_a_person_decided_is_no_matter_of_words(decided: str, holding: str, fact: str) -> None:
    metadata = {"decision": decided} if decided else {}
    said = Turn(1, 1, "owner", TextMessage(content="APPROVED\nREJECTED", source="owner", metadata=metadata))
    held = [text for text in ("approved", "rejected") if parse_condition(text).holds(said)]
    assert held == ([holding] if holding else [])
    assert parse_condition("approved").fact(said) == fact


def test_a_condition_knows_whether_it_is_about_people() -> None:
    assert about_people(parse_condition('says "x" and (timed_out or not rejected)'))
    assert not about_people(parse_condition('says "approved" and (timed_out or not contains "rejected")'))


def test_timed_out_is_about_any_block_of_the_turn() -> None:
    assert parse_condition("timed_out").holds(turn("", 124, timed_out=True))
    assert not parse_condition("timed_out").holds(turn("", 0))


def test_facts_are_what_was_seen() -> None:
    condition = parse_condition('exit_code != 0 and not contains "Traceback"')
    assert condition.fact(turn("oops", 1)) == 'exit code was 1 and it does not contain "Traceback"'
    either = parse_condition('says "A" or says "B"')
    assert either.fact(turn("B it is")) == 'it says "B"'
    assert either.fact(turn("C")) == 'it does not say "A" and it does not say "B"'


@pytest.mark.parametrize(
    ("text", "column", "problem", "suggestion"),
    [
        ("exit_code = 0", 11, "expected one of == != < <= > >=, got '='", "did you mean '=='?"),
        ("exit_code is 0", 11, "expected one of == != < <= > >=, got 'is'", "did you mean '=='?"),
        ("exit_code == zero", 14, "expected a whole number, got 'zero'", None),
        ("exit_code == 99999999999", 14, "expected a whole number, got '99999999999'", None),
        ("exit_code", 10, "expected one of == != < <= > >=, got the end of the edge", None),
        ("says REDO", 6, "expected a text in quotes after says, such as says \"DONE:\", got 'REDO'", None),
        (
            "says \u201cREDO\u201d",
            6,
            "expected a text in quotes after says, such as says \"DONE:\", got '\u201c'",
            "write straight quotes",
        ),
        ('says "REDO', 6, "the text is not closed", "quote the whole edge if the text holds ' #' or ': '"),
        ('says " "', 6, "the text after says is empty", None),
        ('says "a" && timed_out', 10, "expected 'and', 'or' or the end, got '&&'", "did you mean 'and'?"),
        ('says "a" says "b"', 10, "expected 'and', 'or' or the end, got 'says'", None),
        ('(says "a"', 10, "expected ')', 'and' or 'or', got the end of the edge", None),
        ("timed_ot", 1, None, "did you mean 'timed_out'?"),
        ("! timed_out", 1, None, "did you mean 'not'?"),
        ("", 1, None, None),
        ("(" * 5000, 42, "nested more than 40 deep", None),
        ("not " * 5000, 165, "nested more than 40 deep", None),
    ],
)
def test_an_error_says_what_was_expected_and_where(
    text: str, column: int, problem: str | None, suggestion: str | None
) -> None:
    with pytest.raises(EdgeSyntaxError) as caught:
        parse_condition(text)
    assert caught.value.column == column
    assert caught.value.suggestion == suggestion
    if problem:
        assert caught.value.problem == problem
