"""Functions that run in threads: what no future can carry reaches whoever waits for them."""

import pytest
from autogen_agentchat.agents import ApprovalRequest, ApprovalResponse

from moot.agents.journalled_code import journalled_approval
from moot.agents.journalled_input import journalled_input
from moot.agents.threads import for_thread


def nothing_left(asked: object) -> str:
    return next(iter(()))


def no_answer_left(asked: ApprovalRequest) -> ApprovalResponse:
    return next(iter(()))


async def test_answers_that_run_out_fail_instead_of_being_waited_for_for_ever() -> None:
    for asking in (
        journalled_input(nothing_left, is_async=False)("more?", None),
        journalled_approval(no_answer_left, is_async=False)(ApprovalRequest(code="1", context=[])),
    ):
        with pytest.raises(RuntimeError, match="StopIteration, as next"):
            await asking


def test_what_a_function_gives_or_raises_otherwise_stays_what_it_is() -> None:
    assert for_thread(divmod)(7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        for_thread(divmod)(7, 0)
