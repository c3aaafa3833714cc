"""The JSON Schema of a journal, for whoever reads one with a program of their own."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field

from moot.chats.event_types import TYPES
from moot.chats.events import VERSION


class _Envelope(BaseModel):
    """One event of a run's journal."""

    v: int = Field(VERSION, description="Version of the envelope; every older one can still be read.")
    seq: int = Field(description="Dense, from 1.")
    ts: float = Field(description="Seconds since the epoch by the clock of the machine that drives the run.")
    run: str
    turn: int = Field(description="0 outside turns.")
    attempt: int = Field(description="Which try at the turn; only the one that finished counts.")
    type: str
    participant: str
    span: str = Field(description="The key of the effect the event belongs to, or empty.")
    data: dict[str, object]


def event_schema() -> Mapping[str, object]:
    """The JSON Schema of the journal: the envelope, and one definition per type of event."""
    types = {name: model.model_json_schema() for name, model in sorted(TYPES.items())}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_Envelope.model_json_schema(), "types": types}
