"""A YAML file whose every value knows its place, so that an error can point at it.

YAML 1.2's plain scalars: only `true` and `false` are booleans (`no`, `on`, `1:30` and dates are text), keys are text.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from moot.chats.errors import Problem, SpecError, did_you_mean

YamlPath = tuple[str | int, ...]
"""The way to a value: `("stop", 0, "says", "participant")`."""

YamlValue = str | int | float | bool | None | tuple["YamlValue", ...] | dict[str, "YamlValue"]
"""What a file holds. Lists are tuples."""

LARGEST = 1_000_000
"""Bytes a file may have."""
_MOST_NODES = 50_000
_DEEPEST = 40
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_CORE = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+$|0o[0-7]+$|0x[0-9a-fA-F]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")
_TAGGED = re.compile(r"(&\S+\s+)?!")
_SECRET = re.compile(
    r"""((?:key|secret|password|passwd|token)["']?\s*:\s*["']?)(?!\$\{env:)([^\s,}"'][^,}"']*)""", re.IGNORECASE
)
_PASSWORD = re.compile(r"(://)([^/\s@]+)(?=@)")
_UNCLOSED = {
    "while scanning a quoted scalar": "the text that starts here is never closed with a quote",
    "while parsing a flow mapping": "the { here is never closed",
    "while parsing a flow sequence": "the [ here is never closed",
    "while scanning a simple key": "a key needs a ':' after it",
}
_HINTS = (
    ("mapping values are not allowed", "a text that holds ': ' must be in quotes"),
    ("'\\t' that cannot start any token", "indent with spaces, not tabs"),
    ("that cannot start any token", "put the text in quotes"),
    ("expected <block end>", "check the indentation"),
    ("expected alphabetic or numeric", "a text that starts with * or & must be in quotes"),
    ("undefined alias", "a text that starts with * must be in quotes"),
    ("expected chomping", "a text that starts with | or > must be in quotes"),
    ("unknown escape character", "write a backslash twice, or use single quotes"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands in the text: from character `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A file that was read: its value, the place of every part, and what was wrong already in reading it.

    `overridden` names, for each value that does not come from the file, where it comes from (`--set limits.rounds`).
    """

    file: str
    text: str
    value: YamlValue
    keys: dict[YamlPath, Mark] = field(repr=False)
    values: dict[YamlPath, Mark] = field(repr=False)
    problems: tuple[Problem, ...] = ()
    overridden: dict[YamlPath, str] = field(default_factory=dict)

    def problem(self, path: YamlPath, message: str, suggestion: str | None = None, *, at_key: bool = False) -> Problem:
        """A problem at a value, or at its key; at the nearest part around it where there is no such value."""
        at = path
        while at and at not in self.values and at not in self.overridden:
            at, at_key = at[:-1], True
        mark = (self.keys if at_key else self.values).get(at) or self.values.get(at) or Mark(0, 0)
        return self._problem_at(path, mark.start, message, suggestion)

    def problem_in(
        self, path: YamlPath, message: str, suggestion: str | None = None, *, offset: int, length: int = 1
    ) -> Problem:
        """A problem at a part of a text: at its `offset`-th character where that can be found in the file."""
        return self._problem_at(path, self._place_in(path, offset, length), message, suggestion)

    def at(self, path: YamlPath) -> YamlValue:
        """The value at a path, None where there is none."""
        value = self.value
        for step in path:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, tuple) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def _problem_at(self, path: YamlPath, start: int, message: str, suggestion: str | None) -> Problem:
        for length in range(len(path), 0, -1):
            if origin := self.overridden.get(path[:length]):
                return Problem(origin, message, path=dotted(path), suggestion=suggestion)
        line, column, excerpt = place(self.text, start)
        return Problem(self.file, message, line, column, dotted(path), suggestion, excerpt)

    def _place_in(self, path: YamlPath, offset: int, length: int) -> int:
        mark, value = self.values.get(path), self.at(path)
        if mark is None or not isinstance(value, str):
            return 0
        raw = self.text[mark.start : mark.end]
        if (inside := raw.find(value)) >= 0:
            return mark.start + inside + offset
        piece = value[offset : offset + length]  # the text is folded or escaped: count how often the piece came before
        inside = -1
        for _ in range(value.count(piece, 0, offset) + 1):
            inside = raw.find(piece, inside + 1) if piece else -1
            if inside < 0:
                return mark.start
        return mark.start + inside


def read_source(path: Path) -> Source:
    """Reads and parses a chat file. Raises SpecError when it cannot be read or is no YAML."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except FileNotFoundError:
        raise SpecError(Problem(file, "no such file", suggestion=_similar_file(path))) from None
    except IsADirectoryError:
        raise SpecError(Problem(file, "is a directory, and holds no chat.yaml")) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SpecError(Problem(file, f"cannot be read: {getattr(error, 'strerror', None) or error}")) from None
    if len(content) > LARGEST:
        raise SpecError(Problem(file, f"larger than {LARGEST // 1_000_000} MB, which no chat file is"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        line, column, _ = place(before, len(before))
        raise SpecError(Problem(file, "not UTF-8 text", line, column, suggestion="save it as UTF-8")) from None
    return parse_source(text, file)


def parse_source(text: str, file: str) -> Source:
    """Parses a YAML document that holds a mapping. Raises SpecError with the line and column."""
    node = _compose(text, file)
    if node is None or (isinstance(node, ScalarNode) and not node.value):
        raise SpecError(Problem(file, "the file is empty", suggestion="`moot init` writes one to start from"))
    reading = _Reading(text, file)
    value = reading.convert(node, ())
    source = Source(file, text, value, reading.keys, reading.values, tuple(reading.problems))
    if not isinstance(value, dict):
        message = f"expected a mapping (version, name, participants, ...), got {in_words(value)}"
        raise SpecError(source.problem((), message))
    return source


def parse_mapping(text: str, what: str) -> YamlValue:
    """A mapping on one line, such as `{base_url: http://localhost:8000/v1, model: qwen3}`. Raises SpecError: `what` is
    named in it.
    """
    node = _compose(text, what)
    reading = _Reading(text, what)
    value = reading.convert(node, ()) if node is not None else None
    if reading.problems:
        raise SpecError(*reading.problems)
    return value


def parse_scalar(text: str) -> str | int | float | bool | None:
    """What a plain scalar of these characters means: `3` a number, `true` a boolean, anything else text."""
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if len(text) > 300:  # no number of ours has 300 digits, and int() refuses very long ones
        return text
    if _INT.match(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.match(text):
        return float(re.sub(r"\.(?=[a-zA-Z])", "", text))
    return text


def in_words(value: YamlValue) -> str:
    """A value for a message: `'six'`, `3`, `true`, `nothing`, `a list`, `a mapping`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:59] + "…")
    if isinstance(value, tuple):
        return "a list"
    return "a mapping" if isinstance(value, dict) else repr(value)


def dotted(path: YamlPath) -> str:
    """A path for people: `stop[0].says.participant`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def place(text: str, start: int) -> tuple[int, int, str]:
    """Line and column (from 1) of a character, and that line; what looks like a secret in it is starred."""
    breaks = _breaks(text)
    line = bisect.bisect_right(breaks, start)
    begin = breaks[line - 1] if line else 0
    found = _LINE_BREAK.search(text, begin)
    return line + 1, start - begin + 1, _without_secrets(text[begin : found.start() if found else len(text)])


def _without_secrets(line: str) -> str:
    for pattern in (_SECRET, _PASSWORD):
        line = pattern.sub(lambda found: f"{found[1]}{'*' * len(found[2])}", line)
    return line


@lru_cache(maxsize=4)
def _breaks(text: str) -> tuple[int, ...]:
    """Where lines begin, after the first. Kept for the file at hand: each of its problems asks."""
    return tuple(found.end() for found in _LINE_BREAK.finditer(text))


class _Loader(yaml.SafeLoader):
    """Only used to compose nodes; which plain scalar means what is settled by `parse_scalar`."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own attribute


class _Reading:
    """The walk over the composed nodes."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        self.keys: dict[YamlPath, Mark] = {}
        self.values: dict[YamlPath, Mark] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def convert(self, node: Node, path: YamlPath) -> YamlValue:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > _DEEPEST:
            why = "nested too deeply" if len(path) > _DEEPEST else "too many values (aliases repeat what they point to)"
            raise SpecError(self.problem(node, (), why))
        self.values[path] = _mark(node)
        if node.tag not in (f"{_CORE}map", f"{_CORE}seq", f"{_CORE}str"):
            what = f"unknown tag {node.tag.replace(_CORE, '!!')!r}"
            self.problems.append(self.problem(node, path, what, "remove it"))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return tuple(self.convert(item, (*path, index)) for index, item in enumerate(node.value))
        plain = (
            isinstance(node, ScalarNode) and node.style is None and not _TAGGED.match(self.text, node.start_mark.index)
        )
        return parse_scalar(str(node.value)) if plain else str(node.value)

    def _mapping(self, node: MappingNode, path: YamlPath) -> YamlValue:
        result: dict[str, YamlValue] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                hint = "a text that starts with { or [ must be in quotes"
                self.problems.append(self.problem(key_node, path, "a key must be a word, not a list or mapping", hint))
                continue
            key: str = key_node.value
            if key in result:
                first = place(self.text, self.keys[(*path, key)].start)[0]
                self.problems.append(self.problem(key_node, (*path, key), _duplicate(path, key, first)))
                continue
            result[key] = self.convert(value_node, (*path, key))
            self.keys[(*path, key)] = _mark(key_node)
        return result

    def problem(self, node: Node, path: YamlPath, message: str, suggestion: str | None = None) -> Problem:
        line, column, excerpt = place(self.text, node.start_mark.index)
        return Problem(self.file, message, line, column, dotted(path), suggestion, excerpt)


def _compose(text: str, file: str) -> Node | None:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line, column, excerpt = place(text, error.position)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise SpecError(Problem(file, message, line, column, suggestion="remove it", excerpt=excerpt)) from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(_yaml_problem(error, text, file)) from None
    except RecursionError:
        raise SpecError(Problem(file, "nested too deeply")) from None
    finally:
        if loader is not None:
            loader.dispose()


def _yaml_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    what, mark = error.problem or "cannot be parsed", error.problem_mark
    unclosed = _UNCLOSED.get(error.context or "")
    at_end = "stream end" in what or "end of stream" in what or "expected ':'" in what
    if unclosed and at_end and error.context_mark is not None:
        what, mark = unclosed, error.context_mark
    elif what == "second occurrence":
        what = "the anchor (&) is defined twice"
    elif "expected a single document" in (error.context or ""):
        what = "a second document starts here (---); a chat file holds one"
    index = mark.index if mark is not None else 0
    line, column, excerpt = place(text, index)
    hint = next((hint for part, hint in _HINTS if part in what), None)
    if text[max(index - 1, 0) : index + 1] == "${":
        hint = "put ${env:NAME} in quotes inside { }"
    return Problem(file, f"bad YAML: {what}", line, column, suggestion=hint, excerpt=excerpt)


def _mark(node: Node) -> Mark:
    return Mark(node.start_mark.index, node.end_mark.index)


def _duplicate(path: YamlPath, key: str, first: int) -> str:
    if path == ("participants",):
        return f"two participants are called {key!r} (the first in line {first})"
    return f"the key is there twice (first in line {first})"


def _similar_file(path: Path) -> str | None:
    try:
        names: Sequence[str] = [entry.name for entry in path.parent.iterdir() if _is_yaml(entry)]
    except OSError:
        return None
    return did_you_mean(path.name, names)


def _is_yaml(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml") and path.is_file()
