"""`init`, `validate`, `plan`, `schema`: what is done with a chat before it is run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from moot.cli.completable import templates
from moot.cli.options import ChatNamed, Json, Model, SandboxKind, SandboxOption, Set

_WHICH = "Which one: approval, critique, debate, research or research-group."


class Schema(StrEnum):
    """Of what."""

    CHAT = "chat"
    EVENTS = "events"


def init(
    template: Annotated[str, typer.Argument(help=_WHICH, autocompletion=templates)] = "research",
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where to; else a folder of its name.")] = None,
) -> None:
    """Copy a template into a folder of yours. Never overwrites anything."""
    from moot.cli.consoles import result, say
    from moot.cli.template_copy import copy_template

    target = folder if folder is not None else Path(template)
    made = copy_template(template, target)
    result("\n".join(str(path) for path in made))
    chat = made[0]
    say(f"  next: moot plan {chat}     shows who takes part and what it can cost\n        moot run {chat}      runs it")


def validate(chat: ChatNamed, set_: Set = None, json: Json = False) -> None:
    """Check a chat file: every problem with its place, and what may have been meant."""
    from moot.chats.build import load_chat
    from moot.chats.errors import SpecError
    from moot.cli.chats_named import chat_path, given
    from moot.cli.consoles import result, result_json
    from moot.cli.words import count

    path = chat_path(chat)
    try:
        loaded = load_chat(path, sets=given(set_ or []), task=None)
    except SpecError as error:
        if json:
            lines = ("file", "line", "column", "path", "problem", "suggestion")
            found = [{name: getattr(p, name) for name in lines} for p in error.problems]
            result_json({"ok": False, "problems": found})
        raise
    if json:
        result_json({"ok": True, "problems": []})
        return
    given_limits = loaded.chat.limits.words() if loaded.chat.limits is not None else ""
    who = count(len(loaded.chat.names), "participant")
    result(f"ok: {path}: chat {loaded.chat.name}, {who}, limits {given_limits}")


def plan(
    chat: ChatNamed,
    task: Annotated[str | None, typer.Argument(help="What is asked, instead of the file's own task.")] = None,
    model: Model = None,
    set_: Set = None,
    sandbox: SandboxOption = SandboxKind.DOCKER,
    json: Json = False,
) -> None:
    """Say what a run would do, need and cost at most. Starts nothing."""
    from moot.chats.build import load_chat
    from moot.cli.chats_named import chat_path, given
    from moot.cli.consoles import result, result_json
    from moot.cli.edge import wait
    from moot.cli.planned import missing_boxes, plan_of

    loaded = load_chat(chat_path(chat), sets=given(set_ or []), task=task, model=model, sandbox=sandbox)
    made = plan_of(loaded, wait(missing_boxes(loaded.chat)))
    if json:
        result_json(made.as_object())
    else:
        result(made.text())


def schema(
    what: Annotated[Schema, typer.Argument(help="Chat files, or the events of a journal.")] = Schema.CHAT,
) -> None:
    """Print the JSON Schema of chat files (for editors) or of a run's events."""
    from moot.chats.event_schema import event_schema
    from moot.chats.schema import json_schema
    from moot.cli.consoles import result_json

    result_json(json_schema() if what is Schema.CHAT else event_schema())
