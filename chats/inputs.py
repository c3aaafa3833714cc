"""What comes into a chat file from outside: `--set`, the values of its inputs, and the files they name."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from moot.chats.chat_file import (
    AssistantEntry,
    ChatFile,
    ExecutorEntry,
    HumanEntry,
    InputEntry,
    SandboxSection,
    SelectorSection,
    Speakers,
)
from moot.chats.errors import Problem, did_you_mean
from moot.chats.models_named import PICKS
from moot.chats.spec_words import known_keys
from moot.chats.yaml_source import Source, YamlPath, YamlValue, dotted, in_words, parse_mapping, parse_scalar

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_WHOLE = re.compile(r"\{(\w+)\}")
Entry = AssistantEntry | ExecutorEntry | HumanEntry
_FILLED = ("goal", "backstory", "instructions", "description")


def apply_sets(source: Source, sets: Mapping[str, str]) -> Source:
    """The source with each `--set` path given its value; what cannot be set becomes one of the source's problems.

    `inputs.x` is short for `inputs.x.default`. Values are plain YAML scalars; for text and file inputs text, for a
    model also a mapping. An empty value is an empty text, which few keys take: who leaves something out in the end does
    not mean `null`.
    """
    value, problems, overridden = source.value, list(source.problems), dict(source.overridden)
    for key, text in sets.items():
        steps = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
        new: YamlValue = _scalar(text) if text.strip() else ""
        if steps[-1] == "model" and text.lstrip().startswith("{"):
            new = parse_mapping(text, f"--set {key}")
        if steps[0] == "inputs" and len(steps) == 2:
            entry = source.at(("inputs", steps[1]))
            if not (isinstance(entry, dict) and entry.get("type") == "number"):
                new = text
            steps.append("default")
        if steps[:2] == ["speakers", PICKS] and isinstance(value, dict) and value.get("speakers") == PICKS:
            value = {**value, "speakers": {PICKS: {}}}  # the word is short for that
        try:
            value, path = _put(value, steps, new, ())
        except _CannotSetError as error:
            problems.append(Problem(f"--set {key}", error.problem, suggestion=error.suggestion))
        else:
            overridden[path] = f"--set {key}"
    return replace(source, value=value, problems=tuple(problems), overridden=overridden)


@dataclass(slots=True)
class Filling:
    """The chat file with its inputs filled in, the files it needs by the name they will have, and what went wrong."""

    chat: ChatFile
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def fill_in(chat: ChatFile, source: Source, base_dir: Path) -> Filling:
    """Puts the inputs' values into the texts and finds the files. Files are not read."""
    filler = _Filler(chat, source, base_dir)
    filler.read_inputs()
    participants: dict[str, Entry] = {}
    for name, entry in chat.participants.items():
        path: YamlPath = ("participants", name)
        if isinstance(entry, AssistantEntry):
            texts = {key: filler.text(getattr(entry, key), (*path, key)) for key in _FILLED}
            participants[name] = entry.model_copy(update=texts)
        elif isinstance(entry, HumanEntry):
            texts = {key: filler.text(getattr(entry, key), (*path, key)) for key in ("prompt", "description")}
            participants[name] = entry.model_copy(update=texts)
        else:
            box = filler.sandbox(entry.sandbox, (*path, "sandbox")) if entry.sandbox else None
            about = filler.text(entry.description, (*path, "description"))
            participants[name] = entry.model_copy(update={"sandbox": box, "description": about})
    filled = {
        "task": filler.text(chat.task, ("task",)),
        "speakers": filler.speakers(chat.speakers),
        "inputs": filler.entries,
        "participants": participants,
        "sandbox": filler.sandbox(chat.sandbox, ("sandbox",)),
    }
    return Filling(chat.model_copy(update=filled), filler.files, filler.problems)


