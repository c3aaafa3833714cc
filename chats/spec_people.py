"""What can be wrong with the people of a chat file: who approves whose words, who decides, who is asked before what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from moot.agents.approval import ANYONE
from moot.chats.chat_file import ApprovalEntry, ApprovalMatch, AssistantEntry, HumanEntry, StopQuestion
from moot.chats.errors import Problem, did_you_mean
from moot.chats.yaml_source import YamlPath

if TYPE_CHECKING:
    from moot.chats.spec_checks import Checking


def check_human(checking: Checking, entry: HumanEntry, path: YamlPath) -> Iterator[Problem]:
    """A person approves the words of somebody else."""
    if entry.approves is None:
        return
    place: YamlPath = (*path, "approves")
    if problem := checking.unknown(entry.approves, place):
        yield problem
    elif entry.approves == path[1]:
        yield checking.source.problem(place, "nobody approves what they say themselves")


def people_in(question: StopQuestion) -> Iterator[tuple[str, YamlPath]]:
    """Whose decisions it looks at, and where in it they are named."""
    if question.approved_by:
        yield question.approved_by, ("approved_by",)
    if question.rejections:
        yield question.rejections.participant, ("rejections", "participant")


def check_asked_about(checking: Checking, question: StopQuestion, path: YamlPath) -> Iterator[Problem]:
    """Those whose turns or decisions a stop rule waits for."""
    if question.spoke and (problem := checking.unknown(question.spoke, (*path, "spoke"))):
        yield problem
    for name, key in people_in(question):
        yield from _check_person(checking, name, (*path, *key))


def _check_person(checking: Checking, name: str, path: YamlPath) -> Iterator[Problem]:
    """Somebody who is to decide something must be a person, who is shown what they approve."""
    if problem := checking.unknown(name, path):
        yield problem
        return
    entry = checking.chat.participants.get(name)
    if entry is not None and not isinstance(entry, HumanEntry):
        people = [one for one, who in checking.chat.participants.items() if isinstance(who, HumanEntry)]
        hint = f"people: {', '.join(people)}" if people else "a person is a participant with role: human"
        yield checking.source.problem(path, f"{name} is no person: it decides nothing", hint)
    elif isinstance(entry, HumanEntry) and entry.approves is None:
        hint = f"say in participants.{name} whose words they approve: `approves: NAME`"
        yield checking.source.problem(path, f"{name} approves nothing", hint)


def check_approvals(checking: Checking) -> Iterator[Problem]:
    """What is wrong with the rules that say what must be approved first."""
    for index, entry in enumerate(checking.chat.approvals):
        path: YamlPath = ("approvals", index)
        if entry.ask != ANYONE:
            yield from _check_asked(checking, entry.ask, (*path, "ask"))
        yield from _check_match(checking, entry.match, (*path, "match"))
        for place, verdict in enumerate(entry.allow):
            if verdict in entry.allow[:place]:
                yield checking.source.problem((*path, "allow", place), f"{verdict} is named twice")
        if "approve" not in entry.allow and "edit" not in entry.allow:
            message = "nothing could ever be approved"
            yield checking.source.problem((*path, "allow"), message, "allow approve, edit, or both", at_key=True)
        elif entry.match.first and "approve" not in entry.allow:
            message = "first ends with an approval as it is, which is not allowed"
            yield checking.source.problem((*path, "match", "first"), message, "allow approve", at_key=True)
        before = next((n for n, other in enumerate(checking.chat.approvals[:index]) if _covers(other, entry)), None)
        if before is not None:
            message = f"never asked for: the rule {before + 1} holds for all that this one matches"
            yield checking.source.problem((*path, "match"), message, at_key=True)


def _covers(rule: ApprovalEntry, later: ApprovalEntry) -> bool:
    """Whether nothing is left for the later rule: the first that matches holds."""
    one, other = rule.match, later.match
    return one.kind == other.kind and one.tool in (None, other.tool) and one.by in (None, other.by)


def _check_asked(checking: Checking, name: str, path: YamlPath) -> Iterator[Problem]:
    people = [one for one, who in checking.chat.participants.items() if isinstance(who, HumanEntry)]
    if name not in people and name not in checking.gone_participants:
        known = (ANYONE, *people)
        hint = did_you_mean(name, known) or f"one of {', '.join(known)}"
        what = "no person" if name in checking.names else "nobody here"
        yield checking.source.problem(path, f"{name!r} is {what}: a person is a participant with role: human", hint)


def _check_match(checking: Checking, match: ApprovalMatch, path: YamlPath) -> Iterator[Problem]:
    of_code = match.kind == "code"
    strange: tuple[str, ...] = ("tool",) if of_code else ("by", "first")
    for key in strange:
        if getattr(match, key):
            message = f"{key} says nothing of {match.kind}"
            yield checking.source.problem((*path, key), message, at_key=True)
    if of_code and not checking.executors:
        hint = "add a participant with role: executor"
        yield checking.source.problem((*path, "kind"), "nobody in this chat runs code", hint)
    elif of_code and match.by and (problem := checking.unknown(match.by, (*path, "by"))):
        yield problem
    elif of_code and match.by and match.by not in checking.executors:
        hint = f"executors: {', '.join(sorted(checking.executors))}"
        yield checking.source.problem((*path, "by"), f"{match.by} runs no code", hint)
    if not of_code:
        yield from _check_tool(checking, match.tool, path)


def _check_tool(checking: Checking, tool: str | None, path: YamlPath) -> Iterator[Problem]:
    entries = [entry for entry in checking.chat.participants.values() if isinstance(entry, AssistantEntry)]
    if not any(entry.tools for entry in entries):
        if not checking.gone_participants:
            hint = "give an assistant tools: [...]"
            yield checking.source.problem((*path, "kind"), "nobody in this chat has tools", hint)
        return
    called = _tools_called(checking, [name for entry in entries for name in entry.tools])
    if tool and called is not None and tool not in called and not checking.gone_participants:
        hint = did_you_mean(tool, called) or f"tools: {', '.join(called)}"
        yield checking.source.problem((*path, "tool"), f"nobody has a tool {tool!r}", hint)


def _tools_called(checking: Checking, names: list[str]) -> list[str] | None:
    """What models call the tools; None where that is not known, also because one of them cannot be had: that is said
    where it is named.
    """
    from moot.agents.tool_files import ToolError, load_object
    from moot.agents.tools import as_tool, names_of

    if checking.base_dir is None:
        return None
    try:
        called = names_of([load_object(name, checking.base_dir).then(as_tool) for name in names])
    except ToolError:
        return None
    return None if called is None else sorted(called)
