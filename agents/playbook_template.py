"""Templates of a playbook: only names that are known are replaced, so code full of braces stays as it was written.

`{name}` gives the value, `{name|filter}` the value made safe for a place, `{{name}}` the text `{name}` itself. Anything
else in braces (a Python f-string, a dict, JSON) is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from moot.agents.situation import one_line

_FIELD = re.compile(r"(?P<escape>\{)?\{(?P<name>[A-Za-z_][\w.]*)(?:\|(?P<filter>\w+))?\}(?(escape)\})")

_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)


def as_json(value: str) -> str:
    """A string literal, the same in JSON and Python, that no value can break out of (nor close a fenced block)."""
    return json.dumps(value, ensure_ascii=False).replace("`", "\\u0060")


def as_quote(value: str) -> str:
    """Each line after `> `, so that no quoted line can be taken for the speaker's own word."""
    return "\n".join(f"> {line}" for line in value.replace("```", "'''").splitlines()) or "> (nothing)"


FILTERS: Mapping[str, Callable[[str], str]] = {"json": as_json, "quote": as_quote, "line": one_line}


@dataclass(frozen=True, slots=True)
class Template:
    """A text with fields; `names` are those that may be replaced."""

    text: str
    names: frozenset[str]

    @classmethod
    def of(cls, text: str, names: Collection[str]) -> Template:
        """A template over these names.

        `ValueError` where one of them goes through a filter that does not exist, or stands bare in a fenced block: a
        value pasted into code would be code.
        """
        known = frozenset(names)
        for field in _FIELD.finditer(text):
            if field["name"] not in known or field["escape"]:
                continue
            if field["filter"] not in (None, *FILTERS):
                raise ValueError(f"unknown filter '{field['filter']}' in '{field[0]}' (known: {', '.join(FILTERS)})")
            if field["filter"] != "json" and len(_FENCE.findall(text, 0, field.start())) % 2:
                name = field["name"]
                raise ValueError(
                    f"'{field[0]}' stands in a fenced block: write {{{name}|json}}, a literal, or {{{{{name}}}}} for "
                    f"the text {{{name}}} itself"
                )
        return cls(text, known)

    @property
    def used(self) -> frozenset[str]:
        """The known names that stand in the text."""
        return frozenset(f["name"] for f in _FIELD.finditer(self.text) if not f["escape"]) & self.names

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its fields replaced; every name of `used` must have a value."""

        def put(field: re.Match[str]) -> str:
            if field["name"] not in self.names:
                return field[0]
            if field["escape"]:
                return field[0][1:-1]
            value = values[field["name"]]
            return FILTERS[field["filter"]](value) if field["filter"] else value

        return _FIELD.sub(put, self.text)
