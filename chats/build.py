"""From a chat file to a `Chat`, and from the first event of a run back to the same `Chat`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from moot.agents.assistant import Assistant
from moot.agents.errors import PlaybookError
from moot.agents.executor import Executor
from moot.agents.human import Human
from moot.agents.model_names import check_name
from moot.agents.models import ModelSpec
from moot.agents.origins import REPLAY
from moot.agents.playbook import Playbook
from moot.agents.prices import Price
from moot.agents.replay_client import ReplayClient
from moot.agents.tape import Tape
from moot.agents.tape_client import record
from moot.agents.tools import names_of
from moot.chats.chat import Chat, Participant
from moot.chats.chat_file import (
    AssistantEntry,
    ChatFile,
    ExecutorEntry,
    HumanEntry,
    ModelEntry,
    SelectorSection,
)
from moot.chats.check import priced
from moot.chats.errors import StoreError, UserError
from moot.chats.graph import Graph
from moot.chats.models_named import PICKS, models_named, picking
from moot.chats.result import ResultSpec
from moot.chats.selector import Selector
from moot.chats.speakers import RoundRobin
from moot.chats.spec import ResolvedSpec, load_chat_file
from moot.chats.spec_approvals import of_code, of_tools
from moot.chats.spec_tools import HadTool, kept_tools, reply_form, tools_of
from moot.chats.stop_rules import stop_of
from moot.chats.tapes import kept_tapes, tapes_of
from moot.chats.templates import find_playbook_from
from moot.termination.limits import Limits

Playbooks = Callable[[str], Playbook]
SCRIPTED = "playbook:"
"""How the name of a model begins that is a playbook."""
_NO_TAPES: Mapping[str, Tape] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A chat file, ready to run: the chat, the task it asks, and the file as it was resolved."""

    chat: Chat
    task: str
    spec: ResolvedSpec


def load_chat(
    path: Path | str,
    *,
    sets: Mapping[str, str] | None = None,
    task: str | None = None,
    model: str | None = None,
    sandbox: str = "docker",
) -> Loaded:
    """Read a chat file. `sets` are dotted paths with their values (`inputs.x`, `limits.rounds`), `task` replaces the
    file's own, `model` every assistant's and the selector's. With `sandbox="none"` code is not run but shown as
    skipped.

    Raises SpecError with everything that is wrong in the file, UserError, PlaybookError for a playbook, TapeError for a
    tape.
    """
    given = {**(sets or {}), **({"model": from_here(model)} if model is not None else {})}
    spec = load_chat_file(path, sets=given, task=task, check_model=check_name, priced=_priced)
    if model is not None:
        spec = _without_own_models(spec)
    if spec.chat.task is None:
        raise UserError(f"{path} has no task, and none was given: name one on the command line or in the file")
    base = spec.base_dir or Path.cwd()
    played = _playbooks(spec, lambda name: find_playbook_from(base, name))
    texts = {name: playbook.text for name, playbook in played.items()}
    source: dict[str, object] = {"resolved": spec.to_json(), "playbooks": texts, "sandbox": sandbox}
    if tapes := kept_tapes(spec.chat, base):
        source["tapes"] = tapes
    if tools := kept_tools(spec.chat, base):
        source["tools"] = tools
    chat = _chat(spec, texts, source)
    _check_played(chat, played)
    return Loaded(chat, spec.chat.task, spec)


def chat_from_source(source: Mapping[str, object]) -> Chat:
    """The chat that a run's first event describes. Input files are not in it: the run keeps them by content."""
    resolved, texts = source.get("resolved"), source.get("playbooks")
    if not isinstance(resolved, str) or not isinstance(texts, dict):
        raise StoreError("the run's first event does not describe its chat: it is damaged")
    return _chat(ResolvedSpec.from_json(resolved), texts, dict(source))


def result_from_source(source: Mapping[str, object]) -> ResultSpec | None:
    """How the result of such a run is taken from its transcript: nothing else of the chat is made, no tool loaded."""
    return _result(ResolvedSpec.from_json(str(source.get("resolved"))).chat)


def recorded(chat: Chat, tape: Path) -> Chat:
    """The same chat, the answers of its models written to a tape. Raises UserError where no model is asked."""
    kept = [
        replace(p, model=record(asked, tape)) if isinstance(p, Assistant) and (asked := p.model or chat.model) else p
        for p in chat.participants
    ]
    speakers = chat.speakers
    if isinstance(speakers, Selector) and (picks := speakers.model or chat.model):
        speakers = replace(speakers, model=record(picks, tape))
    elif not any(isinstance(p, Assistant) for p in kept):
        raise UserError(f"chat {chat.name!r} has no assistants: there is nothing to record")
    return replace(chat, participants=tuple(kept), speakers=speakers)


def _chat(spec: ResolvedSpec, texts: Mapping[str, str], source: dict[str, object]) -> Chat:
    file = spec.chat
    tapes = tapes_of(source)
    tools = tools_of(source)
    return Chat(
        tuple(_participant(spec, name, source, tapes, tools) for name in file.participants),
        speakers=_speakers(spec, tapes),
        stop=stop_of(file.stop),
        limits=Limits(**file.limits.model_dump()),
        model=_model(file.model, tapes),
        name=file.name,
        result=_result(file),
        tools=of_tools(file),
        playbooks=lambda name: Playbook.parse(texts[name], name),
        source=source,
    )


