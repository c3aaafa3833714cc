"""What is said of a tool is checked when it is said: a lookup is called only after a crash."""

from collections.abc import Mapping

import pytest

from moot.agents.tool_policy import ToolPolicy


async def look(key: str, arguments: Mapping[str, object]) -> str | None:
    return None


async def of_one(call: object) -> str | None:
    return None


def test_a_lookup_takes_the_key_and_the_arguments() -> None:
    assert ToolPolicy(lookup={"pay": look}).named == {"pay"}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (of_one, r"async def look\(key, arguments\): too many positional arguments"),
        ("ask_the_bank", r"async def look\(key, arguments\); got 'ask_the_bank'"),
    ],
)
def test_a_lookup_that_could_not_be_called_is_refused_at_once(given: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ToolPolicy(lookup={"pay": given})  # type: ignore[dict-item]
