"""What can be wrong with a chat file whose parts are all well-formed: names, models, rules, limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from moot.agents.errors import ModelError
from moot.chats.chat_file import (
    QUESTIONS,
    AssistantEntry,
    ChatFile,
    ExecutorEntry,
    GraphSection,
    HumanEntry,
    ModelEntry,
    SandboxSection,
    SaysQuestion,
    StopQuestion,
)
from moot.chats.edge_tokens import EdgeSyntaxError
from moot.chats.edges import Edge, name_refusal, parse_edge
from moot.chats.errors import Problem, closest, did_you_mean
from moot.chats.graph import Graph
from moot.chats.graph_check import GraphProblem, undecided
from moot.chats.models_named import picking
from moot.chats.spec_people import check_approvals, check_asked_about, check_human, people_in
from moot.chats.spec_tools import check_tools
from moot.chats.yaml_source import Source, YamlPath, dotted
from moot.sandbox.docker import Docker
from moot.sandbox.sizes import parse_size

_LIMIT_IDS = ("turns", "rounds", "tokens", "usd", "seconds", "code_runs", "graph")
"""What runs say they were ended by when no rule of the file ended them."""
_HARD = ("turns", "rounds", "tokens", "usd", "seconds")
_TEXTS = ("starts", "contains", "matches")
_SIZES = ("memory", "workspace", "tmp", "max_artifact")


@dataclass(frozen=True, slots=True)
class ModelChecks:
    """What whoever makes the models knows about them. Both are asked without a network and without a key.

    `known` raises ValueError or ModelError for a name that no client answers to; `priced` says whether the price of a
    model is known.
    """

    known: Callable[[str], None] = lambda name: None
    priced: Callable[[str | ModelEntry], bool] = lambda model: True


@dataclass(frozen=True, slots=True)
class Checking:
    """A chat file being checked. `names` also holds participants that are not well-formed, `gone` what was left out."""

    chat: ChatFile
    source: Source
    names: tuple[str, ...]
    executors: frozenset[str]
    gone: frozenset[YamlPath]
    models: ModelChecks
    base_dir: Path | None = None
    """The chat file's folder, beside which its tools are; None where they were loaded before."""

    @property
    def gone_participants(self) -> frozenset[str]:
        """Those that were left out because something in them is wrong: what they are is not known."""
        return frozenset(self.names) - frozenset(self.chat.participants)

    def unknown(self, name: str, path: YamlPath) -> Problem | None:
        """The problem with a name that nobody has."""
        if name in self.names:
            return None
        hint = did_you_mean(name, self.names) or f"participants: {', '.join(self.names)}"
        return self.source.problem(path, f"nobody is called {name!r}", hint)


def check(checking: Checking) -> list[Problem]:
    """Everything that is wrong."""
    return [problem for part in _CHECKS for problem in part(checking)]


def questions(chat: ChatFile) -> Iterator[tuple[StopQuestion, YamlPath]]:
    """Every stop rule's question with those inside it."""
    for index, entry in enumerate(chat.stop):
        yield from _questions(entry, ("stop", index))


def _questions(question: StopQuestion, path: YamlPath) -> Iterator[tuple[StopQuestion, YamlPath]]:
    yield question, path
    for key, parts in (("all", question.all), ("any", question.any)):
        for index, part in enumerate(parts or ()):
            yield from _questions(part, (*path, key, index))


def watched(chat: ChatFile, executors: frozenset[str]) -> frozenset[str]:
    """The participants whose turns a stop rule looks at; for code that is whoever runs it."""
    names: set[str] = set()
    for question, _ in questions(chat):
        names |= {question.says.participant} if question.says else set()
        names |= {name for name, _ in people_in(question)} | ({question.spoke} if question.spoke else set())
        names |= executors if question.code_succeeded else set()
    return frozenset(names)


def docker(section: SandboxSection, override: SandboxSection | None = None) -> Docker:
    """The sandbox that a section describes, with what an executor has of its own. ValueError for what cannot be."""
    given = section.model_dump(exclude_none=True, exclude={"files"})
    given |= override.model_dump(exclude_none=True, exclude={"files"}) if override else {}
    if "seconds" in given:
        given["timeout_seconds"] = given.pop("seconds")
    return Docker(**given)


def _check_names(checking: Checking) -> Iterator[Problem]:
    for name in checking.names:
        if refusal := name_refusal(name):
            yield checking.source.problem(("participants", name), *refusal, at_key=True)
    for name in checking.chat.inputs:
        if not name.isidentifier():
            message = f"{name!r} cannot be an input's name: only letters, digits and _, not a digit first"
            yield checking.source.problem(("inputs", name), message, at_key=True)