class _Filler:
    def __init__(self, chat: ChatFile, source: Source, base_dir: Path) -> None:
        self.chat, self.source, self.base_dir = chat, source, base_dir
        self.entries: dict[str, InputEntry] = {}
        self.shown: dict[str, str] = {}
        """Values as texts show them: a file by its base name."""
        self.given: dict[str, str] = {}
        """Values as they were given: a file by its path."""
        self.paths: dict[str, Path | None] = {}
        """Where each input of type file was found."""
        self.files: dict[str, Path] = {}
        self.without: set[str] = set()
        """Inputs that have no value, which is said once: nothing is said of the texts they stand in."""
        self.problems: list[Problem] = []

    def read_inputs(self) -> None:
        for name, entry in self.chat.inputs.items():
            path: YamlPath = ("inputs", name, "default")
            value, shown = entry.default, ""
            if value is None:
                hint = f"give one with --set inputs.{name}=..."
                self.problems.append(self.source.problem(path[:-1], "no value", hint, at_key=True))
                self.without.add(name)
            elif message := _wrong_type(entry, value):
                self.problems.append(self.source.problem(path, message))
            elif entry.type == "file":
                self.paths[name] = found = self.find(str(value), path)
                value = shown = found.name if found else Path(str(value)).name
            else:
                shown = str(value)
            self.given[name] = str(entry.default)
            self.shown[name] = shown
            self.entries[name] = entry.model_copy(update={"default": value})

    def text(self, text: str | None, path: YamlPath, values: Mapping[str, str] | None = None) -> str | None:
        """The text with `{name}` replaced by the input's value."""
        if text is None:
            return None
        known = self.shown if values is None else values
        pieces, at, before = [], 0, len(self.problems)
        for found in _PIECE.finditer(text):
            pieces.append(text[at : found.start()])
            at = found.end()
            if found[0] in ("{{", "}}"):
                pieces.append(found[0][0])
            elif found[1] is not None and found[1] in known:
                pieces.append(known[found[1]])
            else:
                self._unknown(found, path, known)
        filled = "".join([*pieces, text[at:]])
        if not filled and len(self.problems) == before and not self._lacks(text):
            self.problems.append(self.source.problem(path, "is empty once its inputs are filled in"))
        return filled

    def _lacks(self, text: str) -> bool:
        return any(found[1] in self.without for found in _PIECE.finditer(text))

    def _unknown(self, found: re.Match[str], path: YamlPath, known: Mapping[str, str]) -> None:
        name = found[1]
        if name is None:
            message, hint = f"a single {found[0]!r}", f"write {found[0] * 2!r} for a brace"
        elif not name.isidentifier():
            message, hint = f"{{{name}}} names no input", "write '{{' and '}}' for braces"
        else:
            inputs = f"inputs: {', '.join(known)}" if known else "this chat has no inputs; write '{{' for a brace"
            message, hint = f"{{{name}}} names no input", did_you_mean(name, known) or inputs
        start, length = found.start(), len(found[0])
        self.problems.append(self.source.problem_in(path, message, hint, offset=start, length=length))

    def speakers(self, given: Speakers) -> Speakers:
        """With the inputs in what a selector is told."""
        if not isinstance(given, SelectorSection):
            return given
        told = self.text(given.selector.instructions, ("speakers", "selector", "instructions"))
        return SelectorSection(selector=given.selector.model_copy(update={"instructions": told}))

    def sandbox(self, section: SandboxSection, path: YamlPath) -> SandboxSection:
        """The section with its files found and named as they will be in the workspace."""
        names = []
        for index, item in enumerate(section.files):
            found = self._listed_file(item, (*path, "files", index))
            if found is not None:
                names.append(found.name)
        return section.model_copy(update={"files": tuple(names)}) if section.files else section

    def _listed_file(self, item: str, path: YamlPath) -> Path | None:
        whole = _WHOLE.fullmatch(item)
        if self._lacks(item):
            return None
        if whole and whole[1] in self.paths:
            found = self.paths[whole[1]]
        else:
            before = len(self.problems)
            text = self.text(item, path, self.given)
            if text is None or len(self.problems) > before:
                return None
            origin: YamlPath = ("inputs", whole[1], "default") if whole else path
            found = self.find(text, path, asked_for=origin in self.source.overridden)
        if found is None:
            return None
        other = self.files.setdefault(found.name, found)
        if other != found:
            message = f"two files would be called {found.name!r} in the workspace: {other} and {found}"
            self.problems.append(self.source.problem(path, message, "rename one"))
        return found

    def find(self, text: str, path: YamlPath, *, asked_for: bool | None = None) -> Path | None:
        """A readable regular file, or None and a problem at `path`.

        Looked for beside the chat file; what was asked for with `--set` first in the working directory.
        """
        if asked_for is None:
            asked_for = path in self.source.overridden
        folders = [Path.cwd(), self.base_dir] if asked_for else [self.base_dir]
        candidates = [folder / Path(text).expanduser() for folder in folders]
        try:
            found = next((path for path in candidates if path.exists()), None)
            message = _not_usable(found) if found else None
        except OSError as error:
            found, message = None, f"cannot be looked at: {error.strerror}"
        if found is not None and message is None:
            return found.absolute()
        hint = None
        if found is None and message is None:
            broken = any(path.is_symlink() for path in candidates)
            message = "is a link to a file that is not there" if broken else "no such file"
            hint = _similar(candidates)
        self.problems.append(self.source.problem(path, f"{message}: {text!r}", hint))
        return None


