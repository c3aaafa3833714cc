"""From a chat file to a chat that is ready to be built: read, checked, its inputs filled in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from moot.chats.chat_file import ChatFile, ExecutorEntry, GraphSection, ModelEntry, SaysQuestion
from moot.chats.conditions import Contains, Says
from moot.chats.edges import parse_edge
from moot.chats.errors import Problem, SpecError, UserError
from moot.chats.graph import Graph
from moot.chats.inputs import apply_sets, fill_in
from moot.chats.speakers import RoundRobin
from moot.chats.spec_checks import Checking, ModelChecks, check, docker, follows, questions
from moot.chats.spec_words import MOST_PROBLEMS, findings
from moot.chats.yaml_source import Source, YamlPath, YamlValue, read_source
from moot.sandbox.docker import Docker
from moot.sandbox.sizes import parse_size, show_size


@dataclass(frozen=True, slots=True)
class ResolvedSpec:
    """A chat file with every input filled in: nothing in it has to be looked up any more.

    `chat` names the files by the names they have in the workspace; `files` says where they are. A spec that comes back
    from a journal has no `files` and no `base_dir`: their contents were stored with the run.
    """

    chat: ChatFile
    files: tuple[tuple[str, Path], ...] = ()
    base_dir: Path | None = field(default=None)

    def policy(self) -> Graph | RoundRobin:
        """The speaker policy of the file. A graph also knows what its stop rules listen for."""
        if not isinstance(self.chat.speakers, GraphSection):
            return RoundRobin()
        said = [question.says for question, _ in questions(self.chat) if question.says]
        endings = tuple((says.participant, _form(says)) for says in said)
        return Graph(tuple(parse_edge(text) for text in self.chat.speakers.graph), endings)

    def docker(self, executor: str) -> Docker:
        """The sandbox of an executor: the chat's, with what the executor has of its own."""
        entry = self.chat.participants[executor]
        return docker(self.chat.sandbox, entry.sandbox if isinstance(entry, ExecutorEntry) else None)

    def files_of(self, executor: str) -> tuple[str, ...]:
        """The names of the files in an executor's workspace: the chat's, then its own."""
        entry = self.chat.participants[executor]
        own = entry.sandbox.files if isinstance(entry, ExecutorEntry) and entry.sandbox else ()
        return tuple(dict.fromkeys((*self.chat.sandbox.files, *own)))

    def to_json(self) -> str:
        """Everything a run has to keep to be rebuilt without the file; holds no path and no secret."""
        chat = self.chat.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps({"format": 1, "chat": chat}, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> ResolvedSpec:
        """The spec that `to_json` wrote. UserError for one that this version cannot read."""
        try:
            stored = json.loads(text)
            if stored["format"] != 1:
                raise UserError(f"this chat was stored in format {stored['format']}, which only a newer moot reads")
            return ResolvedSpec(ChatFile.model_validate_json(json.dumps(stored["chat"])))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"the stored chat cannot be read: {' '.join(str(error).split())[:200]}") from error


def load_chat_file(
    path: Path | str,
    *,
    sets: Mapping[str, str] | None = None,
    task: str | None = None,
    check_model: Callable[[str], None] | None = None,
    priced: Callable[[str | ModelEntry], bool] | None = None,
) -> ResolvedSpec:
    """Reads and checks a chat file. `sets` are dotted paths and their values; `task` replaces the file's, as it stands.

    `check_model` raises ValueError (or ModelError) for a model name nobody answers to, `priced` says whether a model's
    price is known. Raises SpecError with everything that is wrong, in file order, and UserError for an empty task.
    """
    _check_task(task)
    asked = ModelChecks()
    models = ModelChecks(check_model or asked.known, priced or asked.priced)
    file = Path(path)
    source = apply_sets(read_source(file), sets or {})
    base_dir = file.absolute().parent
    chat, problems, gone = _validated(source)
    problems += source.problems
    if chat is None:
        raise SpecError(*_in_order(problems))
    checking = Checking(chat, source, *_participants(source), frozenset(gone), models, base_dir)
    filling = fill_in(chat, source, base_dir)
    problems += [problem for problem in check(checking) + filling.problems if not follows(problem, gone)]
    if not problems:
        problems += _too_large(filling.chat, filling.files, source)
    if problems:
        raise SpecError(*_in_order(problems))
    chat = filling.chat if task is None else filling.chat.model_copy(update={"task": task})
    return ResolvedSpec(chat, tuple(filling.files.items()), base_dir)


