"""What somebody outside asks of a run: posted to the store from any process, taken by the driver at turn boundaries."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from moot.agents.json_text import whole_characters
from moot.agents.questions import Verdict

Words = Annotated[str, AfterValidator(whole_characters)]
"""What a person writes: a half of a character, as file names and pasted text bring them, could not be stored."""


class Ask(BaseModel):
    """A command and who gave it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    by: Words = ""


class Say(Ask):
    """Say something to everybody, or to the participants in `to`, before the next turn."""

    do: Literal["say"] = "say"
    text: Words
    to: tuple[str, ...] | None = None


class Pause(Ask):
    """Leave the run where it can be resumed: after the turns that are under way, or `now`."""

    do: Literal["pause"] = "pause"
    now: bool = False


class End(Ask):
    """End the run for good, as `stopped`: after the turns that are under way, or `now`."""

    do: Literal["stop"] = "stop"
    reason: Words = ""
    now: bool = False


class Decide(Ask):
    """Answer a question. `digest` is that of the question as it was shown: another one, and nothing is decided.
    `edited`: of an edit, what stands in place of what was shown.
    """

    do: Literal["decide"] = "decide"
    request: str
    decision: Verdict
    text: Words = ""
    edited: Words = ""
    digest: str


Command: TypeAlias = Say | Pause | End | Decide
_COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="do")])


def read_command(text: str) -> Command | None:
    """The command that was posted, None where it is none that this version knows."""
    try:
        return _COMMAND.validate_json(text)
    except ValidationError:
        return None