def _check_participants(checking: Checking) -> Iterator[Problem]:
    for name, entry in checking.chat.participants.items():
        path: YamlPath = ("participants", name)
        if isinstance(entry, ExecutorEntry):
            yield from _check_executor(checking, entry, path)
            continue
        if isinstance(entry, HumanEntry):
            yield from check_human(checking, entry, path)
            continue
        if not (entry.goal or entry.instructions):
            yield checking.source.problem(path, "needs a goal or instructions", at_key=True)
        model = entry.model or checking.chat.model
        if model is None and ("model",) not in checking.gone and (*path, "model") not in checking.gone:
            hint = "give it one, or one for the whole chat: `model: ...`"
            yield checking.source.problem(path, "no model", hint, at_key=True)


def _check_executor(checking: Checking, entry: ExecutorEntry, path: YamlPath) -> Iterator[Problem]:
    for index, name in enumerate(entry.runs_code_from):
        place: YamlPath = (*path, "runs_code_from", index)
        if problem := checking.unknown(name, place):
            yield problem
        elif name == path[1]:
            yield checking.source.problem(place, "an executor writes no code of its own to run")
        elif name in entry.runs_code_from[:index]:
            yield checking.source.problem(place, f"{name} is named twice")


def _check_models(checking: Checking) -> Iterator[Problem]:
    entries: list[tuple[str | ModelEntry, YamlPath]] = []
    assistants = {n: e for n, e in checking.chat.participants.items() if isinstance(e, AssistantEntry)}
    if checking.chat.model is not None:
        entries.append((checking.chat.model, ("model",)))
    entries += [(entry.model, ("participants", name, "model")) for name, entry in assistants.items() if entry.model]
    picks, own = picking(checking.chat), ("speakers", "selector", "model")
    if picks is not None and picks.model:
        entries.append((picks.model, own))
    elif picks is not None and checking.chat.model is None and not checking.gone.intersection({("model",), own}):
        hint = "give it one, or one for the whole chat: `model: ...`"
        yield checking.source.problem(("speakers",), "no model picks the speakers", hint, at_key=True)
    for model, path in entries:
        if isinstance(model, str):
            try:
                checking.models.known(model)
            except (ValueError, ModelError) as error:
                yield checking.source.problem(path, str(error))
                continue
        if checking.chat.limits.usd is not None and not _priced(checking, model):
            hint = "give it as a mapping with a price, or take limits.usd out: --set limits.usd=null"
            message = f"limits.usd cannot hold: the price of {_model_name(model)!r} is not known"
            yield checking.source.problem(path, message, hint)


def _priced(checking: Checking, model: str | ModelEntry) -> bool:
    return (isinstance(model, ModelEntry) and model.price is not None) or checking.models.priced(model)


def _model_name(model: str | ModelEntry) -> str:
    return model if isinstance(model, str) else model.model


def _check_graph(checking: Checking) -> Iterator[Problem]:
    if not isinstance(checking.chat.speakers, GraphSection):
        return
    parsed: list[Edge] = []
    for index, text in enumerate(checking.chat.speakers.graph):
        path: YamlPath = ("speakers", "graph", index)
        try:
            edge = parse_edge(text)
        except EdgeSyntaxError as error:
            yield checking.source.problem_in(path, error.problem, error.suggestion, offset=error.column - 1)
            continue
        parsed.append(edge)
        others = [name for name in edge.sources if name in checking.names and name not in checking.executors]
        if edge.when and edge.when.about_code and others:
            column = dict(reversed(edge.named()))[others[0]]
            message = f"{others[0]} runs no code, so that {str(edge.when)!r} says nothing about it"
            yield checking.source.problem_in(path, message, offset=column - 1, length=len(others[0]))
    if len(parsed) == len(checking.chat.speakers.graph):
        yield from _check_ways(checking, Graph(tuple(parsed)))


def _check_ways(checking: Checking, graph: Graph) -> Iterator[Problem]:
    entries = checking.chat.participants
    people = [name for name, entry in entries.items() if isinstance(entry, HumanEntry)]
    never = undecided(graph.edges, people, [name for name in entries if name not in people])
    problems: list[GraphProblem] = [*graph.validate(checking.names, _listened_to(checking)), *never]
    for problem in problems:
        if problem.edge is None:
            path: YamlPath = ("participants", str(problem.participant))
            yield checking.source.problem(path, problem.message, problem.suggestion, at_key=True)
        else:
            path = ("speakers", "graph", problem.edge)
            offset = problem.column - 1
            yield checking.source.problem_in(path, problem.message, problem.suggestion, offset=offset)


def _listened_to(checking: Checking) -> Collection[str]:
    """Whom stop rules look at, misspelt names put right; everybody where that cannot be known."""
    names = watched(checking.chat, checking.executors)
    meant = {name if name in checking.names else closest(name, checking.names) for name in names}
    known = {name for name in meant if name is not None}
    unclear = len(known) < len(meant) or any(path[0] == "stop" for path in checking.gone)
    return checking.names if unclear else known


