"""`completion`, and what shells ask when Tab is pressed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from moot.cli.options import Json
from moot.cli.shells import Shell

if TYPE_CHECKING:
    from moot.cli.completing import Word


def completion(
    shell: Annotated[Shell | None, typer.Argument(help="Which shell; else the one you are in.")] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Write it where the shell finds it, instead of printing it.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the Tab key complete verbs, options, runs, chat files and templates."""
    from moot.cli.consoles import result, result_json, say, write
    from moot.cli.shells import SCRIPTS, shell_here
    from moot.cli.shells import install as installed

    wanted = shell or shell_here()
    if not install:
        if json:
            result_json({"shell": wanted, "script": SCRIPTS[wanted]})
        else:
            write(SCRIPTS[wanted])
        return
    place, told = installed(wanted)
    if json:
        startup = str(place.startup) if place.startup is not None else None
        result_json({"shell": wanted, "written": str(place.script), "startup": startup, "startup_changed": told})
        return
    result(str(place.script))
    if told:
        say(f"  {place.startup} has one more line: it reads this file")
    say(f"  next: open a new {wanted}, type moot and press Tab")


def complete(asked: Sequence[str]) -> None:
    """Print what the last word may become, as a shell asks: SHELL -- WORD..., for bash the line as it was typed."""
    from moot.cli.app import app
    from moot.cli.completing import Command, suggestions
    from moot.cli.consoles import write

    command = typer.main.get_command(app)
    name, *words = [word for at, word in enumerate(asked) if (at, word) != (1, "--")] or [""]
    if name not in set(Shell) or not isinstance(command, Command):
        return
    shell, words = Shell(name), words or [""]
    given = _split(words[0])[1:] if shell is Shell.BASH else words
    found = suggestions(command, given)
    if found:
        write("\n".join(_lines(found, shell, given[-1] if given else "")) + "\n")


def _lines(found: list[Word], shell: Shell, incomplete: str) -> list[str]:
    if shell is Shell.BASH:
        breaks = set(os.environ.get("COMP_WORDBREAKS", "")) & set("=:@")
        kept = max((incomplete.rfind(each) for each in breaks), default=-1) + 1
        return [_kind(found), *(word.text[kept:] for word in found)]
    lines = [f"{word.text}\t{' '.join(word.about.split())}" if word.about else word.text for word in found]
    return lines if shell is Shell.FISH else [_kind(found), *lines]


def _kind(found: list[Word]) -> str:
    return "files" if any(word.file for word in found) else "words"


def _split(line: str) -> list[str]:
    """A line as a shell would split it, the last word incomplete: in it a quotation may be open."""
    words: list[str] = []
    word, quote, escaped = "", "", False
    for each in line:
        if escaped:
            word, escaped = word + each, False
        elif each == "\\" and quote != "'":
            escaped = True
        elif quote:
            word, quote = (word, "") if each == quote else (word + each, quote)
        elif each in "'\"":
            quote = each
        elif each.isspace():
            words, word = [*words, word] if word else words, ""
        else:
            word += each
    return [*words, word]
