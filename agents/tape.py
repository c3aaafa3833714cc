"""Tapes: what real models answered, written down once and given again without a key, a network or a cost.

A tape is JSONL. The first line is a header, every other one a call: who asked (`part`), the request in readable form,
the result. A request that goes on from an earlier one of the same participant names it (`follows`) and holds only the
messages that are new, so that a tape grows with what was said. It may be edited: the requests themselves are compared,
`digest` only names a line. Words that occur in several lines are to be changed in all of them (search and replace).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from autogen_core.models import CreateResult, ModelInfo
from pydantic import BaseModel, ConfigDict, ValidationError

from moot.agents.errors import TapeError
from moot.agents.origins import REPLAY, taped
from moot.agents.tape_request import Request, asked, difference, likeness

VERSION = 1
_NOTHING = Request((), {}, b"")


class Header(BaseModel):
    """The first line. With `repeat` the last reply to a request is given as often as it is asked for."""

    tape: Literal["moot"] = "moot"
    version: int = VERSION
    made: str = ""
    """When, in UTC."""
    repeat: bool = False


class Line(BaseModel):
    """Every other line, as it is written. `take` tells one participant in one process from all others."""

    model_config = ConfigDict(extra="forbid")

    part: str
    take: str = ""
    at: str = ""
    """When the reply was there, in UTC."""
    model: str = ""
    digest: str = ""
    follows: str | None = None
    messages: list[dict[str, object]]
    options: dict[str, object] = {}
    result: CreateResult
    most_output_tokens: int | None = None
    """What was reserved for the reply."""
    info: dict[str, bool | str] = {}
    """What the model can do, as AutoGen's `ModelInfo`."""


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call, and the number of its line, from 1."""

    number: int
    line: Line
    request: Request

    @property
    def info(self) -> ModelInfo | None:
        """What the model could do, where the line says so."""
        said = self.line.info
        return cast(ModelInfo, said) if ModelInfo.__required_keys__ <= said.keys() else None


@dataclass(frozen=True, slots=True)
class Tape:
    """A tape that was read. `torn` says that its last line was cut off, as a killed process leaves it: not read."""

    name: str
    text: str
    repeat: bool
    calls: tuple[Call, ...]
    found: Mapping[str, tuple[Call, ...]]
    """The calls by digest, in the order in which they are given again."""
    torn: bool
    path: Path | None = None

    @classmethod
    def read(cls, path: Path, name: str = "") -> Tape:
        """The tape in that file; `name` is what people call it. Raises TapeError."""
        called = name or str(path)
        try:
            text = _decoded(path.read_bytes())
        except FileNotFoundError:
            raise TapeError(f"no tape {called!r}: there is no file {path}; record one with --record") from None
        except IsADirectoryError:
            raise TapeError(f"tape {called!r} is a directory, not a file") from None
        except UnicodeDecodeError:
            raise TapeError(f"{called!r} is no tape: it is not UTF-8 text") from None
        except (OSError, ValueError) as error:
            raise TapeError(f"cannot read tape {called!r}: {getattr(error, 'strerror', None) or error}") from error
        return cls.parse(text, called, path.absolute())

    @classmethod
    def parse(cls, text: str, name: str = "tape", path: Path | None = None) -> Tape:
        """The tape of that text. Raises TapeError with the line that is wrong."""
        if not text.strip():
            raise TapeError(f"tape {name!r} is empty; record one with --record")
        lines = text.split("\n")
        last = lines.pop()  # empty, unless it was cut off or the file was edited
        torn = bool(last.strip()) and not _is_json(last)
        lines += [last] if last.strip() and not torn else []
        header = read_header(lines[0], name)
        calls = _calls(lines, name)
        if not calls:
            raise TapeError(f"tape {name!r} holds no call: nothing was recorded yet; record with --record")
        return cls(name, text, header.repeat, calls, _found(calls), torn, path)

    @property
    def parts(self) -> tuple[str, ...]:
        """Whose calls are on it."""
        return tuple(dict.fromkeys(call.line.part for call in self.calls))

    def of(self, part: str) -> tuple[Call, ...]:
        """The calls of one participant."""
        return tuple(call for call in self.calls if call.line.part == part)

    def called(self, part: str) -> str:
        """The name of the model that a participant has by this tape; says whose replies these are, and of when."""
        calls = self.of(part) or self.calls
        models = [call.line.model or "an unnamed model" for call in calls]
        return taped(Path(self.name).name, models, [call.line.at[:10] for call in calls if call.line.at])

    def miss(self, part: str, request: Request) -> TapeError:
        """That there is no reply to this request, and in what it differs from the nearest that is recorded."""
        mine = self.of(part)
        if not mine:
            has = ", ".join(each or "(no name)" for each in self.parts)
            return TapeError(
                f"{REPLAY}{self.name} has no call of {part!r}; it has calls of {has}. Record again with --record"
            )
        nearest = max(mine, key=lambda call: likeness(call.request, request))
        return TapeError(
            f"{REPLAY}{self.name} has no reply to what {part!r} asks now; the nearest recorded request, "
            f"line {nearest.number}, {difference(nearest.request, request, nearest.number)}\n"
            "Record again with --record, or edit the tape"
        )


def read_header(line: str, name: str) -> Header:
    """The first line of a tape. Raises TapeError where it is none, or of a version this one does not read."""
    try:
        found = json.loads(line)
        if isinstance(found, dict) and found.get("tape") == "moot" and found.get("version") != VERSION:
            raise TapeError(f"tape {name!r} has version {found.get('version')!r}; this moot reads version {VERSION}")
        if isinstance(found, dict) and "tape" in found:
            return Header.model_validate(found)
    except (ValueError, RecursionError):  # also pydantic's
        pass
    raise TapeError(f"{name!r} is no tape: its first line is not a tape's header")


def _calls(lines: Sequence[str], name: str) -> tuple[Call, ...]:
    calls: list[Call] = []
    named: dict[str, Request] = {}
    for number, text in enumerate(lines[1:], start=2):
        if not text.strip():
            continue
        line = _line(text, f"{name}:{number}")
        if line.follows is not None and line.follows not in named:
            raise TapeError(f"{name}:{number}: follows {line.follows!r}, which is no earlier line")
        before = named[line.follows] if line.follows is not None else _NOTHING
        request = asked(before, line.messages, line.options)
        named[line.digest] = request
        calls.append(Call(number, line, request))
    return tuple(calls)


def _line(text: str, place: str) -> Line:
    try:
        return Line.model_validate(json.loads(text))  # pydantic itself cannot read half a character
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"{step}: " for step in first["loc"])
        raise TapeError(f"{place}: no recorded call: {where}{first['msg']}") from None
    except (ValueError, RecursionError):
        raise TapeError(f"{place}: no recorded call: the line is not JSON") from None


def _found(calls: Sequence[Call]) -> dict[str, tuple[Call, ...]]:
    """The calls by digest. What a process was answered as the last thing before it was killed, it had not yet made
    known: the reply that its successor got to the same request is the one that the chat went on with.
    """
    found: dict[str, list[Call]] = {}
    end = {call.line.take: call.number for call in calls}
    last: dict[str, tuple[str, Call]] = {}
    for call in calls:
        digest = call.request.digest(call.line.part)
        same = found.setdefault(digest, [])
        before = last.get(call.line.part)
        if before is not None and before[0] == digest and end[before[1].line.take] == before[1].number:
            same.remove(before[1])  # its process never asked again, and another one went on from there
        same.append(call)
        last[call.line.part] = (digest, call)
    return {digest: tuple(same) for digest, same in found.items()}


def _decoded(data: bytes) -> str:
    """The text; what a killed process left of the last line may end within a character."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if data[:1] == b"{" and 0 < data.rfind(b"\n") < error.start:
            return data.decode(errors="replace")
        raise


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
