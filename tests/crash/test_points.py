"""Killed at every point and at random, frozen, and raced for: nothing is lost, doubled, or repeated without a mark."""

import pytest

from tests.crash.conftest import SEEDS
from tests.crash.ownership import situations
from tests.crash.points import points
from tests.crash.report import SEEDS as RANDOM
from tests.crash.report import Report
from tests.crash.suite import Result

GROUPS = dict.fromkeys([*(point.group for point in points()), *(situation.group for situation in situations())])


@pytest.mark.parametrize("group", GROUPS)
def test_a_run_survives(group: str, results: list[Result]) -> None:
    of = [result for result in results if result.group == group]
    assert {f"{result.name}: {result.problems}" for result in of if result.problems} == set()
    assert all(result.fired == result.deaths for result in of), "a death that did not come about proves nothing"
    assert sum(result.lost_turns + result.duplicated_turns + result.unmarked for result in of) == 0
    assert all(result.resumed for result in of)


def test_a_run_survives_random_kills_and_kills_while_it_recovers(results: list[Result]) -> None:
    of = [result for result in results if result.group == RANDOM]
    assert len(of) == SEEDS
    assert {f"{result.name}: {result.problems}" for result in of if result.problems} == set()
    assert sum(result.fired for result in of) > sum(result.deaths for result in of) * 2 // 3
    assert any(result.fired > 2 for result in of), "kills while it recovers"
    assert any(result.marked for result in of), "some effects were cut off, and made again"


def test_the_report_ends_with_the_totals(results: list[Result]) -> None:
    report = Report([result.group for result in results])
    for result in results:
        report.add(result)
    last = report.text(0).splitlines()[-1]
    assert f"{SEEDS} seeds" in last
    assert "lost turns 0, duplicated turns 0" in last
    assert "only where in doubt and marked" in last
    assert "findings 0" in last


def test_a_finding_is_told_with_the_command_that_repeats_it() -> None:
    report = Report([RANDOM, "request sent"])
    for group, name in ((RANDOM, "17"), ("request sent", "model of critic")):
        report.add(Result(group, name, "/tmp/x", 1, 1, 2, False, 1, 0, 0, 0, ["lost: turns [3] are not finished"]))
    told = report.text(0)
    assert "repeat: scripts/crash --no-points --from 17 --seeds 1" in told
    assert 'repeat: scripts/crash --seeds 0 --only "request sent, model of critic"' in told
    assert told.count("kept: /tmp/x") == 2