def _check_task(task: str | None) -> None:
    if task is not None and not task.strip():
        raise UserError("the task is empty: say what the chat is to do")
    try:
        (task or "").encode()
    except UnicodeEncodeError:
        raise UserError("the task is not UTF-8 text") from None


def _validated(source: Source) -> tuple[ChatFile | None, list[Problem], set[YamlPath]]:
    """The file as data, what was wrong with it, and which parts were left out so that the others can be checked."""
    value, problems, gone = source.value, list[Problem](), set[YamlPath]()
    while True:
        try:
            return ChatFile.model_validate(value), problems, gone
        except ValidationError as error:
            found = findings(error, source)
        problems = problems or [finding.problem for finding in found]
        left_out = {_whole(finding.remove) for finding in found}
        if () in left_out or left_out <= gone or len(found) >= MOST_PROBLEMS:
            return None, problems, gone
        gone |= left_out
        for path in left_out:
            value = _without(value, path)


def _whole(path: YamlPath) -> YamlPath:
    """A list is left out as a whole: without one of its items the others would have other places."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return path


def _without(value: YamlValue, path: YamlPath) -> YamlValue:
    step, rest = path[0], path[1:]
    if isinstance(value, tuple) and isinstance(step, int) and rest:
        return (*value[:step], _without(value[step], rest), *value[step + 1 :])
    if not isinstance(value, dict) or step not in value or not isinstance(step, str):
        return value
    if rest:
        return {**value, step: _without(value[step], rest)}
    return {key: item for key, item in value.items() if key != step}


def _participants(source: Source) -> tuple[tuple[str, ...], frozenset[str]]:
    """All names, and those that run code or may be meant to, from the file as it was written."""
    entries = source.at(("participants",))
    if not isinstance(entries, dict):
        return (), frozenset()
    roles = {name: entry.get("role") if isinstance(entry, dict) else None for name, entry in entries.items()}
    return tuple(roles), frozenset(name for name, role in roles.items() if role not in ("assistant", "human"))


def _too_large(chat: ChatFile, files: Mapping[str, Path], source: Source) -> list[Problem]:
    """Files that do not fit into the workspace they are for."""
    resolved = ResolvedSpec(chat, tuple(files.items()))
    problems = []
    for name, entry in chat.participants.items():
        if not isinstance(entry, ExecutorEntry):
            continue
        box, names = resolved.docker(name), resolved.files_of(name)
        size = sum(files[file].stat().st_size for file in names)
        if size > parse_size(box.workspace, what="workspace"):
            own: YamlPath = ("participants", name, "sandbox", "files")
            path = own if entry.sandbox and entry.sandbox.files else ("sandbox", "files")
            what = f"{', '.join(names)} ({show_size(size)}) do not fit into the workspace of {box.workspace}"
            problems.append(source.problem(path, what, "raise sandbox.workspace and sandbox.memory"))
    return list(dict.fromkeys(problems))


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Once each; `--set` first, then from the top of the file to its end."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line or 0, problem.column or 0))


def _form(says: SaysQuestion) -> str:
    """What a stop rule listens for, in the words that the graph uses to ask for a form."""
    if says.starts is not None:
        return Says(says.starts).form()
    return Contains(says.contains).form() if says.contains is not None else f"something that matches {says.matches}"
