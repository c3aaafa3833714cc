"""A playbook's file: its form, checked, and the place of whatever is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import ErrorDetails

from moot.agents.errors import PlaybookError
from moot.agents.playbook_rules import JsonCheck, Pattern, When

_DEEPEST = 100
_LONGEST = 60
_NO_RANGE = ("missing", "too_long", "tuple_type", "float_type", "float_parsing")
_EXPECTED = {
    "string_type": "text",
    "string_pattern_mismatch": "a name of letters, digits, '_', '.' and '-'",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


class CallForm(BaseModel):
    """One call of a tool as it is written."""

    model_config = ConfigDict(extra="forbid")
    tool: str = Field(min_length=1)
    with_: dict[str, JsonValue] = Field(default={}, alias="with")


class RuleForm(BaseModel):
    """One rule as it is written."""

    model_config = ConfigDict(extra="forbid")
    when: When = When()
    say: str | None = Field(default=None, min_length=1)
    call: list[CallForm] | None = Field(default=None, min_length=1)
    reply: dict[str, JsonValue] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        given = [name for name in ("say", "call", "reply") if name in self.model_fields_set]
        if not given:
            raise ValueError("'say' is missing (or 'call', or 'reply')")
        if (nothing := next((name for name in given if getattr(self, name) is None), None)) is not None:
            raise ValueError(f"'{nothing}' is empty")
        if len(given) > 1:
            raise ValueError(f"a rule has one of say, call and reply; got {' and '.join(given)}")
        return self


class PlaybookForm(BaseModel):
    """A whole playbook as it is written."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    version: Literal[1]
    name: str = Field(pattern=r"^[\w.-]+$")
    task: Pattern | None = None
    texts: dict[str, str] = {}
    parts: dict[str, list[RuleForm]] = Field(min_length=1)


Loader = type[yaml.SafeLoader] | type[yaml.CSafeLoader]


def fastest_loader() -> Loader:
    """That of libyaml, several times as fast, where PyYAML was built with it."""
    return yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True)
class PlaybookFile:
    """A playbook's text, able to say where in it something stands."""

    text: str
    origin: str
    loader: Loader = field(default_factory=fastest_loader)
    """What parses it; errors have the words and places of the one without libyaml."""

    def form(self) -> PlaybookForm:
        """The file's content, checked against the format."""
        try:
            root = self._nodes()
            self._refuse_repeated(root, {})
            return PlaybookForm.model_validate(None if root is None else self._content(root))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise PlaybookError(f"{self.origin}{place}: not YAML: {error.problem or error.context}") from error
        except yaml.YAMLError as error:
            raise PlaybookError(f"{self.origin}: not YAML: {' '.join(str(error).split())}") from error
        except RecursionError:
            raise PlaybookError(f"{self.origin}: nested too deeply") from None
        except ValidationError as error:
            first = _first(error.errors(include_url=False))
            where = tuple(step for step in first["loc"] if step != "[key]")
            raise self.error(where, _said(first, where)) from error

    def _content(self, root: yaml.Node) -> object:
        """What the nodes say. PlaybookError for what only looks like a value, such as the date 2026-02-30."""
        making = _Constructor()
        try:
            return making.construct_document(root)
        except ValueError as error:
            mark = making.at.start_mark if making.at is not None else root.start_mark
            place = f"{self.origin}:{mark.line + 1}:{mark.column + 1}"
            raise PlaybookError(f"{place}: cannot be read: {error}; write it in quotes to have it as text") from error

    def _nodes(self) -> yaml.Node | None:
        """The root of the parsed text. RecursionError where it is nested too deeply."""
        if self.loader is yaml.SafeLoader:
            return yaml.compose(self.text, Loader=self.loader)
        try:
            _refuse_deep(self.text, self.loader)
            return yaml.compose(self.text, Loader=self.loader)
        except (yaml.YAMLError, UnicodeError):  # UnicodeError: half of an emoji
            return yaml.compose(self.text, Loader=yaml.SafeLoader)

    def error(self, where: tuple[str | int, ...], message: str) -> PlaybookError:
        """The error with the place of what it is about."""
        node = self._nodes()
        mark = node.start_mark if node else None
        for step in where:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found[0].start_mark, found[1]
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")
        return PlaybookError(f"{self.origin}{place}: {f'{path}: ' if path else ''}{message}")

    def _refuse_repeated(self, node: yaml.Node | None, looked_at: dict[int, bool]) -> None:
        """YAML takes the last of two equal keys in silence; a rule would be lost."""
        if isinstance(node, yaml.ScalarNode) or node is None:
            return
        if (done := looked_at.get(id(node))) is not None:  # an alias: looking again and again can take for ever
            if not done:
                raise RecursionError
            return
        looked_at[id(node)] = False
        keys: set[str] = set()
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ((None, item) for item in node.value):
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    mark = key.start_mark
                    raise PlaybookError(f"{self.origin}:{mark.line + 1}:{mark.column + 1}: '{key.value}' stands twice")
                keys.add(key.value)
            self._refuse_repeated(value, looked_at)
        looked_at[id(node)] = True


class _Constructor(yaml.constructor.SafeConstructor):
    """Knows which value it made last, or could not make."""

    at: yaml.ScalarNode | None = None

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """The value's text."""
        self.at = node if isinstance(node, yaml.ScalarNode) else self.at
        return super().construct_scalar(node)


def _refuse_deep(text: str, loader: Loader) -> None:
    """RecursionError for nodes within nodes that libyaml, which does not count them, would crash the process with."""
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise RecursionError


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Where one step down from a node begins, and the node there."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _first(found: list[ErrorDetails]) -> ErrorDetails:
    """The one to name: a key that is missing may be there, misspelt."""
    misspelt = (
        each for each in found if each["type"] == "extra_forbidden" and each["loc"][:-1] == found[0]["loc"][:-1]
    )
    return next(misspelt, found[0]) if found[0]["type"] == "missing" else found[0]


def _said(found: ErrorDetails, where: tuple[str | int, ...]) -> str:
    """What is wrong, in words for the author."""
    kind, limits = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        forms: dict[str, type[BaseModel]] = {"when": When}
        parent = where[-2] if len(where) > 1 else ""
        inside = CallForm if where[3:4] == ("call",) else JsonCheck if "json" in where else RuleForm
        form = forms.get(str(parent), inside if len(where) > 1 else PlaybookForm)
        known = [entry.alias or name for name, entry in form.model_fields.items()]
        return f"unknown key{nearest(str(where[-1]), known)}; known: {', '.join(known)}"
    if kind == "value_error":
        return str(limits["error"])
    if "between" in where and kind in _NO_RANGE:
        return "expected two numbers such as [0, 1]"
    if kind == "missing":
        return f"'{where[-1]}' is missing"
    if kind in ("string_too_short", "too_short"):
        return "is empty"
    expected = f"{limits['expected']}" if kind == "literal_error" else _EXPECTED.get(kind)
    if expected is None:
        return f"{found['msg'][:1].lower()}{found['msg'][1:]}, got {_shown(found['input'])}"
    return f"expected {expected}, got {_shown(found['input'])}"


def _shown(value: object) -> str:
    """A value for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion in brackets, where another name is close."""
    close = difflib.get_close_matches(name, [other for other in known if other != name], n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
