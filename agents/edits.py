"""Edits of what a person is asked about: what of a question can be edited, what an edit must be, what it changed."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from typing import NoReturn

from moot.agents.json_text import MOST_NESTED, nested

DIFFERENCE_CHARACTERS = 20_000
"""What is kept of a difference; what was shown and what was made of it stand in the journal whole."""
_CONTEXT_LINES = 3


def editable(kind: str, payload: Mapping[str, object]) -> str | None:
    """The text that an edit replaces: the code, the message, the arguments of a tool as JSON. None where nothing can
    be edited.
    """
    match kind:
        case "tool":
            return _pretty(payload.get("arguments", {}))
        case "code" | "message":
            text = payload.get(kind)
            return text if isinstance(text, str) else None
        case _:
            return None


def fits(kind: str, text: str) -> str | None:
    """Why a text cannot stand in place of what was shown, None where it can."""
    if not text.strip():
        return "it is empty"
    if kind != "tool":
        return None
    try:
        arguments_of(text)
    except ValueError as error:
        return str(error)
    return None


def arguments_of(text: str) -> dict[str, object]:
    """The arguments of a tool from their JSON. Raises ValueError for what they cannot be."""
    try:
        value: object = json.loads(text, parse_constant=_no_json, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"it is nested more than {MOST_NESTED} levels deep") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError('the arguments of a tool are a JSON object, such as {"text": "..."}')
    if nested(value) > MOST_NESTED:
        raise ValueError(f"it is nested more than {MOST_NESTED} levels deep")
    return value


def difference(kind: str, before: str, after: str) -> str:
    """What an edit changed, as a unified diff; cut where it is very long."""
    if kind == "tool":
        after = _pretty(arguments_of(after))
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "shown", "edited", lineterm="", n=_CONTEXT_LINES
    )
    text = "\n".join(lines) or "only the ends of lines are different"
    if len(text) <= DIFFERENCE_CHARACTERS:
        return text
    cut = text[:DIFFERENCE_CHARACTERS].rpartition("\n")[0]
    return f"{cut}\n... {len(text) - len(cut)} characters left out ..."


def same(kind: str, before: str, after: str) -> bool:
    """Whether an edit changes nothing."""
    return before == after or (kind == "tool" and before == _pretty(arguments_of(after)))


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise ValueError(f"{number} is larger than any number can be here")
    return value


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
