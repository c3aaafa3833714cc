"""The chat file, version 1, as data: what may be written where. `spec.load_chat_file` reads one and checks the rest.

The texts under the fields are the descriptions that `moot schema` gives to editors.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from moot.termination.outcome import Outcome

Text = Annotated[str, Field(min_length=1)]
_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"
Name = Annotated[str, Field(pattern=_NAME)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)]
Size = Annotated[str, Field(pattern=r"^[0-9]+ *[bkmgBKMG]?$", examples=["64k", "512m", "1g"])]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Part(BaseModel):
    """What all parts have in common: unknown keys are refused, nothing is converted, values are final."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class InputEntry(Part):
    """A value that texts refer to as `{name}`; set with `--set inputs.NAME=...`."""

    type: Literal["text", "number", "file"] = "text"
    """What the value must be. A file must exist; in texts it appears under its base name, as in the sandbox."""
    default: str | int | float | None = None
    """Used where nothing else is set; a file is looked for beside the chat file. Without one the input must be set."""
    description: Text | None = None
    """What the input is for."""


class PriceEntry(Part):
    """What a model costs that no price list knows."""

    input_per_million: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """US dollars for a million tokens read."""
    output_per_million: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """US dollars for a million tokens written."""


class ModelEntry(Part):
    """A model behind any address that speaks OpenAI's protocol."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$", examples=["http://localhost:11434/v1"])]
    """Where the server answers. No user or password in it."""
    model: Text
    """The name the server knows the model by."""
    api_key: Annotated[str, Field(pattern=r"^\$\{env:[A-Za-z_][A-Za-z0-9_]*\}$")] | None = None
    """The environment variable that holds the key, as `${env:NAME}`; leave it out where the server wants none."""
    price: PriceEntry | None = None
    """Needed for a limit in usd."""


def _text_or_mapping(value: object) -> str:
    return "mapping" if isinstance(value, dict | BaseModel) else "text"


AnyModel = Annotated[
    Annotated[Text, Tag("text")] | Annotated[ModelEntry, Tag("mapping")], Discriminator(_text_or_mapping)
]


class SandboxSection(Part):
    """The container that code runs in. What is left out has the sandbox's own default."""

    image: Text | None = None
    """Any image with python3."""
    network: Literal["none"] | None = None
    """Only `none`."""
    memory: Size | None = None
    """For everything in the container, its in-memory file systems included."""
    cpus: Positive | None = None
    """CPU cores."""
    pids: Annotated[int, Field(ge=16)] | None = None
    """Processes and threads."""
    workspace: Size | None = None
    """Size of the working folder."""
    tmp: Size | None = None
    """Size of /tmp."""
    seconds: Positive | None = None
    """For one block of code."""
    runtime: Text | None = None
    """Another container runtime that the engine knows, such as runsc."""
    files: tuple[Text, ...] = ()
    """Files to put into the workspace under their base names, beside the chat file or from an input: `{file}`."""
    artifacts: tuple[Text, ...] | None = None
    """Patterns of the files to keep."""
    max_artifact: Size | None = None
    """Largest file to keep."""


Kinds = Literal["text", "number", "whole", "yes_no", "texts"]


def _words_or_values(value: object) -> str:
    return "values" if isinstance(value, list | tuple) else "words"


Values = Annotated[tuple[Text, ...], Field(min_length=2, max_length=50)]
Kind = Annotated[
    Annotated[Kinds, Tag("words")] | Annotated[Values, Tag("values")],
    Discriminator(_words_or_values),
]


class ReplySection(Part):
    """The typed form of a participant's replies: one that does not fit is asked for again."""

    fields: Annotated[
        dict[str, Kind],
        Field(min_length=1, max_length=50, json_schema_extra={"propertyNames": {"pattern": _NAME}}),
    ]
    """What it holds, by name: `text`, `number`, `whole`, `yes_no`, `texts` (a list), or the list of allowed values."""
    says: Text | None = None
    """How the reply reads in the chat, such as `"VERDICT: {decision}"`; its JSON unless given."""


