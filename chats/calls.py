"""Tool calls, their results and other inner events of a turn in words: live messages, or their JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from moot.agents.questions import NOT_MADE
from moot.chats.clean import clean_line, shown_json

LONGEST = 300
"""Characters of one call, result or thought that are shown."""


def call_words(name: object, arguments: object) -> str:
    """`look(x=1)`. Arguments are an object, or its JSON as models write it; what is neither is shown as it is."""
    given = arguments
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = arguments
    if isinstance(given, Mapping):
        shown = ", ".join(f"{key}={shown_json(value, indent=None)}" for key, value in given.items())
    else:
        shown = given if isinstance(given, str) else shown_json(given, indent=None)
    return clean_line(f"{name}({shown})", LONGEST)


def calls_in(message: object) -> dict[str, str]:
    """The calls that a message makes, by their ids."""
    return {
        str(_of(item, "id")): call_words(_of(item, "name"), _of(item, "arguments"))
        for item in _parts(message)
        if _of(item, "arguments") is not None
    }


def inner_lines(message: object) -> tuple[str, ...]:
    """A message as lines: one for each call or result in it, else its text on one line; none where it says nothing."""
    if (done := _of(message, "result")) is not None and not isinstance(done, str):
        return (clean_line(f"code ended with {_of(done, 'exit_code')}: {_of(done, 'output') or ''}", LONGEST),)
    return tuple(line for line in _lines(message) if line)


def _lines(message: object) -> Iterator[str]:
    for item in _parts(message):
        if isinstance(item, str):
            yield clean_line(item, LONGEST)
        elif _of(item, "arguments") is not None:
            yield call_words(_of(item, "name"), _of(item, "arguments"))
        elif _of(item, "call_id") is not None:
            yield clean_line(f"{_of(item, 'name')} {_result(item)}", LONGEST)
        else:
            content = _of(item, "content")
            yield clean_line(content if isinstance(content, str) else _shown(item), LONGEST)


def _result(item: object) -> str:
    """How a call ended; one that a person did not let happen has not failed."""
    content = str(_of(item, "content"))
    if not _of(item, "is_error"):
        return f"-> {content}"
    not_made = f"This call {NOT_MADE}: "
    return f"{NOT_MADE}: {content.removeprefix(not_made)}" if content.startswith(not_made) else f"failed: {content}"


def _parts(message: object) -> list[object]:
    content = _of(message, "content")
    return content if isinstance(content, list) else [] if content is None else [content]


def _shown(item: object) -> str:
    try:
        return shown_json(item, indent=None)
    except (TypeError, ValueError):
        return str(item)


def _of(thing: object, name: str) -> object:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
