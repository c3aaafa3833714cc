"""What a model replies is mended where it comes in: nothing of it may break a later request, a journal or a turn."""

import json
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage

from moot.agents.context import created
from moot.agents.json_text import MOST_NESTED
from moot.agents.sendable import sendable, sendable_call


def deep(levels: int) -> str:
    return '{"x": ' + "[" * levels + "]" * levels + "}"


def arguments(given: str) -> str:
    return sendable_call(FunctionCall("1", given, "f")).arguments


@pytest.mark.parametrize(
    "given",
    ["{}", "null", "[1]", '"x"', "3", "{", "", "[]" * 900, '{"x": NaN}', deep(MOST_NESTED - 1),
     '{"x": "\\ud83d\\ude00"}', '{"x": "\\\\ud83d is only spelled"}', f'{{"x": {"9" * 4300}}}'],
)  # fmt: skip
def test_arguments_that_can_be_read_and_written_stay_as_they_are(given: str) -> None:
    assert arguments(given) == given


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (deep(MOST_NESTED + 1), "nested more than 200 levels deep"),
        (deep(3_000), "nested more than 200 levels deep"),
        (deep(100_000), "nested more than 200 levels deep"),
        ('{"x": ' + "[" * 900, "nested more than 200 levels deep"),
        (f'{{"x": {"9" * 5000}}}', "4300 digits"),
    ],
)
def test_arguments_that_nobody_could_read_are_no_json_any_more_and_say_why(given: str, why: str) -> None:
    mended = arguments(given)
    assert why in mended
    with pytest.raises(json.JSONDecodeError):
        json.loads(mended)
    assert arguments(mended) == mended


@pytest.mark.parametrize("given", ['{"\\ud800": {"\\udfff": "\\ud83d"}}', '{"\ud800": {"\udfff": "\ud83d"}}'])
def test_halves_of_characters_in_arguments_are_mended_in_keys_and_in_values(given: str) -> None:
    assert json.loads(arguments(given)) == {"\ufffd": {"\ufffd": "\ufffd"}}


def test_the_id_and_the_name_of_a_call_can_be_written_down() -> None:
    call = sendable_call(FunctionCall("c\ud800", "{}", "f\ud83d"))
    assert call == FunctionCall("c\ufffd", "{}", "f\ufffd")


@pytest.mark.parametrize(("given", "meant"), [(None, "{}"), ({"x": [1]}, '{"x": [1]}'), ("", "")])
def test_what_servers_send_in_the_place_of_a_text_becomes_one(given: Any, meant: str) -> None:
    assert sendable_call(FunctionCall("1", given, "f")) == FunctionCall("1", meant, "f")
    odd: Any = None
    assert sendable_call(FunctionCall(odd, "{}", odd)) == FunctionCall("", "{}", "")


def reply(*calls: FunctionCall, thought: str | None = None) -> CreateResult:
    usage = RequestUsage(1, 1)
    return CreateResult(
        finish_reason="function_calls", content=[*calls], usage=usage, cached=False, thought=thought
    )  # fmt: skip


def test_a_reply_with_nothing_to_mend_is_the_very_one() -> None:
    whole = reply(FunctionCall("1", "{}", "f"), thought="hm")
    assert sendable(whole) is whole


def test_a_thought_is_mended_beside_calls_that_are_whole() -> None:
    mended = sendable(reply(FunctionCall("1", "{}", "f"), thought="hm \ud83d"))
    assert mended.thought == "hm \ufffd"
    assert mended.content == [FunctionCall("1", "{}", "f")]


def test_calls_in_a_journal_of_before_are_mended_as_they_are_read() -> None:
    recorded = reply(FunctionCall("1", deep(3_000), "f")).model_dump(mode="json")
    call = created(recorded).content[0]
    assert isinstance(call, FunctionCall)
    assert "nested" in call.arguments
