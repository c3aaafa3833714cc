"""What the events of a run's journal say: one model per type."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from moot.agents.questions import Verdict
from moot.agents.ran import RanBlock, StoredFile
from moot.termination.outcome import Outcome

Message = object
"""An AutoGen message: itself while it is live, its JSON once it was read back."""


class Data(BaseModel):
    """What an event says."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")
    type: ClassVar[str] = "unknown"


class Spent(Data):
    """Tokens, dollars (None: the model has no known price) and code runs of one effect."""

    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0
    code_runs: int = 0


FREE = Spent()
"""Of an effect that takes nothing that is limited."""


class RunCreated(Data):
    """The first event: everything needed to say what this run is. `chat` is the resolved chat file, if it came from
    one.
    """

    type: ClassVar[str] = "run.created"
    chat: str
    participants: tuple[str, ...]
    limits: dict[str, float]
    models: dict[str, str] = {}
    model_kind: str = "none"
    inputs: dict[str, tuple[StoredFile, ...]] = {}
    """Input files by the participant whose workspace they are put into."""
    spec: dict[str, object] | None = None
    moot: str = ""


class RunStarted(Data):
    """Somebody began to drive the run."""

    type: ClassVar[str] = "run.started"
    owner: str = ""


class RunResumed(Data):
    """Somebody drives the run on, after a pause, a death or a failure of the surroundings."""

    type: ClassVar[str] = "run.resumed"
    owner: str = ""


class RunPaused(Data):
    """The run was left where it can be resumed. `waiting` names the requests that a person is to decide, if any."""

    type: ClassVar[str] = "run.paused"
    reason: str
    waiting: tuple[str, ...] = ()


class RunForked(Data):
    """Everything before was copied from another run, up to and including that turn; what it spent is not spent again.

    `edits` says what was changed in the copy, by its place: `model`, `task`, `turn 3`, `limits.turns`.
    """

    type: ClassVar[str] = "run.forked"
    parent: str
    turn: int
    head: int
    """The last `seq` that was copied."""
    edits: dict[str, str] = {}


class RunFinished(Data):
    """Why it ended and what came of it. `cause` names whose failure it was: `sandbox`, `model`, or empty."""

    type: ClassVar[str] = "run.finished"
    outcome: Outcome
    rule: str
    reason: str
    turn: int
    cause: str = ""
    result: str | None = None
    artifacts: tuple[StoredFile, ...] = ()
    turns: int = 0
    usage: Spent = Spent()
    digest: str = ""
    """Of the transcript: what `verify` compares with its own fold."""


class MessageSaid(Data):
    """Something said that is nobody's turn: the task, or a note to the participants in `to` (None: everybody)."""

    type: ClassVar[str] = "message"
    message: Message
    to: tuple[str, ...] | None = None


class SpeakerSelected(Data):
    """Who speaks in this step, and why. The chosen take the turns from the event's `turn` on, in this order."""

    type: ClassVar[str] = "speaker.selected"
    policy: str
    candidates: tuple[str, ...]
    chosen: tuple[str, ...]
    reason: str
    step: int
    attempts: int = 1
    fallback: str | None = None
    seconds: float = 0.0
    """What the choice took, where a model was asked."""


class TurnStarted(Data):
    """An attempt at a turn began. `seen` is how many messages of the inbox it is given; None: all that there are.

    A later attempt is given what the first one was: else its requests would be others, and nothing of what is recorded
    could be served.
    """

    type: ClassVar[str] = "turn.started"
    seen: int | None = None


class TurnFinished(Data):
    """The attempt that counts. `contexts` is what each context of the participant gained: a number is a message of
    its inbox, a text the key of a result, null that all before was forgotten, else the message itself. `state` is the
    key of the result that holds its changed state.
    """

    type: ClassVar[str] = "turn.finished"
    reply: Message
    contexts: dict[str, list[object]] = {}
    state: str | None = None
    seconds: float = 0.0


class TurnFailed(Data):
    """The attempt failed; another may follow."""

    type: ClassVar[str] = "turn.failed"
    error: str
    cause: str = ""
    seconds: float = 0.0


class TurnAbandoned(Data):
    """The attempt was given up without a failure of its own: stopped, out of money, or waiting for a person."""

    type: ClassVar[str] = "turn.abandoned"
    reason: str
    seconds: float = 0.0


class Inner(Data):
    """An inner event of a turn (a thought, a tool call): shown, told to nobody."""

    type: ClassVar[str] = "inner"
    message: Message