class AssistantEntry(Part):
    """A participant that a model speaks for. Needs a goal or instructions."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["goal"]}, {"required": ["instructions"]}]})

    role: Literal["assistant"]
    """A model speaks for it."""
    goal: Text | None = None
    """What it is to achieve."""
    backstory: Text | None = None
    """Who it is."""
    instructions: Text | None = None
    """What it must and must not do, and the form of its replies."""
    model: AnyModel | None = None
    """Its own model, where it is not the chat's."""
    part: Text | None = None
    """The part of a playbook that it plays, where that is not its name."""
    tools: Annotated[
        tuple[Text, ...], Field(max_length=64, examples=[["tools.py:publish", "package.module:search"]])
    ] = ()
    """Functions (or AutoGen tools) that its model may call: `file.py:name` beside the chat file, or `module:name`."""
    reply: ReplySection | None = None
    """The typed form of its replies."""
    description: Text | None = None
    """What others are told about it."""


class HumanEntry(Part):
    """A person at the table. When its turn comes the run waits for them, and anybody may answer from anywhere."""

    role: Literal["human"]
    """A person speaks for it."""
    prompt: Text | None = None
    """What the person is asked."""
    approves: Text | None = None
    """Whose latest message they approve, edit or reject; without it they simply answer."""
    description: Text | None = None
    """What others are told about them."""


class ExecutorEntry(Part):
    """The participant that runs code in the sandbox."""

    role: Literal["executor"]
    """It runs code."""
    runs_code_from: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Whose fenced blocks it runs."""
    sandbox: SandboxSection | None = None
    """What differs from the chat's sandbox."""
    description: Text | None = None
    """What others are told about it."""


Participant = Annotated[AssistantEntry | ExecutorEntry | HumanEntry, Discriminator("role")]


class GraphSection(Part):
    """Speakers by edges."""

    graph: Annotated[tuple[Text, ...], Field(min_length=1, max_length=500)]
    """Edges such as `coder -> executor`, `executor -> coder when exit_code != 0`, `reviewer -> planner otherwise`; the
    first edge's source opens, and of a speaker's edges the first whose condition holds is taken."""


class SelectorEntry(Part):
    """A model picks the next speaker and says why."""

    model: AnyModel | None = None
    """The model that picks; the chat's unless given."""
    instructions: Text | None = None
    """How to pick, beside what each participant is described as."""
    last: Count = 10
    """How many of the latest messages it is shown; what was said before them it is told in one line each."""
    repeats: bool = False
    """Whether who spoke last may speak again at once."""
    part: Text | None = None
    """The part of a playbook that picks; `selector` unless given."""


class SelectorSection(Part):
    """Speakers by a model."""

    selector: SelectorEntry
    """How it picks."""


def _policy_kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, BaseModel) else ()
    return "selector" if "selector" in keys else "mapping"


Speakers = Annotated[
    Annotated[Literal["round_robin", "selector"], Tag("text")]
    | Annotated[SelectorSection, Tag("selector")]
    | Annotated[GraphSection, Tag("mapping")],
    Discriminator(_policy_kind),
]


class ApprovalMatch(Part):
    """What needs approval."""

    kind: Literal["code", "tool"]
    """A block of code before it runs, or the call of a tool before it is made."""
    tool: Text | None = None
    """Of kind tool: the tool's name; every tool unless given."""
    by: Text | None = None
    """Of kind code: the executor that is to run it; every executor unless given."""
    first: bool = False
    """Of kind code: only the first block of each executor that a person lets run as it is."""


class ApprovalEntry(Part):
    """A rule that says what a person must approve first."""

    match: ApprovalMatch
    """What it is about."""
    ask: Text = "anyone"
    """Who is asked: a participant with role human, or `anyone`."""
    allow: Annotated[tuple[Literal["approve", "edit", "reject", "respond"], ...], Field(min_length=1)] = (
        "approve",
        "edit",
        "reject",
    )
    """What may be decided."""


