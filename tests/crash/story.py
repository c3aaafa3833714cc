"""The whole story of one run: driven, killed, answered and driven on until it is finished."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.crash.driving import answer_at_once, decide, drive
from tests.crash.fate import Death
from tests.crash.process import FINISHED, KILLED, OVER, WAITING, ended, fork, killed_after
from tests.crash.world import read_lines

LONGEST = 40
"""Processes that a story may take; more of them, and the run does not converge."""


Work = Callable[[Death | None], Coroutine[Any, Any, int]]


@dataclass(frozen=True)
class Told:
    """What happened to one run."""

    folder: Path
    fired: int = 0
    """Processes that were killed where they were to be."""
    drives: int = 0
    problems: tuple[str, ...] = ()
    """What the processes themselves came to that they should not have."""


@dataclass
class Story:
    """Kills happen in this order: each driver gets the next of `driver`, each of the person's processes of `person`."""

    folder: Path
    driver: Sequence[Death | None] = ()
    person: Sequence[Death | None] = ()
    careful: bool = True
    at_once: bool = False
    """Whether another person, or the same one elsewhere, answers while the run is still driven."""
    _fired: int = 0
    _drives: int = 0
    _problems: list[str] = field(default_factory=list)

    def tell(self) -> Told:
        """Play it to its end, which nobody disturbs any more."""
        self.folder.mkdir(parents=True, exist_ok=True)
        driver, person = list(self.driver), list(self.person)
        drives, answers = partial(drive, self.folder), partial(decide, self.folder, careful=self.careful)
        person_at_once = (
            fork(partial(answer_at_once, self.folder, careful=self.careful), self.folder) if self.at_once else 0
        )
        for _ in range(LONGEST):
            code = self._play(drives, driver.pop(0) if driver else None)
            self._drives += 1
            if code == WAITING:
                while self._play(answers, person.pop(0) if person else None) == KILLED:
                    pass
            elif code in (FINISHED, OVER):
                break
            elif code != KILLED:
                self._problems.append(f"a driver ended with {code}")
                break
        else:
            self._problems.append(f"not finished after {LONGEST} drives")
        if person_at_once and (code := ended(person_at_once)) != FINISHED:
            self._problems.append(f"whoever answered at once ended with {code}")
        said = self.folder / "stderr.txt"
        if said.exists() and (text := said.read_text().strip()):
            self._problems.append(f"a process said: {text}")
        return Told(self.folder, self._fired, self._drives, tuple(self._problems))

    def _play(self, work: Work, death: Death | None) -> int:
        before = len(self._deaths())
        pid = fork(partial(work, death), self.folder)
        if death is not None and death.after_seconds:
            code = killed_after(pid, death.after_seconds)
            self._fired += code == KILLED
            return code
        code = ended(pid)
        if code == KILLED and death is not None and len(self._deaths()) == before + 1:
            self._fired += 1
        elif code == KILLED:
            self._problems.append("a process was killed by somebody else")
        return code

    def _deaths(self) -> list[dict[str, object]]:
        return [line for line in read_lines(self.folder / "fate.jsonl") if "at" in line]
