"""One turn of a run as people read it: what was said, what was called, what was run and what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from moot.agents.ran import RanBlock
from moot.chats import event_types as ev
from moot.chats.calls import calls_in, inner_lines
from moot.chats.clean import shown_json
from moot.chats.event_types import SpeakerSelected
from moot.termination.ledger import Usage


@dataclass(slots=True)
class Block:
    """One block of code: what was to be run, and what became of it (None: not known)."""

    key: str
    language: str = ""
    code: str = ""
    ran: RanBlock | None = None
    own: bool = True
    """Whether one of Moot's executors ran it: the turn's reply is then nothing but a report of it. Of others, such as
    AutoGen's `CodeExecutorAgent`, only exit code and output are known.
    """
    unread: str = ""
    """The recorded result, where it has a shape that this version does not know."""


@dataclass(slots=True)
class Telling:
    """One turn: who, why, what was said, what was run, and what it took."""

    number: int
    participant: str
    why: SpeakerSelected | None = None
    attempt: int = 0
    started: float = 0.0
    finished: bool = False
    text: str = ""
    seconds: float = 0.0
    blocks: dict[str, Block] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    choosing: Usage = field(default_factory=Usage)
    """What picking this speaker took, where a model did."""
    inner: list[str] = field(default_factory=list)
    """What it did before its reply, a line each: a later attempt repeats what an earlier one did, and is told once."""
    calls: dict[str, str] = field(default_factory=dict)
    """The tool calls it made, by their ids."""
    _before: dict[str, Block] = field(default_factory=dict)
    """Blocks that the attempt before this one ran: their results are recorded once."""
    _again: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """What earlier attempts did and this one has not done again."""
    _told: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _programs: tuple[str, str] = ("", "")
    """Language and text of what was written to be run next."""

    def begin(self, attempt: int, ts: float) -> None:
        """Another attempt. What others than our own executors ran stays: it is not run again."""
        self.attempt, self.started, self._programs = attempt, ts, ("", "")
        self._before = {key: block for key, block in self.blocks.items() if block.ran is not None}
        self.blocks = {key: block for key, block in self.blocks.items() if not block.own}
        self._again = self._told.copy()

    def hear(self, data: object) -> None:
        """What happened on the way to the reply."""
        match data:
            case ev.Inner(message=message):
                self._hear(message)
            case ev.CodeProposed() as proposed:
                self._propose(proposed)
            case ev.CodeFinished() as finished:
                self._ran(finished)
            case _:
                pass

    def _hear(self, message: object) -> None:
        """An inner event of this attempt."""
        self.calls.update(calls_in(message))
        programs = _of(message, "code_blocks")
        if isinstance(programs, list) and programs:
            languages = dict.fromkeys(str(_of(one, "language") or "") for one in programs)
            self._programs = ", ".join(languages), "\n\n".join(str(_of(one, "code") or "") for one in programs)
        elif _of(message, "result") is not None and any(not block.own for block in self.blocks.values()):
            return  # what a program came to stands with the program
        lines = inner_lines(message)
        if self._again[lines]:
            self._again[lines] -= 1
            return
        self._told[lines] += 1
        self.inner += lines

    def _propose(self, data: ev.CodeProposed) -> None:
        """One of Moot's executors is about to run that, or did so in an earlier attempt."""
        before = self._before.get(data.key)
        known = before.ran if before is not None and before.code == data.code else None
        self.blocks[data.key] = Block(data.key, data.language, data.code, known)

    def result(self, key: str, result: object) -> None:
        """What running code came to, of whatever shape it is."""
        try:
            self.blocks.setdefault(key, Block(key)).ran = RanBlock.read(result)
        except (ValueError, TypeError):
            self._others(key, result)

    def _others(self, key: str, result: object) -> None:
        language, code = self._programs
        self._programs = "", ""
        block = self.blocks.setdefault(key, Block(key, language, code))
        block.own = False
        exit_code, output = _of(result, "exit_code"), _of(result, "output")
        if isinstance(exit_code, int) and isinstance(output, str):
            block.ran = RanBlock(language=block.language, exit_code=exit_code, stdout=output)
        else:
            block.unread = _shown(result)

    def _ran(self, data: ev.CodeFinished) -> None:
        """What is said of a block once it has run, or was found not to be run."""
        block = self.blocks.setdefault(data.key, Block(data.key, data.language))
        if block.ran is None:  # a block that never ran has no effect
            block.ran = data

    @property
    def reported(self) -> bool:
        """Whether its blocks of code say all that its text says."""
        blocks = list(self.blocks.values())
        if not blocks or all(block.own for block in blocks):
            return bool(blocks)
        last = blocks[-1].ran
        return last is not None and self.text.strip() == last.stdout.strip()


def _of(thing: object, name: str) -> object:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _shown(result: object) -> str:
    try:
        return shown_json(result)
    except (TypeError, ValueError):
        return str(result)