def _check_limits(checking: Checking) -> Iterator[Problem]:
    if all(getattr(checking.chat.limits, name) is None for name in _HARD):
        yield checking.source.problem(
            ("limits",), "no hard limit", f"give at least one of {', '.join(_HARD)}", at_key=True
        )


def _check_stop(checking: Checking) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, entry in enumerate(checking.chat.stop):
        path: YamlPath = ("stop", index, "id")
        if entry.id in _LIMIT_IDS:
            yield checking.source.problem(path, f"{entry.id!r} is the name of a limit or policy", "choose another id")
        elif first.setdefault(entry.id, index) != index:
            yield checking.source.problem(path, f"two stop rules have the id {entry.id!r}")
    for question, path in questions(checking.chat):
        given = [key for key in QUESTIONS if getattr(question, key) is not None]
        if len(given) != 1:
            what = f"got {' and '.join(given)}" if given else "got none"
            yield checking.source.problem(path, f"a stop rule has exactly one of {', '.join(QUESTIONS)}; {what}")
        if question.says:
            yield from _check_says(checking, question.says, (*path, "says"))
        yield from check_asked_about(checking, question, path)
        if question.code_succeeded is False:
            yield checking.source.problem((*path, "code_succeeded"), "expected true, got false")
        elif question.code_succeeded and not checking.executors:
            hint = "add a participant with role: executor"
            yield checking.source.problem((*path, "code_succeeded"), "nobody in this chat runs code", hint, at_key=True)


def _check_says(checking: Checking, says: SaysQuestion, path: YamlPath) -> Iterator[Problem]:
    if problem := checking.unknown(says.participant, (*path, "participant")):
        yield problem
    given = [key for key in _TEXTS if getattr(says, key) is not None]
    if len(given) != 1:
        what = f"got {' and '.join(given)}" if given else "got none"
        yield checking.source.problem(path, f"needs exactly one of {', '.join(_TEXTS)}; {what}", at_key=True)
    if says.matches is not None:
        yield from _check_pattern(checking, says.matches, (*path, "matches"))


def _check_result(checking: Checking) -> Iterator[Problem]:
    result = checking.chat.result
    if result.from_ is not None and (problem := checking.unknown(result.from_, ("result", "from"))):
        yield problem
    if result.extract is not None:
        yield from _check_pattern(checking, result.extract, ("result", "extract"), groups=1)


def _check_pattern(checking: Checking, text: str, path: YamlPath, *, groups: int | None = None) -> Iterator[Problem]:
    try:
        pattern = re.compile(text, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"no regular expression: {getattr(error, 'msg', error)}"
        yield checking.source.problem_in(path, message, offset=getattr(error, "pos", None) or 0)
        return
    if groups is not None and pattern.groups != groups:
        hint = "put ( ) around what is wanted, (?: ) around the rest"
        yield checking.source.problem(path, f"needs one group, has {pattern.groups}", hint)


def _check_sandbox(checking: Checking) -> Iterator[Problem]:
    sections: list[tuple[SandboxSection, YamlPath, SandboxSection | None]] = [
        (checking.chat.sandbox, ("sandbox",), None)
    ]
    for name, entry in checking.chat.participants.items():
        if isinstance(entry, ExecutorEntry) and entry.sandbox:
            sections.append((checking.chat.sandbox, ("participants", name, "sandbox"), entry.sandbox))
    for section, path, override in sections:
        given = override or section
        bad = list(_bad_sizes(given, path, checking.source))
        yield from bad
        if bad or ("sandbox",) in checking.gone:
            continue
        try:
            docker(section, override)
        except ValueError as error:
            setting = str(error).partition("=")[0]
            place: YamlPath = (*path, setting) if setting in SandboxSection.model_fields else path
            yield checking.source.problem(place, str(error), at_key=place == path)


def _bad_sizes(section: SandboxSection, path: YamlPath, source: Source) -> Iterator[Problem]:
    for key in _SIZES:
        text = getattr(section, key)
        try:
            if text is not None:
                parse_size(text, what=key)
        except ValueError as error:
            yield source.problem((*path, key), str(error))


def follows(problem: Problem, gone: Collection[YamlPath]) -> bool:
    """Whether a problem may only be there because it, or something in it, was left out."""
    around = (f"{problem.path}.", f"{problem.path}[")
    return any(dotted(path) == problem.path or dotted(path).startswith(around) for path in gone)


class _Check(Protocol):
    def __call__(self, checking: Checking) -> Iterator[Problem]: ...


_CHECKS: tuple[_Check, ...] = (
    _check_names,
    _check_participants,
    check_tools,
    _check_models,
    _check_graph,
    _check_limits,
    check_approvals,
    _check_stop,
    _check_result,
    _check_sandbox,
)
