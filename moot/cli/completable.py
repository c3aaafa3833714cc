"""What a shell may suggest for the arguments of verbs: runs, chats, templates. Read fast; nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path

import typer

FILE, FOLDER = "file", "folder"
"""What a suggestion is said to be that is completed on as a path."""


def runs(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the user's runs, newest first, each with its chat and status."""
    from moot.chats.clean import clean_line
    from moot.chats.home import DATABASE, home
    from moot.chats.sqlite_names import newest_runs

    found = newest_runs(home() / DATABASE, incomplete)
    return [(run.name, clean_line(f"{run.chat}, {run.status}", 60)) for run in found]


def other_runs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The same without those that are named already, for verbs that take several."""
    named = {word for value in ctx.params.values() for word in (value if isinstance(value, list | tuple) else [value])}
    return [(run, about) for run, about in runs(incomplete) if run not in named]


def templates(incomplete: str) -> list[tuple[str, str]]:
    """The chats that come with Moot."""
    from moot.chats.templates import template_names

    return [(name, "template") for name in template_names() if name.startswith(incomplete)]


def chats(incomplete: str) -> list[tuple[str, str]]:
    """Chat files and folders beneath the path typed so far, and templates."""
    shown, slash, beginning = incomplete.rpartition("/")
    folder = Path(shown + slash).expanduser()
    found = [] if slash else templates(incomplete)
    try:
        beside = sorted(folder.iterdir())
    except OSError:
        return found
    for path in beside:
        hidden = path.name.startswith(".") and not beginning
        if hidden or not path.name.startswith(beginning) or not path.name.isprintable():
            continue
        if path.is_dir():
            found.append((f"{shown}{slash}{path.name}/", FOLDER))
        elif path.suffix in {".yaml", ".yml"}:
            found.append((f"{shown}{slash}{path.name}", FILE))
    return found
