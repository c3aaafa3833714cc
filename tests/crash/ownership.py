"""Who drives: processes that are frozen and thawed, that compete for a run, that are woken a hundred times or never."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from moot.chats.errors import Fenced, UserError
from moot.chats.run import open_run
from tests.crash.driving import decide, drive
from tests.crash.fate import Death, Fate, FatefulStore
from tests.crash.points import ASKED, COMPLETED, INTENDED, PAUSED
from tests.crash.process import BUSY, FENCED, FINISHED, OVER, WAITING, Work, ended, fork, forked
from tests.crash.scenario import chat
from tests.crash.story import Story, Told
from tests.crash.world import read_lines

LEASE_SECONDS, LONG_SECONDS = 0.2, 300.0
"""Of a process that is to lose its run while it is frozen, and of one that is to keep it."""
PATIENCE_SECONDS = 0.2
WAKING, WAKES = 10, 10
"""So many processes open the run so many times each, all at once."""


@dataclass(frozen=True)
class Situation:
    """A story that is more than deaths. `play` gives what went wrong."""

    group: str
    name: str
    play: Callable[[Path], list[str]]
    deaths: int = 0
    sure: bool = True

    def tell(self, folder: Path) -> Told:
        """Play it, and then drive the run to its end."""
        folder.mkdir(parents=True)
        problems = self.play(folder)
        told = Story(folder).tell()
        return replace(told, fired=told.fired + self.deaths, problems=(*problems, *told.problems))


def situations() -> Iterator[Situation]:
    """All of them."""
    where = {
        "about to record a result": Death("append", COMPLETED, 2),
        "waiting for a model": Death("model sent", "coder"),
        "with what tools answered": Death("tool answered", "order"),
        "about to perform": Death("committed", INTENDED),
        "about to ask": Death("append", ASKED),
        "about to release": Death("append", PAUSED),
    }
    for name, death in where.items():
        yield Situation("frozen past its lease", name, partial(_frozen, death=death), deaths=1)
        yield Situation("frozen, thawed while another drives", name, partial(_alternating, death=death), deaths=2)
    yield Situation("frozen in the middle of a commit", "others wait in vain", _frozen_in_commit, deaths=1)
    yield Situation(
        "answered while it is driven", "before it waits", partial(_answered, Death("committed", ASKED), WAITING)
    )
    yield Situation(
        "answered while it is driven", "about to release", partial(_answered, Death("append", PAUSED), FINISHED)
    )
    yield Situation("two drivers at once", "one refused", _two_drivers)
    yield Situation("two drivers at once", "a race for one claim", _race)
    yield Situation("woken a hundred times at once", "after the answers", _woken)
    yield Situation("never woken", "waits and holds nothing", _never_woken)


def _frozen(folder: Path, death: Death) -> list[str]:
    """Another process takes the run over and finishes it before the first one is thawed."""
    sleeper = _stopped(folder, death)
    _taken_over(folder, None)
    told = Story(folder).tell()
    return [*told.problems, *_thawed(folder, sleeper)]


def _alternating(folder: Path, death: Death) -> list[str]:
    """The other one is in the middle of something when the first one is thawed."""
    sleeper = _stopped(folder, death)
    other = _taken_over(folder, Death("append", nth=2, signal=signal.SIGSTOP))
    problems = _thawed(folder, sleeper)
    os.kill(other, signal.SIGCONT)
    code = ended(other)
    return problems if code == WAITING else [*problems, f"whoever took over ended with {code}"]


def _stopped(folder: Path, death: Death, lease_seconds: float = LEASE_SECONDS) -> int:
    """A driver that is frozen there."""
    work = partial(drive, folder, replace(death, signal=signal.SIGSTOP), lease_seconds=lease_seconds)
    pid = fork(work, folder)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"it was to be frozen: {status}"
    return pid


def _taken_over(folder: Path, death: Death | None) -> int:
    """Refused until the lease is over; then it drives on, as far as it is to get: its pid."""
    while True:
        pid = fork(partial(drive, folder, death), folder)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if os.WIFSTOPPED(status) or os.waitstatus_to_exitcode(status) != FENCED:
            return pid


def _thawed(folder: Path, pid: int) -> list[str]:
    """It finds out that it lost the run: nothing is written, nothing performed, nothing said."""
    before = _traces(folder)
    os.kill(pid, signal.SIGCONT)
    code = ended(pid)
    problems = [] if code == FENCED else [f"the thawed process ended with {code}"]
    after = _traces(folder)
    left = {name: after[name] - before[name] for name in before if after[name] != before[name]}
    return problems + [f"the thawed process left in the {name}: {', '.join(traces)}" for name, traces in left.items()]


def _frozen_in_commit(folder: Path) -> list[str]:
    """It has the file to itself: others are told so after their patience, and it goes on as if nothing had been."""
    sleeper = _stopped(folder, Death("written", COMPLETED, 2))
    before = _traces(folder)
    code = FENCED
    while code == FENCED:  # until its lease is over
        code = forked(partial(drive, folder, None, patience_seconds=PATIENCE_SECONDS), folder)
    problems = [] if code == BUSY else [f"a file that is busy: the driver ended with {code}"]
    if _traces(folder) != before:
        problems.append("whoever waited in vain left traces")
    os.kill(sleeper, signal.SIGCONT)
    code = ended(sleeper)
    return problems if code == WAITING else [*problems, f"the thawed process ended with {code}"]


def _traces(folder: Path) -> dict[str, Counter[str]]:
    with closing(sqlite3.connect(folder / "moot.db")) as db:
        rows = Counter(f"event {seq} {kind}" for seq, kind in db.execute("SELECT seq, type FROM event"))
    return {"journal": rows, "world": Counter(map(json.dumps, read_lines(folder / "world.jsonl")))}


def _answered(death: Death, want: int, folder: Path) -> list[str]:
    """Whoever drives takes the answers in by itself, also where they come with the very last word before it waits."""
    driver = _stopped(folder, death, LONG_SECONDS)
    answered = forked(partial(decide, folder, None), folder)
    os.kill(driver, signal.SIGCONT)
    code = ended(driver)
    with closing(sqlite3.connect(folder / "moot.db")) as db:
        ((decided,),) = db.execute("SELECT count(*) FROM event WHERE type = 'request.decided'")
    if (answered, code) == (FINISHED, want) and decided:
        return []
    return [f"the person ended with {answered}, the driver with {code}, {decided} decisions were taken in"]


def _two_drivers(folder: Path) -> list[str]:
    """One is in the middle of something; the other one is told whose the run is, and touches nothing."""
    first = _stopped(folder, Death("model sent", "coder"), LONG_SECONDS)
    before = _traces(folder)
    code = forked(partial(drive, folder, None), folder)
    problems = [] if code == FENCED else [f"the second driver ended with {code}"]
    if _traces(folder) != before:
        problems.append("the second driver left traces")
    os.kill(first, signal.SIGCONT)
    code = ended(first)
    return problems if code == WAITING else [*problems, f"the first driver ended with {code}"]


def _race(folder: Path) -> list[str]:
    """Several claim at the same time; whoever gets it is stopped right there, so that it cannot give it back."""
    forked(partial(drive, folder, None), folder)
    forked(partial(decide, folder, None), folder)
    racing = [fork(_at_once(folder, go := os.pipe()), folder)]
    racing += [fork(_at_once(folder, go), folder) for _ in range(5)]
    os.close(go[0])
    os.close(go[1])
    codes = []
    for pid in racing:
        _, status = os.waitpid(pid, os.WUNTRACED)
        codes.append("drives" if os.WIFSTOPPED(status) else str(os.waitstatus_to_exitcode(status)))
    driving = [pid for pid, code in zip(racing, codes, strict=True) if code == "drives"]
    for pid in driving:
        os.kill(pid, signal.SIGCONT)
        codes.append(str(ended(pid)))
    want = Counter({"drives": 1, str(FENCED): 5, str(FINISHED): 1})
    return [] if Counter(codes) == want else [f"of six that claimed at once: {codes}"]


def _at_once(folder: Path, go: tuple[int, int]) -> Work:
    async def work() -> int:
        os.close(go[1])
        os.read(go[0], 1)  # nothing comes: it ends when nobody can write any more
        return await drive(folder, Death("claimed", signal=signal.SIGSTOP))

    return work


def _woken(folder: Path) -> list[str]:
    """One of the hundred drives it to the end; the others are refused, at once or because it is over."""
    forked(partial(drive, folder, None), folder)
    forked(partial(decide, folder, None), folder)
    go = os.pipe()

    async def work() -> int:
        os.close(go[1])
        os.read(go[0], 1)
        return sum(await asyncio.gather(*(_wake(folder) for _ in range(WAKES))))

    waking = [fork(work, folder) for _ in range(WAKING)]
    os.close(go[0])
    os.close(go[1])
    drove = [ended(pid) for pid in waking]
    problems = [] if sorted(drove) == [0] * (WAKING - 1) + [1] else [f"of {WAKING * WAKES} wakes drove: {drove}"]
    code = forked(partial(drive, folder, None), folder)
    return problems if code == OVER else [*problems, f"whoever came last ended with {code}"]


async def _wake(folder: Path) -> int:
    """How many runs it drove."""
    fate = Fate(folder)
    store = FatefulStore(folder / "moot.db", fate)
    try:
        (name,) = await store.names()
        await (await open_run(name, chat=chat(folder, fate), store=store)).finish()
    except Fenced:
        return 0
    except UserError as refused:
        assert "is finished" in str(refused)  # noqa: PT017 - it is one of two things that may happen
        return 0
    finally:
        await store.close()
    return 1


def _never_woken(folder: Path) -> list[str]:
    """It stays as it is: no lease, no owner, no process."""
    code = forked(partial(drive, folder, None), folder)
    problems = [] if code == WAITING else [f"it was to wait, and ended with {code}"]
    with closing(sqlite3.connect(folder / "moot.db")) as db:
        ((status, owner),) = db.execute("SELECT status, owner FROM run WHERE head > 0")
    if (status, owner) != ("waiting", None):
        problems.append(f"a run that waits is {status}, held by {owner}")
    before = _traces(folder)
    code = forked(partial(drive, folder, None), folder)  # woken without an answer, it goes on waiting
    performed = _traces(folder)["world"] - before["world"]
    if code != WAITING or performed:
        problems.append(f"woken without an answer it ended with {code} and performed {performed}")
    return problems
