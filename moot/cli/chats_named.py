"""`CHAT` on the command line: a file, a folder with one, or a template that comes with Moot."""

from __future__ import annotations

from pathlib import Path

from moot.chats.errors import UserError, did_you_mean
from moot.chats.templates import template_file, template_names

CHAT_FILE = "chat.yaml"
"""What a folder of a chat's own is known by: `moot init` makes one."""


def chat_path(named: str) -> Path:
    """The chat file meant: a file, else the `chat.yaml` of a folder, else a template of that name.

    A missing file is left to be reported by whoever reads it. Raises UserError for a word that is none of them.
    """
    path = Path(named)
    for file in (path, path / CHAT_FILE):
        if file.is_file():
            return file
    found = template_file(named)  # before folders and the like: they cannot be meant
    if found is not None:
        return found
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    known = template_names()
    hint = did_you_mean(named, [*known, *(p.name for p in Path().glob("*.y*ml"))])
    raise UserError(f"{named!r} is no file here and no template ({hint or 'templates: ' + ', '.join(known)})")


def template_path(name: str) -> Path:
    """The chat file of a template, whatever lies in the working directory. Raises UserError for an unknown one."""
    found = template_file(name)
    if found is None:
        known = template_names()
        raise UserError(f"no template {name!r} ({did_you_mean(name, known) or 'templates: ' + ', '.join(known)})")
    return found


def given(pairs: list[str]) -> dict[str, str]:
    """`key=value` pairs. Raises UserError for one without `=`."""
    sets = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set takes key=value, got {pair!r}; such as --set inputs.x=weight")
        sets[key.strip()] = value
    return sets
