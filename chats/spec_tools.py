"""The tools and typed replies of a chat file: whether they can be had, and what a run keeps to have them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from moot.agents.tool_files import LoadedTool, ToolError, load_from, load_object
from moot.chats.chat_file import AssistantEntry, ChatFile, ReplySection
from moot.chats.errors import Problem, StoreError, UserError
from moot.chats.yaml_source import YamlPath

if TYPE_CHECKING:
    from moot.agents.tools import AnyTool
    from moot.agents.typed_reply import ReplyForm
    from moot.chats.spec_checks import Checking


class HadTool(NamedTuple):
    """A tool by the name that a chat file has for it; `changed` says so where its file is not as the run began with."""

    tool: AnyTool
    changed: str = ""


def check_tools(checking: Checking) -> Iterator[Problem]:
    """What keeps the tools from being called and the typed replies from being read. Loading a tool runs its file."""
    for name, entry in checking.chat.participants.items():
        if isinstance(entry, AssistantEntry):
            yield from _check_each(checking, entry, ("participants", name, "tools"))
            if entry.reply is not None:
                yield from _check_reply(checking, entry.reply, ("participants", name, "reply"))


def _check_each(checking: Checking, entry: AssistantEntry, path: YamlPath) -> Iterator[Problem]:
    if not entry.tools or checking.base_dir is None:
        return
    from moot.agents.tools import as_tool, names_of

    seen: dict[str, str] = {}
    for index, name in enumerate(entry.tools):
        try:
            tool = load_object(name, checking.base_dir).then(as_tool)
        except ToolError as error:
            yield checking.source.problem((*path, index), str(error))
            continue
        for called in sorted(names_of([tool]) or ()):
            if seen.setdefault(called, name) != name or name in entry.tools[:index]:
                yield checking.source.problem((*path, index), f"two tools are called {called!r}")


def _check_reply(checking: Checking, reply: ReplySection, path: YamlPath) -> Iterator[Problem]:
    from pydantic import BaseModel

    from moot.agents.typed_reply import check_says

    for field, kind in reply.fields.items():
        place: YamlPath = (*path, "fields", field)
        if field.startswith(("_", "model_")) or hasattr(BaseModel, field):
            message = f"{field!r} cannot be a field's name: it means something to pydantic"
            yield checking.source.problem(place, message, "choose another name", at_key=True)
        if isinstance(kind, tuple) and len(set(kind)) < len(kind):
            yield checking.source.problem(place, "a value is named twice")
    try:
        check_says(reply.says or "", reply.fields)
    except ValueError as error:
        yield checking.source.problem((*path, "says"), str(error))


def reply_form(name: str, reply: ReplySection | None) -> ReplyForm | None:
    """The typed form of a participant's replies."""
    if reply is None:
        return None
    from moot.agents.typed_reply import ReplyForm, model_of

    return ReplyForm(model_of(f"{name}_reply", reply.fields), reply.says or "")


def kept_tools(chat: ChatFile, base: Path) -> dict[str, dict[str, str]]:
    """What a run's first event says of the files of its tools, by the names that the chat file has for them: where each
    is, and the digest of what was in it. Raises ToolError.
    """
    found = [load_object(name, base) for name in _named(chat)]
    return {one.name: {"path": str(one.path), "digest": one.digest} if one.path else {} for one in found}


def tools_of(source: Mapping[str, object]) -> dict[str, HadTool]:
    """The tools of a run's first event, by name, as they are now. Raises UserError for one that is gone."""
    kept = source.get("tools", {})
    if not isinstance(kept, dict) or not all(isinstance(said, dict) for said in kept.values()):
        raise StoreError("the run's first event does not describe its tools: it is damaged")
    return {name: _had(name, said) for name, said in kept.items()}


def _had(name: str, said: Mapping[str, str]) -> HadTool:
    from moot.agents.tools import as_tool

    try:
        one = _found(name, said)
        tool = one.then(as_tool)
    except ToolError as error:
        raise UserError(f"a tool of this chat cannot be had any more: {error}; put it back to go on") from error
    changed = f"{one.path}, from which the tool {name} comes, has changed since the run began"
    return HadTool(tool, changed if one.digest != said.get("digest", "") else "")


def _found(name: str, said: Mapping[str, str]) -> LoadedTool:
    return load_from(name, Path(said["path"])) if "path" in said else load_object(name, Path.cwd())


def _named(chat: ChatFile) -> dict[str, None]:
    """The names of all tools, once each."""
    entries = [entry for entry in chat.participants.values() if isinstance(entry, AssistantEntry)]
    return dict.fromkeys(name for entry in entries for name in entry.tools)
