"""What the container may say, as strict models. Whatever does not fit is a violation, and the container is ended.

The frames themselves are in `runner/frames.py`, which both ends share. The container's side is written by us but runs
beside code that is not: nothing it says is believed before it has been checked here for type, size and range.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from moot.sandbox.errors import ProtocolViolation
from moot.sandbox.runner.capture import HEAD, TAIL
from moot.sandbox.runner.supervisor import VERSION
from moot.sandbox.runner.worker import MAX_VALUE
from moot.sandbox.runner.workspace import MAX_LISTED

MAX_CODE = 960 << 10
"""Bytes of one block; with its head it must fit a frame."""
CHUNK = 512 << 10
"""Bytes of a file in one frame."""
MOST_FILES = MAX_LISTED
"""Files that one block or one listing may tell of."""

Note = Literal["", "maybe", "name", "depth", "closed", "irregular"]
Id = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=0, le=1 << 50)]
Name = Annotated[str, Field(min_length=1, max_length=4096)]


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Hello(_Event):
    """First words: the runner is there."""

    ev: Literal["hello"]
    version: Annotated[int, Field(ge=VERSION, le=VERSION)]
    python: Annotated[str, Field(max_length=40)]


class Out(_Event):
    """Output of a block as it comes, in the body."""

    ev: Literal["out"]
    id: Id
    stream: Literal["stdout", "stderr"]


class Files(_Event):
    """Part of a listing: (name, size, note). Notes say why something is odd, or that it only may have changed."""

    ev: Literal["files"]
    id: Id
    files: Annotated[list[tuple[Name, Bytes, Note]], Field(max_length=MOST_FILES)]


class Reply(_Event):
    """The answer to put, get, list and ping."""

    ev: Literal["reply"]
    id: Id
    size: Bytes = 0
    cut: bool = False
    error: Annotated[str, Field(max_length=300)] | None = None
    errno: Annotated[int, Field(ge=0, le=4096)] = 0


class Done(_Event):
    """The end of a block. The body holds `parts`: stdout head and tail, stderr head and tail, value."""

    ev: Literal["done"]
    id: Id
    exit_code: Annotated[int, Field(ge=0, le=255)]
    stopped: Literal["", "timeout", "interrupt", "output"]
    has_value: bool
    value_cut: bool
    parts: Annotated[list[Bytes], Field(min_length=5, max_length=5)]
    totals: Annotated[list[Bytes], Field(min_length=2, max_length=2)]
    state_lost: bool
    oom: bool
    strays: Annotated[int, Field(ge=0, le=1 << 22)]
    cut: bool
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


Event = Hello | Out | Files | Reply | Done
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="ev")])
_PART_LIMITS = (HEAD, TAIL, HEAD, TAIL, 4 * MAX_VALUE)


def parse_event(head: bytes) -> Event:
    """The event in a frame's head; ProtocolViolation if it is none."""
    try:
        return _EVENT.validate_json(head)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ProtocolViolation(f"the container sent an event we do not know: {first['msg']}") from None


def split_body(done: Done, body: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """The five parts of a `done` frame's body; ProtocolViolation if the lengths are not true."""
    if sum(done.parts) != len(body) or any(size > most for size, most in zip(done.parts, _PART_LIMITS, strict=True)):
        raise ProtocolViolation("the container sent a result whose parts do not add up")
    ends = [sum(done.parts[: index + 1]) for index in range(5)]
    starts = [0, *ends[:4]]
    a, b, c, d, e = (body[start:end] for start, end in zip(starts, ends, strict=True))
    return a, b, c, d, e