class EffectIntended(Data):
    """An effect is about to be performed; its worst case is reserved."""

    type: ClassVar[str] = "effect.intended"
    key: str
    kind: str
    digest: str
    reserved: Spent = Spent()


class EffectCompleted(Data):
    """An effect's result, settled: never performed again in this turn."""

    type: ClassVar[str] = "effect.completed"
    key: str
    result: object
    spent: Spent = Spent()


class EffectFailed(Data):
    """An effect raised; its reservation is given back, unless it was `performed` and only its result is of no use."""

    type: ClassVar[str] = "effect.failed"
    key: str
    error: str
    performed: bool = False


class EffectUnknown(Data):
    """An intent without a result: the other side may have seen it. `then` says what was done about it: `retry`, `park`
    (a person is asked), `found` (looked up), `given up`, or `raised`, where it is `error` that nobody knows the end by.
    What it could have cost counts against the limits, unless it was found.
    """

    type: ClassVar[str] = "effect.unknown"
    key: str
    then: str
    error: str = ""


class RequestAsked(Data):
    """A person is asked about exactly this payload. `key` is the question's place in the turn, `allow` what may be
    decided: `approve`, `edit`, `reject`, `respond`.
    """

    type: ClassVar[str] = "request.asked"
    id: str
    key: str
    kind: str
    digest: str
    payload: dict[str, object]
    ask: str = "anyone"
    allow: tuple[str, ...]


class RequestDecided(Data):
    """What was decided, and by whom. The first decision holds. Of an edit: `edited` stands in place of what was shown,
    `diff` is the difference, as a unified diff.
    """

    type: ClassVar[str] = "request.decided"
    id: str
    decision: Verdict
    text: str = ""
    by: str = ""
    edited: str = ""
    diff: str = ""
    digest: str
    command: int = 0


class RequestExpired(Data):
    """Nobody waits for this decision any more."""

    type: ClassVar[str] = "request.expired"
    id: str
    reason: str


class HumanSaid(Data):
    """Something a person said between two turns, to the participants in `to` (None: everybody)."""

    type: ClassVar[str] = "human.message"
    message: Message
    to: tuple[str, ...] | None = None
    by: str = ""
    command: int = 0


class CommandTaken(Data):
    """Somebody asked for something, and the driver took it in. `command` is its number among the run's commands."""

    command: int
    by: str = ""


class PauseAsked(CommandTaken):
    """Somebody asked the driver to leave the run where it can be resumed."""

    type: ClassVar[str] = "command.pause"
    now: bool = False


class StopAsked(CommandTaken):
    """Somebody asked for the run's end."""

    type: ClassVar[str] = "command.stop"
    reason: str = ""
    now: bool = False


class CommandRefused(CommandTaken):
    """A command that changed nothing, and why: too late, about something else, not understood."""

    type: ClassVar[str] = "command.refused"
    reason: str


class CodeProposed(Data):
    """A block of code is about to be run."""

    type: ClassVar[str] = "code.proposed"
    key: str
    language: str
    code: str


class CodeFinished(RanBlock):
    """What became of it; the output stands in the effect's result under the same key."""

    type: ClassVar[str] = "code.finished"
    key: str = ""


class BudgetWarning(Data):
    """A limit is spent to 80 %; the next speaker is told."""

    type: ClassVar[str] = "budget.warning"
    limit: str
    spent: str


class Warned(Data):
    """Something a person should know that did not end the run."""

    type: ClassVar[str] = "warning"
    text: str
    facts: dict[str, object] = {}


class Unknown(Data):
    """An event of a type this version does not know; consumers ignore it."""

    facts: dict[str, object] = {}


_MODELS: tuple[type[BaseModel], ...] = (
    RunCreated, RunStarted, RunResumed, RunPaused, RunFinished, MessageSaid, SpeakerSelected, TurnStarted, TurnFinished,
    TurnFailed, TurnAbandoned, Inner, EffectIntended, EffectCompleted, EffectFailed, EffectUnknown, CodeProposed,
    CodeFinished, BudgetWarning, Warned, RunForked, RequestAsked, RequestDecided, RequestExpired, HumanSaid, PauseAsked,
    StopAsked, CommandRefused,
)  # fmt: skip
TYPES: dict[str, type[BaseModel]] = {str(m.__dict__["type"]): m for m in _MODELS}
"""Every type of event and its model."""
