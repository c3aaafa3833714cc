"""`CHAT` on the command line: a file, or the name of a template that comes with Moot."""

from __future__ import annotations

from pathlib import Path

from moot.chats.errors import UserError, did_you_mean
from moot.chats.templates import template_file, template_names


def chat_path(named: str) -> Path:
    """The chat file meant; a file of that name wins. A missing file is left to be reported by whoever reads it."""
    path = Path(named)
    if path.exists():
        return path
    found = template_file(named)
    if found is not None:
        return found
    if path.suffix or len(path.parts) > 1:
        return path
    known = template_names()
    hint = did_you_mean(named, [*known, *(p.name for p in Path().glob("*.y*ml"))])
    raise UserError(f"{named!r} is no file here and no template ({hint or 'templates: ' + ', '.join(known)})")


def given(pairs: list[str]) -> dict[str, str]:
    """`key=value` pairs. Raises UserError for one without `=`."""
    sets = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set takes key=value, got {pair!r}; such as --set inputs.x=weight")
        sets[key.strip()] = value
    return sets