class _CannotSetError(Exception):
    def __init__(self, problem: str, suggestion: str | None) -> None:
        super().__init__(problem)
        self.problem, self.suggestion = problem, suggestion


def _put(value: YamlValue, steps: Sequence[str], new: YamlValue, path: YamlPath) -> tuple[YamlValue, YamlPath]:
    """A copy of `value` in which the place that `steps` lead to is `new`, and the path to it."""
    if not steps:
        return new, path
    step, rest = steps[0], steps[1:]
    if isinstance(value, tuple):
        if not (step.isdecimal() and int(step) < len(value)):
            raise _CannotSetError(f"{dotted(path)} has {len(value)} parts, none is {step!r}", "they count from 0")
        index = int(step)
        item, full = _put(value[index], rest, new, (*path, index))
        return (*value[:index], item, *value[index + 1 :]), full
    if value is None and path:
        value = {}
    if not isinstance(value, dict):
        raise _CannotSetError(f"{dotted(path)} is {in_words(value)} and has no parts", None)
    _check_step(step, path, value)
    item, full = _put(value.get(step), rest, new, (*path, step))
    return {**value, step: item}, full


def _check_step(step: str, path: YamlPath, value: dict[str, YamlValue]) -> None:
    known = known_keys(path, value)
    if step in known or step in value:
        return
    free: dict[YamlPath, str] = {("inputs",): "unknown input", ("participants",): "unknown participant"}
    what = free.get(path, "unknown key")
    if not known and what == "unknown key":
        raise _CannotSetError(f"{dotted(path)} has no parts", None)
    names = [*dict.fromkeys((*known, *value))]
    hint = did_you_mean(step, names)
    raise _CannotSetError(what, hint or (f"known here: {', '.join(names)}" if names else None))


def _scalar(text: str) -> YamlValue:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return parse_scalar(text)


def _wrong_type(entry: InputEntry, value: str | int | float) -> str | None:
    if entry.type == "number":
        usable = isinstance(value, int | float) and math.isfinite(value)
        return None if usable else f"expected a number, got {in_words(value)}"
    if entry.type == "file" and value == "":
        return "expected the name of a file, got nothing"
    return None if isinstance(value, str) else f"expected text, got {in_words(value)}"


def _not_usable(path: Path) -> str | None:
    if path.is_dir():
        return "is a directory, not a file"
    if not path.is_file():
        return "is no regular file"
    return None if os.access(path, os.R_OK) else "cannot be read"


def _similar(candidates: Sequence[Path]) -> str | None:
    for path in candidates:
        try:
            names = [entry.name for entry in path.parent.iterdir() if entry.exists()]
        except (OSError, ValueError):
            continue
        if hint := did_you_mean(path.name, names):
            return hint
    return None
