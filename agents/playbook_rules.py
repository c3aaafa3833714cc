"""The conditions of a playbook's rules, asked of what a model is sent."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from moot.agents.situation import Situation

_OPERATORS: Mapping[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"\s*(==|!=|>=|<=|>|<)\s*(-?\d+)\s*")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_PATH = re.compile(r"\$(?:\.[A-Za-z_]\w*|\[\d+\])*")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number compared with another."""

    sign: str
    number: int

    def holds(self, number: int | None) -> bool:
        """Whether the number compares so; an unknown one never does."""
        return number is not None and _OPERATORS[self.sign](number, self.number)


def _comparison(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return Comparison("==", value)
    found = _COMPARISON.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"expected a whole number or a comparison such as '!= 0', not {value!r}")
    return Comparison(found[1], int(found[2]))


def _pattern(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f"expected a regular expression, not {value!r}")
    try:
        return re.compile(value, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error} in {value!r}") from error


def _patterns(value: object) -> object:
    return tuple(_pattern(item) for item in (value if isinstance(value, list) else [value]))


def _path(value: object) -> object:
    if not (isinstance(value, str) and _PATH.fullmatch(value)):
        raise ValueError(f"expected a path such as '$.name[0]', not {value!r}")
    return value


Pattern = Annotated[re.Pattern[str], BeforeValidator(_pattern)]
"""A regular expression; `^` and `$` stand at lines."""
Patterns = Annotated[tuple[re.Pattern[str], ...], BeforeValidator(_patterns)]
"""One regular expression or a list, all of which must be found."""
Compared = Annotated[Comparison, BeforeValidator(_comparison)]
Path = Annotated[str, BeforeValidator(_path)]
Range = tuple[float, float]


class JsonCheck(BaseModel):
    """What a value of the last JSON line must be; `as` names it for the rule's text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    between: Range | None = None
    equals: object = None
    name: str | None = Field(default=None, alias="as")


class When(BaseModel):
    """Conditions that must all hold. Named groups of the patterns become names that the rule's text may use."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    task: Pattern | None = None
    text: Patterns = ()
    source: str | None = None
    exit_code: Compared | None = None
    stdout: Patterns = ()
    stderr: Patterns = ()
    files: Patterns = ()
    json_: dict[Path, JsonCheck] = Field(default={}, alias="json")
    between: dict[str, Range] = {}
    turn: Compared | None = None
    said: dict[str, Patterns] = {}
    """Of somebody's last message, by name; who has not spoken yet fits none."""
    tool: str | None = None
    """The last message is what this tool returned."""
    tool_error: bool | None = None
    """The last message is what tools returned, and one of the calls failed, or none did."""
    same: dict[str, str] = {}
    """Captured names that must have been captured alike: what was claimed and what was printed."""

    @property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """All of them."""
        said = (pattern for patterns in self.said.values() for pattern in patterns)
        return (*((self.task,) if self.task else ()), *self.text, *self.stdout, *self.stderr, *self.files, *said)

    @property
    def names(self) -> frozenset[str]:
        """The names that the conditions can capture."""
        groups = {name for pattern in self.patterns for name in pattern.groupindex}
        return frozenset(groups | {check.name for check in self.json_.values() if check.name})

    def match(self, now: Situation, known: Mapping[str, str]) -> dict[str, str] | None:
        """What was captured, together with what was known; None unless every condition holds."""
        plain = (
            (self.source is None or self.source == now.source)
            and (self.exit_code is None or self.exit_code.holds(now.exit_code))
            and (self.turn is None or self.turn.holds(now.turn))
            and (bool(now.report) or not (self.stdout or self.stderr or self.files or self.json_))
            and self.said.keys() <= now.said.keys()
            and (self.tool is None or self.tool in now.tools)
            and (self.tool_error is None or self.tool_error == now.tool_error)
        )
        if not plain:
            return None
        values = dict(known)
        looks = [(self.task, now.task)] if self.task else []
        looks += [(pattern, text) for patterns, text in self._texts(now) for pattern in patterns]
        for pattern, text in looks:
            found = pattern.search(text)
            if found is None:
                return None
            values.update({name: group for name, group in found.groupdict().items() if group is not None})
        if not self._json_holds(now, values):
            return None
        lies = all(_lies(values.get(name), limits) for name, limits in self.between.items())
        same = all(name in values and values[name] == values.get(other) for name, other in self.same.items())
        return values if lies and same else None

    def _texts(self, now: Situation) -> list[tuple[tuple[re.Pattern[str], ...], str]]:
        """Which patterns look at which text."""
        return [
            (self.text, now.text),
            (self.stdout, now.stdout),
            (self.stderr, now.stderr),
            (self.files, "\n".join(now.files)),
            *((patterns, now.said[name]) for name, patterns in self.said.items()),
        ]

    def _json_holds(self, now: Situation, values: dict[str, str]) -> bool:
        """Whether the last JSON line is as asked; captured values are added to `values`."""
        line = now.json_line if self.json_ else None
        for path, check in self.json_.items():
            found, value = _at(line, path)
            if not found:
                return False
            if check.between is not None and not _lies(value, check.between):
                return False
            if "equals" in check.model_fields_set and value != check.equals:
                return False
            if check.name:
                values[check.name] = value if isinstance(value, str) else str(value)
        return True


def _at(value: object, path: str) -> tuple[bool, object]:
    """Whether the path leads somewhere, and where."""
    for key, index in _STEP.findall(path):
        if key and isinstance(value, dict) and key in value:
            value = value[key]
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return False, None
    return value is not None, value


def _lies(value: object, limits: Range) -> bool:
    """Whether the value is a number within the limits, both included."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return False
    return math.isfinite(number) and limits[0] <= number <= limits[1]
