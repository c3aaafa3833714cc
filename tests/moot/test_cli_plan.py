"""A plan says what is missing before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.moot.conftest import Moot


@pytest.mark.parametrize(
    ("args", "env", "why"),
    [
        ([], {"DOCKER_HOST": "unix:///nowhere/docker.sock"}, "does not answer"),
        (["--set", "sandbox.image=moot/none:1"], {}, "the engine has no image 'moot/none:1'"),
    ],
)
def test_a_sandbox_that_is_not_available_is_said_in_one_line(
    moot: Moot, args: list[str], env: dict[str, str], why: str
) -> None:
    done = moot("plan", "research", *args, **env)
    assert (done.code, done.err) == (0, "")
    (missing,) = [line for line in done.out.splitlines() if line.startswith("missing ")]
    assert "executor: the sandbox is not available: " in missing
    assert why in missing
    assert "NOT READY" in done.out
    found = {p["name"]: p["missing"] for p in moot("plan", "research", "--json", *args, **env).json["participants"]}
    assert why in found.pop("executor")
    assert set(found.values()) == {""}
    assert not (moot.folder / "home").exists()


def test_a_plan_that_lacks_nothing_does_not_say_so(moot: Moot) -> None:
    out = moot("plan", "research").out
    assert "missing" not in out
    assert "NOT READY" not in out


def test_a_plan_without_a_sandbox_asks_no_engine(moot: Moot) -> None:
    done = moot("plan", "research", "--sandbox", "none", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.code == 0
    assert "SKIPPED, no sandbox" in done.out
    assert "missing" not in done.out
