"""What came of a run."""

import pytest
from autogen_agentchat.messages import TextMessage

from moot.chats.result import ResultSpec, result_of
from moot.termination.outcome import Outcome
from moot.termination.transcript import Transcript, Turn


def said(*turns: tuple[str, str]) -> Transcript:
    history = [Turn(n, n, who, TextMessage(content=text, source=who)) for n, (who, text) in enumerate(turns, 1)]
    return Transcript(("anna", "ben"), (), history)


TALK = said(("anna", "ANSWER: 1"), ("ben", "no"), ("anna", "so\nANSWER:  2 \nbye"), ("ben", "yes"))


@pytest.mark.parametrize(
    ("spec", "result"),
    [
        (None, "yes"),
        (ResultSpec("anna"), "so\nANSWER:  2 \nbye"),
        (ResultSpec("anna", r"^ANSWER:(.*)$"), "2"),
        (ResultSpec("anna", r"ANSWER: +\d"), "ANSWER:  2"),
        (ResultSpec(None, r"^ANSWER:(.*)$"), "2"),
        (ResultSpec("ben", r"^ANSWER:(.*)$"), None),
    ],
)
def test_the_result_is_what_was_said_last_that_fits(spec: ResultSpec | None, result: str | None) -> None:
    assert result_of(TALK, spec, Outcome.GOAL) == result
    assert result_of(TALK, spec, Outcome.LIMIT) == result


def test_a_run_that_failed_has_no_result_whatever_was_said() -> None:
    assert result_of(TALK, ResultSpec("anna"), Outcome.FAILED) is None
    assert result_of(TALK, None, Outcome.FAILED) is None


def test_where_nothing_was_said_there_is_no_result() -> None:
    assert result_of(said(), None, Outcome.LIMIT) is None
    assert result_of(said(), ResultSpec("anna"), Outcome.LIMIT) is None
