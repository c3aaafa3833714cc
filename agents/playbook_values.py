"""JSON values of a playbook whose texts are templates: what a tool is called with, and what a typed reply holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from moot.agents.playbook_template import Template

Filled = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Values:
    """A mapping in which every text is a template; numbers, truth values and null stay what they are."""

    entries: Mapping[str, JsonValue]
    templates: Mapping[str, Template]
    """By the text that they were made of."""

    @classmethod
    def of(cls, entries: Mapping[str, JsonValue], template: Callable[[str], Template]) -> Values:
        """The values, each text made a template. ValueError for what JSON cannot hold, or what `template` refuses."""
        found: dict[str, Template] = {}
        _each_text(dict(entries), lambda text: found.setdefault(text, template(text)))
        return cls(entries, found)

    @property
    def used(self) -> frozenset[str]:
        """The known names that stand in the texts."""
        return frozenset[str]().union(*(template.used for template in self.templates.values()))

    def fill(self, values: Mapping[str, str]) -> Filled:
        """The mapping with its texts filled in; every name of `used` must have a value."""
        return {name: self._filled(value, values) for name, value in self.entries.items()}

    def _filled(self, value: JsonValue, values: Mapping[str, str]) -> JsonValue:
        if isinstance(value, str):
            return self.templates[value].fill(values)
        if isinstance(value, list):
            return [self._filled(item, values) for item in value]
        if isinstance(value, dict):
            return {name: self._filled(item, values) for name, item in value.items()}
        return value


def _each_text(value: JsonValue, see: Callable[[str], object]) -> None:
    if isinstance(value, str):
        see(value)
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _each_text(item, see)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that JSON can hold")
