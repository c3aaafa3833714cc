"""Plays cases in several processes at once and has each judged by the checker, a program of its own."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.crash.driving import decide, drive
from tests.crash.process import FINISHED, LONGEST_SECONDS, WAITING, ended
from tests.crash.story import Told

CHECKER = Path(__file__).with_name("checker.py")
EXPECTED = "undisturbed"


@dataclass(frozen=True)
class Result:
    """What became of one case."""

    group: str
    name: str
    folder: str
    deaths: int
    fired: int
    drives: int
    resumed: bool
    lost_turns: int
    duplicated_turns: int
    marked: int
    unmarked: int
    problems: list[str] = field(default_factory=list)


class Case(Protocol):
    """A story to be told in a folder of its own, that ends with the run finished."""

    @property
    def group(self) -> str:
        """What it is counted with."""
        ...

    @property
    def name(self) -> str:
        """Which one of them it is."""
        ...

    @property
    def deaths(self) -> int:
        """How many there are to be."""
        ...

    @property
    def sure(self) -> bool:
        """Whether all of them come about; random ones may come too late."""
        ...

    def tell(self, folder: Path) -> Told:
        """Play it."""
        ...


def play(cases: Sequence[Case], home: Path, *, workers: int = 2, keep: bool = False) -> Iterator[Result]:
    """Results as they come. The folders of what went well are removed, unless all are to be kept."""
    undisturbed(home / EXPECTED)
    gc.collect()
    gc.freeze()  # what is shared with the forks stays shared
    pipes: list[int] = []
    pids: list[int] = []
    for number in range(workers):
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            os.close(reading)
            _work(list(enumerate(cases))[number::workers], home, writing, keep=keep)
        os.close(writing)
        pipes.append(reading)
        pids.append(pid)
    yield from (Result(**json.loads(line)) for line in _lines(pipes))
    for pid in pids:
        if code := ended(pid):
            raise RuntimeError(f"a worker ended with {code}")


def undisturbed(folder: Path) -> None:
    """The run as it is when nobody dies. In this process: whatever it imports on the way is there for all forks."""
    folder.mkdir(parents=True)
    codes = [asyncio.run(asyncio.wait_for(work(folder, None), LONGEST_SECONDS)) for work in (drive, decide, drive)]
    assert codes == [WAITING, FINISHED, FINISHED], codes
    assert threading.active_count() == 1, "a process with threads must not fork"


def _lines(pipes: list[int]) -> Iterator[bytes]:
    left = dict.fromkeys(pipes, b"")
    while left:
        for ready in select.select([*left], [], [])[0]:
            data = os.read(ready, 65536)
            *lines, left[ready] = (left[ready] + data).split(b"\n")
            if not data:
                os.close(ready)
                del left[ready]
            yield from lines


def _work(cases: Sequence[tuple[int, Case]], home: Path, writing: int, *, keep: bool) -> None:
    code = 1
    try:
        command = [sys.executable, "-I", str(CHECKER), str(home / EXPECTED), "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as checker:
            for number, case in cases:
                result = _judged(case, _tell(case, home / f"{number:04d}"), checker)
                if not (result.problems or keep):
                    shutil.rmtree(result.folder)
                os.write(writing, json.dumps(asdict(result)).encode() + b"\n")
            assert checker.stdin is not None
            checker.stdin.close()
        code = 0
    except BaseException:  # noqa: BLE001 - the fork must not go on in the place of its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _tell(case: Case, folder: Path) -> Told:
    shutil.rmtree(folder, ignore_errors=True)
    return case.tell(folder)


def _judged(case: Case, told: Told, checker: subprocess.Popen[str]) -> Result:
    assert checker.stdin is not None
    assert checker.stdout is not None
    checker.stdin.write(f"{told.folder}\n")
    checker.stdin.flush()
    verdict: dict[str, Any] = json.loads(checker.stdout.readline())
    problems = [*told.problems, *(f"{kind}: {words}" for kind, words in verdict["findings"])]
    if case.sure and told.fired != case.deaths:
        problems.append(f"{told.fired} of {case.deaths} deaths came about")
    return Result(
        case.group, case.name, str(told.folder), case.deaths, told.fired, told.drives, not problems,
        verdict["lost_turns"], verdict["duplicated_turns"], verdict["marked"], verdict["unmarked"], problems,
    )  # fmt: skip
