"""What of a question can be edited, and what an edit must be."""

from __future__ import annotations

import json
from collections.abc import Mapping


def editable(kind: str, payload: Mapping[str, object]) -> str | None:
    """The text that is edited, None where nothing can be."""
    match kind:
        case "tool":
            return json.dumps(payload.get("arguments", {}), indent=2, ensure_ascii=False)
        case "code" | "message":
            text = payload.get(kind)
            return text if isinstance(text, str) else None
        case _:
            return None


def fits(kind: str, text: str) -> str:
    """Why a text cannot stand in place of what was shown; empty where it can."""
    if not text.strip():
        return "it is empty"
    if kind == "tool":
        try:
            if not isinstance(json.loads(text), dict):
                return "the arguments of a tool are a JSON object"
        except ValueError as error:
            return f"it is not JSON: {error}"
    return ""
