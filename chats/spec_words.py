"""What pydantic finds wrong with a chat file, in plain words and at its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from moot.chats import chat_file
from moot.chats.errors import Problem, did_you_mean
from moot.chats.yaml_source import Source, YamlPath, YamlValue, in_words, parse_scalar

_EXPECTED = {
    "string_type": "text",
    "string_unicode": "text in UTF-8",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
MOST_PROBLEMS = 50
"""How many are reported; beyond that a file is something else than a chat file."""
_BOUNDS = {
    "string_too_short": "is empty",
    "too_short": "is empty",
    "too_long": "has {actual_length} entries, more than {max_length}",
    "string_too_long": "longer than {max_length} characters",
    "greater_than": "must be above {gt:g}, got {got}",
    "greater_than_equal": "must be at least {ge:g}, got {got}",
}
_SIZES = ("memory", "workspace", "tmp", "max_artifact")
_FORMS = {
    "base_url": "expected an address such as http://localhost:11434/v1, without user or password",
    "api_key": "a key may only be given as ${env:NAME}, the environment variable that holds it",
    "name": "expected letters, digits, - and _, a letter first",
    "id": "expected letters, digits, - and _, a letter first",
    **dict.fromkeys(_SIZES, "expected a size such as 512m or 1g"),
}
_SECRET = ("base_url", "api_key")
_WRITE = {
    "version": "write 'version: 1'",
    "name": "give the chat a name",
    "participants": "name those who take part",
    "role": "write role: assistant, role: executor or role: human",
    "runs_code_from": "name those whose code it runs",
    "id": "every stop rule has one: the run says by which it ended",
    "participant": "name whose words are meant",
}

_PARTS: dict[YamlPath, type[BaseModel]] = {
    (): chat_file.ChatFile,
    ("inputs", "*"): chat_file.InputEntry,
    ("participants", "*"): chat_file.AssistantEntry,
    ("model",): chat_file.ModelEntry,
    ("participants", "*", "model"): chat_file.ModelEntry,
    ("model", "price"): chat_file.PriceEntry,
    ("participants", "*", "model", "price"): chat_file.PriceEntry,
    ("participants", "*", "reply"): chat_file.ReplySection,
    ("sandbox",): chat_file.SandboxSection,
    ("participants", "*", "sandbox"): chat_file.SandboxSection,
    ("speakers", "selector"): chat_file.SelectorEntry,
    ("speakers", "selector", "model"): chat_file.ModelEntry,
    ("speakers", "selector", "model", "price"): chat_file.PriceEntry,
    ("approvals", "*"): chat_file.ApprovalEntry,
    ("approvals", "*", "match"): chat_file.ApprovalMatch,
    ("limits",): chat_file.LimitsSection,
    ("stop", "*"): chat_file.StopEntry,
    ("result",): chat_file.ResultSection,
}
_ROLES: Mapping[str, type[BaseModel]] = {
    "executor": chat_file.ExecutorEntry,
    "human": chat_file.HumanEntry,
}
_QUESTIONS: Mapping[object, type[BaseModel]] = {
    "says": chat_file.SaysQuestion,
    "rejections": chat_file.RejectionsQuestion,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and what must be taken away so that the rest can be looked at."""

    problem: Problem
    remove: YamlPath


def findings(error: ValidationError, source: Source) -> list[Finding]:
    """Everything pydantic found, once for each place."""
    by_path: dict[YamlPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False)[:MOST_PROBLEMS]:
        by_path.setdefault(_path(details), []).append(details)
    found = []
    around = {path[:length] for path in by_path for length in range(len(path))}
    for path, several in by_path.items():
        if path in around and several[0]["type"] == "too_short":  # counted without what failed in it
            continue
        found.append(_finding(path, several, source))
    return found


def known_keys(path: YamlPath, value: YamlValue) -> tuple[str, ...]:
    """The keys that may stand in the mapping at that path; none where any name may (inputs, participants)."""
    if path == ("speakers",):
        ways = (*chat_file.GraphSection.model_fields, *chat_file.SelectorSection.model_fields)
        return tuple(way for way in ways if isinstance(value, Mapping) and way in value)[:1] or ways
    part = _part(path, value)
    if part is None:
        return ()
    return tuple(field.alias or name for name, field in part.model_fields.items())


