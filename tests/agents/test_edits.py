"""What of a question can be edited, what an edit must be, and what it changed."""

import pytest

from moot.agents.edits import DIFFERENCE_CHARACTERS, arguments_of, difference, editable, fits, same


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        ("code", {"code": "x = 1\n", "language": "python"}, "x = 1\n"),
        ("message", {"message": "hello", "prompt": "?"}, "hello"),
        ("tool", {"tool": "send", "arguments": {"to": "bøb"}}, '{\n  "to": "bøb"\n}'),
        ("tool", {"tool": "send"}, "{}"),
        ("input", {"prompt": "?"}, None),
        ("doubt", {"tool": "send", "arguments": {}}, None),
        ("code", {"code": 7}, None),
    ],
)
def test_code_messages_and_arguments_can_be_edited(kind: str, payload: dict[str, object], text: str | None) -> None:
    assert editable(kind, payload) == text


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("code", "1", None),
        ("code", " \n", "it is empty"),
        ("message", "", "it is empty"),
        ("tool", '{"a": [1]}', None),
        ("tool", "[1]", "the arguments of a tool are a JSON object"),
        ("tool", "{'a': 1}", "it is not JSON: Expecting property name"),
        ("tool", '{"a": Infinity}', "it is not JSON: Infinity is no JSON number"),
        ("tool", '{"a": -1e999}', "it is not JSON: -1e999 is larger than any number"),
        ("tool", '{"a": ' + "9" * 5000 + "}", "it is not JSON: Exceeds the limit"),
        ("tool", '{"a": ' + "[" * 250 + "]" * 250 + "}", "it is nested more than 200 levels deep"),
        ("tool", '{"a": ' + "[" * 99999 + "]" * 99999 + "}", "it is nested more than 200 levels deep"),
    ],
)
def test_an_edit_fits_or_says_why_not(kind: str, text: str, why: str | None) -> None:
    found = fits(kind, text)
    assert found == why if why is None or found is None else found.startswith(why)


def test_the_difference_is_that_of_what_is_meant() -> None:
    assert difference("message", "a\nb", "a\nc").splitlines() == [
        "--- shown",
        "+++ edited",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]
    shown = editable("tool", {"arguments": {"a": 1, "b": 2}}) or ""
    assert difference("tool", shown, '{"a":1,"b":3}').splitlines()[-2:] == ['+  "b": 3', " }"]
    assert difference("code", "a", "a\n") == "only the ends of lines are different"


def test_a_huge_difference_is_cut_at_a_line() -> None:
    found = difference("code", "", "\n".join(f"x = {n}" for n in range(9999)))
    assert len(found) < DIFFERENCE_CHARACTERS + 100
    assert found.splitlines()[-1].endswith("characters left out ...")


def test_arguments_in_other_blanks_are_the_same() -> None:
    shown = editable("tool", {"arguments": {"a": 1}}) or ""
    assert same("tool", shown, '{ "a" : 1 }')
    assert not same("tool", shown, '{"a": 2}')
    assert not same("code", "a", "a\n")
    assert arguments_of('{"a": 2}') == {"a": 2}
