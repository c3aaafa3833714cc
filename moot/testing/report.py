"""What `crash_everywhere` found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

When = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Point:
    """One death and what came of it."""

    commit: int
    """Which one it was, from 1."""
    when: When
    """Before it was on disk, or after it and before anybody heard of it."""
    events: tuple[str, ...]
    """The types of what was committed."""
    fired: bool
    """Whether the run came so far: results that arrive together share a commit, so their number varies a little."""
    differences: tuple[str, ...]
    """In what the resumed run is not as the undisturbed one, in words."""

    def __str__(self) -> str:
        what = ", ".join(self.events) or "nothing"
        return f"killed {self.when} commit {self.commit} ({what})"


@dataclass(frozen=True, slots=True)
class Report:
    """Every point at which the chat was killed. `check` is what a test wants."""

    points: tuple[Point, ...]
    unsteady: tuple[str, ...] = ()
    """In what two undisturbed runs differ: such a chat cannot be judged, and is not killed at all."""

    @property
    def fired(self) -> int:
        """How many deaths came about."""
        return sum(point.fired for point in self.points)

    @property
    def differences(self) -> tuple[str, ...]:
        """All of them, each with its point."""
        return tuple(f"{point}: {difference}" for point in self.points for difference in point.differences)

    def check(self) -> Report:
        """Itself, where the chat converges from everywhere. Raises AssertionError with what differs."""
        if self.unsteady:
            raise AssertionError(
                "the chat is not deterministic, so it cannot be told what a crash changes; two undisturbed runs differ:"
                + _listed(self.unsteady)
            )
        if not self.fired:
            raise AssertionError("nothing was killed: the run ended before its first commit")
        if self.differences:
            raise AssertionError(f"{self}; these do not end as the undisturbed run:" + _listed(self.differences))
        return self

    def __str__(self) -> str:
        wrong = sum(bool(point.differences) for point in self.points)
        return f"{len(self.points)} points, {self.fired} deaths, {wrong} of them with differences"


def _listed(lines: tuple[str, ...]) -> str:
    return "".join(f"\n  {line}" for line in lines)