class LimitsSection(Part):
    """What a run may spend at most. At least one of turns, rounds, tokens, usd, seconds."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [n]} for n in ("turns", "rounds", "tokens", "usd", "seconds")]}
    )

    turns: Count | None = None
    """Replies."""
    rounds: Count | None = None
    """As many turns each as there are participants."""
    tokens: Count | None = None
    """Input and output of all model calls."""
    usd: Positive | None = None
    """US dollars; every model needs a known price."""
    seconds: Positive | None = None
    """Time of work."""
    code_runs: Count | None = None
    """Blocks of code."""


class SaysQuestion(Part):
    """A participant says something. Exactly one of starts, contains, matches."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [n]} for n in ("starts", "contains", "matches")]}
    )

    participant: Text
    """Whose replies are looked at."""
    starts: Text | None = None
    """A line of the reply starts with this text."""
    contains: Text | None = None
    """The reply has this text somewhere."""
    matches: Text | None = None
    """A regular expression found in the reply; ^ and $ match at lines."""


class RejectionsQuestion(Part):
    """A person has rejected so often."""

    participant: Text
    """The person."""
    count: Count
    """How often, in the whole run."""


QUESTIONS = ("says", "spoke", "approved_by", "rejections", "code_succeeded", "all", "any")
"""What a stop rule asks: exactly one of these."""


class StopQuestion(Part):
    """A question put after each turn. Exactly one of says, spoke, approved_by, rejections, code_succeeded, all, any."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [n]} for n in QUESTIONS]})

    says: SaysQuestion | None = None
    """A participant says something."""
    spoke: Text | None = None
    """The participant has replied."""
    approved_by: Text | None = None
    """The person approves, as it is or edited."""
    rejections: RejectionsQuestion | None = None
    """The person has rejected so often."""
    code_succeeded: Annotated[bool, Field(json_schema_extra={"const": True})] | None = None
    """The latest block of code ended with exit code 0."""
    all: Annotated[tuple[StopQuestion, ...], Field(min_length=1)] | None = None
    """All of these hold at the same turn."""
    any: Annotated[tuple[StopQuestion, ...], Field(min_length=1)] | None = None
    """At least one of these holds."""


class StopEntry(StopQuestion):
    """A stop rule: when it holds, the run ends. Exactly one question."""

    id: Id
    """Its name; the run says by which rule it ended."""
    outcome: Annotated[Outcome, Field(strict=False)] | None = None
    """How the run ended when this rule ends it: `goal` unless given, `rejected` for rejections."""


class ResultSection(Part):
    """What the run hands back."""

    from_: Text | None = Field(None, alias="from")
    """Whose last reply is the result; the last speaker's unless given."""
    extract: Text | None = None
    """A regular expression with one group: the part of that reply that is the result."""
    artifacts: bool = False
    """Whether the files that code made belong to the result."""


def _not_true(value: object) -> object:
    if isinstance(value, bool):  # to Python, and so to Literal, true is 1
        raise PydanticCustomError("literal_error", "Input should be 1", {"expected": "1"})
    return value


class ChatFile(Part):
    """A group chat of agents: who takes part, who speaks when, when it ends and what it may spend."""

    version: Annotated[Literal[1], BeforeValidator(_not_true)]
    """The version of this format."""
    name: Id
    """What the chat is called."""
    task: Text | None = None
    """What the participants are asked. `{x}` stands for the input x; `{{` and `}}` are braces."""
    inputs: dict[str, InputEntry] = Field(
        default={}, json_schema_extra={"propertyNames": {"pattern": "^[A-Za-z_]\\w*$"}}
    )
    """Values that can be set from outside, by name."""
    model: AnyModel | None = None
    """The model of every assistant that has none of its own: `playbook:FILE`, `openai/NAME` or a mapping."""
    participants: Annotated[
        dict[str, Participant],
        Field(min_length=1, max_length=200, json_schema_extra={"propertyNames": {"pattern": _NAME}}),
    ]
    """Who takes part, by name, in order."""
    sandbox: SandboxSection = SandboxSection()
    """The container that code runs in."""
    approvals: Annotated[tuple[ApprovalEntry, ...], Field(max_length=100)] = ()
    """What a person must approve before it is done."""
    speakers: Speakers = "round_robin"
    """Who speaks next."""
    limits: LimitsSection = LimitsSection()
    """What a run may spend at most."""
    stop: Annotated[tuple[StopEntry, ...], Field(max_length=200)] = ()
    """When the run ends; any of them."""
    result: ResultSection = ResultSection()
    """What is handed back at the end."""