def _result(file: ChatFile) -> ResultSpec | None:
    chosen = file.result
    return ResultSpec(chosen.from_, chosen.extract) if chosen.from_ or chosen.extract else None


def _participant(
    spec: ResolvedSpec, name: str, source: Mapping[str, object], tapes: Mapping[str, Tape], tools: Mapping[str, HadTool]
) -> Participant:
    entry = spec.chat.participants[name]
    if isinstance(entry, AssistantEntry):
        had = [_had(tools, tool) for tool in entry.tools]
        return Assistant(
            name=name,
            instructions=entry.instructions or "",
            goal=entry.goal or "",
            backstory=entry.backstory or "",
            description=entry.description or "",
            model=_model(entry.model, tapes),
            part=entry.part or "",
            tools=tuple(one.tool for one in had),
            reply=reply_form(name, entry.reply),
            notes=tuple(dict.fromkeys(one.changed for one in had if one.changed)),
        )
    if isinstance(entry, HumanEntry):
        return Human(
            name=name, approves=entry.approves or "", prompt=entry.prompt or "", description=entry.description or ""
        )  # fmt: skip
    paths = dict(spec.files)
    none = source.get("sandbox") == "none"
    approve, approval = of_code(spec.chat, name)
    return Executor(
        name=name,
        sandbox=None if none else spec.docker(name),
        runs_code_from=entry.runs_code_from,
        files={file: paths[file] for file in spec.files_of(name) if file in paths},
        why_not="none was asked for" if none else "",
        approve=approve,
        approval=approval,
        description=entry.description or "",
    )


def _had(tools: Mapping[str, HadTool], name: str) -> HadTool:
    if name not in tools:
        raise UserError(f"the run began without the tool {name!r}: begin a new run for other tools")
    return tools[name]


def _speakers(spec: ResolvedSpec, tapes: Mapping[str, Tape]) -> Selector | Graph | RoundRobin:
    picks = picking(spec.chat)
    if picks is None:
        return spec.policy()
    return Selector(
        model=_model(picks.model, tapes),
        instructions=picks.instructions or "",
        last=picks.last,
        repeats=picks.repeats,
        part=picks.part or PICKS,
    )


def _model(
    model: str | ModelEntry | None, tapes: Mapping[str, Tape] = _NO_TAPES
) -> str | ModelSpec | ReplayClient | None:
    if not isinstance(model, ModelEntry):
        name, _, part = (model or "").removeprefix(REPLAY).partition("#")
        return ReplayClient(tapes[name], part) if model and model.startswith(REPLAY) and name in tapes else model
    price = model.price
    known = Price(price.input_per_million, price.output_per_million, "the chat file") if price is not None else None
    return ModelSpec(model.base_url, model.model, model.api_key, known)


def _priced(model: str | ModelEntry) -> bool:
    return priced(_model(model) or "")


def from_here(model: str) -> str:
    """A playbook or a tape that is named for one run or fork counts from the working directory, where it is there."""
    prefix = next((each for each in (SCRIPTED, REPLAY) if model.startswith(each)), None)
    name, hash_, part = model.removeprefix(prefix or "").partition("#")
    if prefix is not None and (path := Path.cwd() / name).is_file():
        return f"{prefix}{path}{hash_}{part}"
    return model


def _without_own_models(spec: ResolvedSpec) -> ResolvedSpec:
    entries: dict[str, AssistantEntry | ExecutorEntry | HumanEntry] = {
        name: entry.model_copy(update={"model": None}) if isinstance(entry, AssistantEntry) else entry
        for name, entry in spec.chat.participants.items()
    }
    changed: dict[str, object] = {"participants": entries}
    if isinstance(spec.chat.speakers, SelectorSection):
        picks = spec.chat.speakers.selector.model_copy(update={"model": None})
        changed["speakers"] = SelectorSection(selector=picks)
    return replace(spec, chat=spec.chat.model_copy(update=changed))


def _playbooks(spec: ResolvedSpec, find: Playbooks) -> dict[str, Playbook]:
    """Every playbook that is played, checked to have the parts that play it."""
    played: dict[str, Playbook] = {}
    for asking in models_named(spec.chat):
        if not isinstance(asking.model, str) or not asking.model.startswith(SCRIPTED):
            continue
        file, _, part = asking.model.removeprefix(SCRIPTED).partition("#")
        playbook = find(file)
        try:
            playbook.part(part or asking.part)
        except PlaybookError as error:
            raise PlaybookError(f"{asking.who}: {error}") from None
        played[file] = playbook
    return played


def _check_played(chat: Chat, played: Mapping[str, Playbook]) -> None:
    """A script calls only tools that who plays it has."""
    for one in chat.participants:
        model = (one.model or chat.model) if isinstance(one, Assistant) else None
        if not isinstance(one, Assistant) or not isinstance(model, str) or not model.startswith(SCRIPTED):
            continue
        file, _, part = model.removeprefix(SCRIPTED).partition("#")
        offered = names_of(one.tools)
        if offered is not None:
            try:
                played[file].check_calls(part or one.part or one.name, offered)
            except PlaybookError as error:
                raise PlaybookError(f"participant {one.name!r}: {error}") from None
