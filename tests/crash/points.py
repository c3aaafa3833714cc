"""Where runs are killed: each point by name, and random ones by the number of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.crash.fate import Death
from tests.crash.story import Story, Told


@dataclass(frozen=True)
class Killed:
    """One story with its deaths."""

    group: str
    name: str
    driver: Sequence[Death | None] = ()
    person: Sequence[Death | None] = ()
    careful: bool = True
    at_once: bool = False
    sure: bool = True

    def tell(self, folder: Path) -> Told:
        """Play it."""
        return Story(folder, self.driver, self.person, self.careful, self.at_once).tell()

    @property
    def deaths(self) -> int:
        """How many there are to be."""
        return sum(death is not None for death in (*self.driver, *self.person))


INTENDED, COMPLETED, FINISHED = "effect.intended", "effect.completed", "run.finished"
ASKED, PAUSED, DECIDED, RESUMED, STARTED = (
    "request.asked", "run.paused", "request.decided", "run.resumed", "turn.started",
)  # fmt: skip
KINDS = (
    ("model", "coder", 1),
    ("model", "critic", 2),
    ("code", "coder", 2),
    ("code", "runner", 2),
    ("turn", "guide", 1),
    ("turn", "old", 2),
)
"""What reaches the world, for whom, and in which drive: the second one comes after the person's answers."""
_UNRECORDED = "response received but unrecorded"


def points() -> Iterator[Killed]:
    """Every point, several times where it comes several times in a run."""
    yield _killed("undisturbed", "nobody dies")
    yield _killed("before the first event", "created", Death("created"))
    yield _killed("right after claim", "of a new run", Death("claimed"))
    yield _killed("right after claim", "of a run that was killed", _REQUEST, Death("claimed"))
    yield _killed("right after claim", "of a run that waited", None, Death("claimed"))
    for nth in (1, 2, 3):
        yield _killed("before intent", f"{nth}", Death("append", INTENDED, nth))
        yield _killed("inside the intent's commit", f"{nth}", Death("written", INTENDED, nth))
        yield _killed("after intent", f"{nth}", Death("committed", INTENDED, nth))
    for kind, who, drive in KINDS:
        for at, group in (("asked", "after intent"), ("sent", "request sent"), ("answered", _UNRECORDED)):
            death = Death(f"{kind} {at}", who)
            yield _killed(group, f"{at}: {kind} of {who}", *([None] * (drive - 1)), death)
    for nth in (1, 2, 3):
        yield _killed(_UNRECORDED, f"about to record {nth}", Death("append", COMPLETED, nth))
        yield _killed("inside the result commit", f"begun {nth + 3}", Death("begun", nth=nth + 3))
        yield _killed("inside the result commit", f"written {nth}", Death("written", COMPLETED, nth))
        yield _killed("after the result commit, before publishing", f"{nth}", Death("committed", COMPLETED, nth))
    yield from _tools()
    yield from _people()
    for at in ("append", "written", "committed"):
        yield _killed("around the finish", at, None, Death(at, FINISHED))
    for at in ("keep", "kept"):
        yield _killed("around a file that code made", at, None, Death(at))
    yield from _recoveries()


def _tools() -> Iterator[Killed]:
    """Four side by side: made again, parked, approved first, looked up."""
    for tool in ("look", "pay", "order"):
        for at in ("asked", "sent", "answered"):
            yield _killed("a tool in doubt", f"{tool} {at}", Death(f"tool {at}", tool))
    yield Killed("a tool in doubt", "pay sent, made again unseen", [Death("tool sent", "pay")], careful=False)
    for at in ("asked", "sent", "answered"):
        yield _killed("a tool in doubt", f"send {at}", None, Death(f"tool {at}", "send"))


def _people() -> Iterator[Killed]:
    for at in ("append", "written", "committed"):
        yield _killed("between ask and release", f"ask {at}", Death(at, ASKED))
        yield _killed("between ask and release", f"release {at}", Death(at, PAUSED))
        yield _killed("between answer and wake", f"decision {at}", None, Death(at, DECIDED))
    yield Killed("between answer and wake", "by somebody who follows the run", at_once=True)
    for at in ("posting", "posted"):
        for nth in (1, 2, 3):
            yield Killed("between answer and wake", f"{at} {nth}", person=[Death(at, nth=nth)])


def _recoveries() -> Iterator[Killed]:
    for at in ("append", "written", "committed"):
        yield _killed("during recovery", f"resumed {at}", _REQUEST, Death(at, RESUMED))
        yield _killed("during recovery", f"turn begun again {at}", _REQUEST, Death(at, STARTED))
    yield _killed("during recovery", "asked again", _REQUEST, Death("model sent"), Death("model answered"))
    yield _killed("during recovery", "again and again", *[Death(nth=nth) for nth in (25, 4, 6, 8, 10, 12, 14)])
    doubt = [Death("tool sent", "pay"), Death("committed", ASKED), Death("committed", "effect.unknown")]
    yield _killed("during recovery", "of a tool in doubt", *doubt[:2])
    yield Killed("during recovery", "of a tool made again", [doubt[0], None, Death("tool sent", "pay")], careful=False)


_REQUEST = Death("model sent", nth=2)


def _killed(group: str, name: str, *driver: Death | None) -> Killed:
    return Killed(group, name, driver)


def seeds(first: int, count: int) -> Iterator[Killed]:
    """Random numbers of deaths at random boundaries or instants, then nobody disturbs it any more."""
    return (seed(number) for number in range(first, first + count))


def seed(number: int) -> Killed:
    """The same number, the same deaths."""
    chance = random.Random(number)
    driver = [_anywhere(chance) for _ in range(chance.randint(1, 4))]
    person = [Death(nth=chance.randint(1, 12))] if chance.random() < 0.3 else []
    careful, at_once = chance.random() < 0.5, chance.random() < 0.25
    return Killed("random seeds", str(number), driver, person, careful, at_once, sure=False)


def _anywhere(chance: random.Random) -> Death:
    if chance.random() < 0.25:
        return Death("", after_seconds=chance.uniform(0.005, 0.1))
    return Death(nth=chance.randint(1, 60))
