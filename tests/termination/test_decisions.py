"""Stop rules about people look at what they decided, not at what anybody says."""

import pytest
from autogen_agentchat.messages import TextMessage

from moot.termination.decisions import approved_by, rejections
from moot.termination.ledger import Ledger
from moot.termination.limits import Limits
from moot.termination.outcome import Outcome
from moot.termination.rules import Rule, code_succeeded, says, spoke
from moot.termination.transcript import Transcript, Turn

SPENT = Ledger(Limits(turns=9))


def after(*turns: tuple[str, str, str]) -> Transcript:
    """A transcript of turns: who, what they decided (or nothing), what they said."""
    history = [
        Turn(n, n, who, TextMessage(content=text, source=who, metadata={"decision": decided} if decided else {}))
        for n, (who, decided, text) in enumerate(turns, 1)
    ]
    return Transcript(("owner", "writer"), (), history)


def asked(rule: Rule, said: Transcript) -> str | None:
    stop = rule.ask(said, SPENT)
    return None if stop is None else stop.reason


@pytest.mark.parametrize(
    ("decided", "reason"),
    [
        ("approve", "owner approved"),
        ("edit", "owner approved with changes"),
        ("reject", None),
        ("respond", None),
        ("", None),
    ],
)
def test_an_approval_as_it_is_or_edited_ends_the_run(decided: str, reason: str | None) -> None:
    assert asked(approved_by("owner"), after(("owner", decided, "APPROVED"))) == reason


def test_an_approval_of_another_person_or_of_an_earlier_step_ends_nothing() -> None:
    assert asked(approved_by("owner"), after(("writer", "approve", "APPROVED"))) is None
    assert asked(approved_by("owner"), after(("owner", "approve", ""), ("writer", "", "thanks"))) is None


def test_rejections_are_counted_in_the_whole_run_and_each_turn_is_read_once() -> None:
    said, rule = after(), rejections("owner", 2)
    reasons = []
    for turn in after(
        ("owner", "reject", "no"), ("writer", "", "x"), ("owner", "reject", "never"), ("writer", "", "y")
    ).history:
        said.history.append(turn)
        reasons.append(asked(rule, said))
    assert reasons == [None, None, "owner rejected 2 times, last: 'never'", "owner rejected 2 times"]
    assert said.decided("owner", "reject") == 2
    stop = rejections("owner").ask(said, SPENT)
    assert stop is not None
    assert (stop.rule, stop.outcome) == ("rejections(owner)", Outcome.REJECTED)


def test_a_long_reason_is_cut() -> None:
    reason = asked(rejections("owner"), after(("owner", "reject", "no\n" * 900)))
    assert reason is not None
    assert len(reason) < 300
    assert "\n" not in reason


@pytest.mark.parametrize("count", [0, -1])
def test_rejections_are_counted_from_one(count: int) -> None:
    with pytest.raises(ValueError, match="count must be at least 1"):
        rejections("owner", count)


def test_who_spoke_in_the_last_step_ends_the_run() -> None:
    assert asked(spoke("writer"), after(("owner", "", "x"), ("writer", "", "y"))) == "writer spoke"
    assert asked(spoke("owner"), after(("owner", "", "x"), ("writer", "", "y"))) is None
    assert spoke("writer").watches == {"writer"}


def test_a_compound_rule_knows_the_people_it_waits_for() -> None:
    rule = (approved_by("owner") & code_succeeded()) | rejections("boss") | says("writer", "x")
    assert rule.people == {"owner", "boss"}
    assert says("writer", "x").people == frozenset()
    assert {"owner", "boss", "writer"} <= rule.watches