def _part(path: YamlPath, value: YamlValue) -> type[BaseModel] | None:
    if path[:1] == ("stop",) and len(path) > 2:
        return chat_file.StopQuestion if isinstance(path[-1], int) else _QUESTIONS.get(path[-1])
    named = path[:1] in (("inputs",), ("participants",), ("approvals",), ("stop",))
    shape = tuple("*" if named and index == 1 else step for index, step in enumerate(path))
    role = value.get("role") if shape == ("participants", "*") and isinstance(value, Mapping) else None
    return (_ROLES.get(role) if isinstance(role, str) else None) or _PARTS.get(shape)


def _path(details: ErrorDetails) -> YamlPath:
    """The place in the file: pydantic's location without the names it gives to the branches of a choice."""
    path: YamlPath = ()
    skip = False
    for step in details["loc"]:
        if not skip:
            path = (*path, step)
        skip = not skip and _is_choice(path)
    if details["type"].startswith("union_tag"):
        return (*path, "role")
    return path


def _is_choice(path: YamlPath) -> bool:
    match path:
        case ("model",) | ("speakers",) | ("participants", _) | ("participants", _, "model") | ("inputs", _, "default"):
            return True
        case ("speakers", "selector", "model") | ("participants", _, "reply", "fields", _):
            return True
    return False


def _finding(path: YamlPath, several: list[ErrorDetails], source: Source) -> Finding:
    details = several[0]
    kind = details["type"]
    if kind == "missing" or kind == "union_tag_not_found":
        hint = _WRITE.get(str(path[-1]))
        return Finding(source.problem(path, "missing", hint), path[:-1])
    if kind == "extra_forbidden":
        return Finding(_unknown_key(path, source), path)
    value = source.at(path)
    if path[-1] in _SECRET:
        message = _FORMS[str(path[-1])] if kind != "string_too_short" else "is empty"
        return Finding(source.problem(path, message), path)
    if kind == "string_too_short" and path in source.overridden:
        return Finding(source.problem(path, "expected text, got nothing"), path)
    message, hint = _bad_value(path, several, value)
    remove = path[:-1] if path[-1] == "role" else path
    return Finding(source.problem(path, message, hint), remove)


def _unknown_key(path: YamlPath, source: Source) -> Problem:
    around = source.at(path[:-1])
    known = known_keys(path[:-1], around)
    free = [key for key in known if not (isinstance(around, Mapping) and key in around)]
    hint = did_you_mean(str(path[-1]), free) or did_you_mean(str(path[-1]), known)
    if hint is None and free:
        hint = f"known here: {', '.join(free)}"
    if hint is None and path[:-1] == ("speakers",):
        hint = "speakers are picked in one way: by a graph or by a selector"
    return source.problem(path, "unknown key", hint, at_key=True)


def _bad_value(path: YamlPath, several: list[ErrorDetails], value: YamlValue) -> tuple[str, str | None]:
    """The problem and the suggestion for a value that is not what it must be."""
    details = several[0]
    kind, context = details["type"], details.get("ctx", {})
    got = in_words(value)
    if kind == "too_short" and value:
        return "needs at least {min_length} values, has {actual_length}".format(**context), None
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(got=got, **context), None
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        return _bad_choice(path, str(context.get("expected") or context.get("expected_tags")), value)
    form = _FORMS.get(str(path[-1]))
    if form and (kind == "string_pattern_mismatch" or path[-1] in _SIZES):
        return f"{form}, got {got}", None
    if path[-1] == "model" and kind == "string_type":
        return f"expected a model's name or a mapping, got {got}", None
    words = [_EXPECTED[other["type"]] for other in several if other["type"] in _EXPECTED]
    if not words:
        message = details["msg"].removeprefix("Value error, ")
        return f"{message[:1].lower()}{message[1:]}, got {got}", None
    if words == ["text", "a whole number", "a number"]:
        words = ["text", "a number"]
    return f"expected {' or '.join(words)}, got {got}", _quotes(words, value)


def _bad_choice(path: YamlPath, expected: str, value: YamlValue) -> tuple[str, str | None]:
    choices = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(value, choices) if isinstance(value, str) else None
    if path == ("speakers",):
        expected = "'round_robin', 'selector', or a mapping with a graph or a selector"
    else:
        quoted = expected.replace(" or ", ", ").split(", ")
        expected = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    return f"expected {expected}, got {in_words(value)}", hint


def _quotes(words: list[str], value: YamlValue) -> str | None:
    """YAML's own traps: a text that reads as a number, a number written as a text."""
    if "text" in words and isinstance(value, dict):
        return "a text that holds ': ' must be in quotes"
    if "text" in words and isinstance(value, bool | int | float):
        return "put it in quotes if a text is meant"
    if isinstance(value, str) and "text" not in words and isinstance(parse_scalar(value), int | float):
        return "without quotes it is a number"
    return None
