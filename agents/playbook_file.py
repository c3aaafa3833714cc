"""A playbook's file: its form, checked, and the place of whatever is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from moot.agents.errors import PlaybookError
from moot.agents.playbook_rules import Pattern, When


class RuleForm(BaseModel):
    """One rule as it is written."""

    model_config = ConfigDict(extra="forbid")
    when: When = When()
    say: str = Field(min_length=1)


class PlaybookForm(BaseModel):
    """A whole playbook as it is written."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    version: Literal[1]
    name: str = Field(pattern=r"^[\w.-]+$")
    task: Pattern | None = None
    texts: dict[str, str] = {}
    parts: dict[str, list[RuleForm]] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class PlaybookFile:
    """A playbook's text, able to say where in it something stands."""

    text: str
    origin: str

    def form(self) -> PlaybookForm:
        """The file's content, checked against the format."""
        try:
            root = yaml.compose(self.text, Loader=yaml.SafeLoader)
            self._refuse_repeated(root)
            return PlaybookForm.model_validate(yaml.safe_load(self.text))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise PlaybookError(f"{self.origin}{place}: not YAML: {error.problem or error.context}") from error
        except yaml.YAMLError as error:
            raise PlaybookError(f"{self.origin}: not YAML: {' '.join(str(error).split())}") from error
        except RecursionError:
            raise PlaybookError(f"{self.origin}: nested too deeply") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = tuple(first["loc"])
            raise self.error(where, _said(first["type"], first["msg"], where)) from error

    def error(self, where: tuple[str | int, ...], message: str) -> PlaybookError:
        """The error with the place of what it is about."""
        node = yaml.compose(self.text, Loader=yaml.SafeLoader)
        mark = node.start_mark if node else None
        for step in where:
            found = _child(node, step)
            if found is None:
                break
            mark, node = found[0].start_mark, found[1]
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")
        return PlaybookError(f"{self.origin}{place}: {f'{path}: ' if path else ''}{message}")

    def _refuse_repeated(self, node: yaml.Node | None) -> None:
        """YAML takes the last of two equal keys in silence; a rule would be lost."""
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    mark = key.start_mark
                    raise PlaybookError(f"{self.origin}:{mark.line + 1}:{mark.column + 1}: '{key.value}' stands twice")
                seen.add(key.value)
                self._refuse_repeated(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                self._refuse_repeated(value)


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Where one step down from a node begins, and the node there."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _said(kind: str, message: str, where: tuple[str | int, ...]) -> str:
    """What is wrong, in words for the author."""
    if kind == "extra_forbidden":
        forms: dict[str, type[BaseModel]] = {"when": When}
        parent = where[-2] if len(where) > 1 else ""
        form = forms.get(str(parent), RuleForm if len(where) > 1 else PlaybookForm)
        known = [field.alias or name for name, field in form.model_fields.items()]
        return f"unknown key{nearest(str(where[-1]), known)}; known: {', '.join(known)}"
    return message.removeprefix("Value error, ")


def nearest(name: str, known: Iterable[str]) -> str:
    """A suggestion in brackets, where one name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
