"""The events of a run's journal: the envelope they travel in, and how their data is written and read.

Envelope: `{v, seq, ts, run, turn, attempt, type, participant, span, data}`. `seq` is dense and starts at 1, `ts` is
seconds since the epoch by the clock of the machine that drives the run, `turn` is 0 outside turns, `span` is the key of
the effect an event belongs to. Consumers ignore types they do not know. `v` rises only on a breaking change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from moot.agents.json_text import json_of
from moot.agents.written import writable
from moot.chats.event_types import TYPES, HumanSaid, Inner, MessageSaid, TurnFinished, Unknown

VERSION = 1
_SAYS: dict[type[BaseModel], str] = {
    TurnFinished: "reply", Inner: "message", MessageSaid: "message", HumanSaid: "message"
}  # fmt: skip
"""Which events hold a message, and where."""


class Event(NamedTuple):
    """One line of the journal. `data` is one of the models of `event_types`; the journal gives `seq` and `ts`."""

    type: str
    turn: int
    attempt: int
    participant: str
    data: BaseModel
    span: str = ""
    seq: int = 0
    ts: float = 0.0

    def envelope(self, run: str) -> dict[str, object]:
        """As exports and `--display jsonl` show it."""
        return {
            "v": VERSION, "seq": self.seq, "ts": self.ts, "run": run, "turn": self.turn, "attempt": self.attempt,
            "type": self.type,
            "participant": self.participant, "span": self.span, "data": json.loads(dumped(self.data)),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Draft:
    """Text as it comes, shown and never stored. `kind` is `token`, `stdout` or `stderr`."""

    turn: int
    attempt: int
    participant: str
    kind: str
    text: str


def dumped(data: BaseModel) -> str:
    """An event's data as JSON that can be read back. Raises ValueError for what is no data, or could not be."""
    if isinstance(data, Unknown):
        return json.dumps(data.facts)
    place = _SAYS.get(type(data))
    if place is not None and (said := writable(live := getattr(data, place))) is not live:
        data = data.model_copy(update={place: said})
    return json_of(data)


def read(type: str, text: str) -> BaseModel:
    """An event's data from JSON. A type that is not known gives `Unknown`. Raises ValueError for no such data."""
    model = TYPES.get(type)
    if model is not None and "\\ud" not in text:
        try:
            return model.model_validate_json(text)
        except ValidationError:  # perhaps nested deeper than its parser goes; it is twice as fast as `json`
            pass
    try:
        value = json.loads(text)  # half of a character, too, is nothing that pydantic's own parser reads
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return Unknown(facts=value) if model is None else model.model_validate(value)
