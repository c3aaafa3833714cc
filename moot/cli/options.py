"""Options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from moot.cli.completable import chats, runs


class Mode(StrEnum):
    """How a run is shown."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    JSONL = "jsonl"
    NONE = "none"


class Ask(StrEnum):
    """Who is asked what a run asks people."""

    PROMPT = "prompt"
    INBOX = "inbox"
    DENY = "deny"


class SandboxKind(StrEnum):
    """Where code runs. Never on the host."""

    DOCKER = "docker"
    NONE = "none"


Artifacts = Annotated[
    Path | None,
    typer.Option(help="Folder for the files the run makes; else one of its own under Moot's home.", metavar="DIR"),
]
ChatNamed = Annotated[
    str,
    typer.Argument(
        help="A chat file, a folder with a chat.yaml, or a template such as research.", autocompletion=chats
    ),
]
Display = Annotated[
    Mode,
    typer.Option(
        help="auto is live on a terminal, else plain. jsonl writes the journal to stdout (stderr with --json)."
    ),
]
AskOption = Annotated[
    Ask | None,
    typer.Option(
        "--ask",
        help="What a person is to decide: prompt asks here (the default on a terminal), inbox leaves the run waiting, "
        "deny rejects what can be rejected.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]
SandboxOption = Annotated[SandboxKind, typer.Option(help="none: code is shown as skipped, and the run fails.")]
Run = Annotated[str, typer.Argument(help="The run's id, or the beginning of it.", autocompletion=runs)]
Record = Annotated[
    Path | None,
    typer.Option(
        help="Write each model's answers to this tape, after those that are on it; replay it with --model replay:FILE.",
        metavar="FILE",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An input (inputs.x=...) or any key of the file. Repeatable."),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="The model of every assistant: playbook:FILE, replay:TAPE, openai/NAME; more: moot models list.",
        metavar="NAME",
    ),
]
