"""Text of models, programs and files made safe to show: it must not drive a terminal or hide what it says."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC: titles, links, the clipboard
    r"|\x1b[PX^_][^\x1b\n]*\x1b\\"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"  # the two-letter ones
)
_BREAK = re.compile(r"\r\n?|[\u2028\u2029\x85\x0b\x0c]")
_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0e-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # what turns the direction of text
    "\u00ad\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # what cannot be seen
    "]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_RISKY = re.compile(f"{_HIDDEN.pattern}|{_SURROGATE.pattern}|[\u2028\u2029]")


def clean(text: str) -> str:
    """Without escape sequences, control characters and characters that reorder or hide text; newlines and tabs stay."""
    text = _SEQUENCE.sub("", text)
    text = _BREAK.sub("\n", text)
    return _SURROGATE.sub("\ufffd", _HIDDEN.sub("", text))


def clean_line(text: str, limit: int = 300) -> str:
    """The same on one line, cut at `limit` characters."""
    line = " ".join(clean(text[: limit * 8]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shown_json(value: object, indent: int | None = 2) -> str:
    """JSON that keeps every character; those that a terminal would act on are written as escapes. What models give for
    a number and JSON cannot hold, such as NaN, is a text.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        text = json.dumps(_numbers_as_text(value), ensure_ascii=False, indent=indent)
    return _RISKY.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _numbers_as_text(value: object) -> object:
    """The same, with those numbers that are none in JSON as Python's `json` writes them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else json.dumps(value)
    if isinstance(value, Mapping):
        return {key: _numbers_as_text(item) for key, item in value.items()}
    return [_numbers_as_text(item) for item in value] if isinstance(value, list | tuple) else value
