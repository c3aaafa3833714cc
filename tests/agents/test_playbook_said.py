"""Rules and texts of a playbook that look at what somebody in particular said last."""

from __future__ import annotations

import pytest
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage

from moot.agents.errors import PlaybookError
from moot.agents.playbook import Playbook
from moot.agents.situation import Situation

BOOK = """
version: 1
name: test
parts:
  author:
    - when: {said: {ann: '^APPROVE', bob: ['^APPROVE', 'fine']}}
      say: "both approve: {said.author}"
    - when: {said: {ann: '^REVISE: (?P<why>.+)$'}}
      say: "ann wants {why}; bob said {said.bob|json}"
    - say: "a draft"
"""
TASK = UserMessage(content="write", source="user")
DRAFT = AssistantMessage(content="a draft", source="author")


def _said(name: str, text: str) -> UserMessage:
    return UserMessage(content=text, source=name)


def _reply(*messages: LLMMessage) -> str:
    return str(Playbook.parse(BOOK).part("author").answer(Situation.of((TASK, *messages))))


def test_a_rule_may_ask_what_several_said_at_the_same_time() -> None:
    assert _reply(DRAFT, _said("ann", "APPROVE"), _said("bob", "APPROVE\nfine")) == "both approve: a draft"
    assert _reply(DRAFT, _said("ann", "APPROVE"), _said("bob", "APPROVE")) == "a draft"


def test_a_rule_quotes_who_spoke_before_the_last_one() -> None:
    said = _reply(DRAFT, _said("ann", "REVISE: a date"), _said("bob", "REVISE:\na price"))
    assert said == 'ann wants a date; bob said "REVISE:\\na price"'


def test_the_latest_message_of_somebody_counts() -> None:
    earlier = (_said("ann", "REVISE: a date"), _said("bob", "REVISE: a price"), DRAFT)
    said = _reply(*earlier, _said("ann", "APPROVE"), _said("bob", "APPROVE, fine"))
    assert said == "both approve: a draft"


def test_a_rule_about_somebody_who_has_not_spoken_does_not_apply() -> None:
    assert _reply(DRAFT, _said("ann", "REVISE: a date")) == "a draft"
    assert _reply() == "a draft"


def test_what_somebody_said_may_not_be_all_that_a_last_rule_can_say() -> None:
    with pytest.raises(PlaybookError, match="could run dry"):
        Playbook.parse('version: 1\nname: t\nparts: {a: [{say: "{said.bob}"}]}')


def test_what_somebody_said_is_not_pasted_into_code() -> None:
    with pytest.raises(PlaybookError, match=r"said\.bob\|json"):
        Playbook.parse('version: 1\nname: t\nparts: {a: [{say: "```\\n{said.bob}\\n```"}, {say: x}]}')


CHECK = """
version: 1
name: test
parts:
  critic:
    - when: {said: {ann: '^p = (?P<claimed>.+)$', bob: '^p = (?P<printed>.+)$'}, same: {claimed: printed}}
      say: "right: {printed}"
    - say: "wrong"
"""


def test_a_claim_is_right_when_it_is_what_was_printed() -> None:
    critic = Playbook.parse(CHECK).part("critic")
    printed = _said("bob", "p = 0.012")
    assert critic.answer(Situation.of([TASK, printed, _said("ann", "p = 0.012")])) == "right: 0.012"
    assert critic.answer(Situation.of([TASK, printed, _said("ann", "p = 0.01")])) == "wrong"


@pytest.mark.parametrize("pair", ["{claimed: other}", "{other: printed}"])
def test_names_that_nothing_captures_cannot_be_compared(pair: str) -> None:
    with pytest.raises(PlaybookError, match=r"6:\d+: parts\.critic\[0\]\.when.* no pattern captures 'other'"):
        Playbook.parse(CHECK.replace("{claimed: printed}", pair))
