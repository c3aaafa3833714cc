"""What may be changed in a fork: the chat it goes on with, and what was said last in the part that is copied."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core.models import AssistantMessage
from pydantic import ValidationError

from moot.agents.assistant import Assistant
from moot.agents.model_names import check_name
from moot.agents.origins import REPLAY
from moot.chats.build import SCRIPTED, chat_from_source, from_here
from moot.chats.chat import Chat, Participant
from moot.chats.chat_file import ChatFile, ExecutorEntry, ModelEntry
from moot.chats.check import priced
from moot.chats.errors import SpecError, UserError, did_you_mean
from moot.chats.event_types import EffectCompleted, MessageSaid, TurnFinished
from moot.chats.events import Event
from moot.chats.inputs import apply_sets
from moot.chats.models_named import models_named
from moot.chats.selector import Selector
from moot.chats.spec import ResolvedSpec
from moot.chats.spec_checks import Checking, ModelChecks, check
from moot.chats.spec_words import findings
from moot.chats.tapes import kept_tapes
from moot.chats.templates import find_playbook_from
from moot.chats.yaml_source import Source, YamlValue
from moot.termination.transcript import APPROVED, DECISION

_OWN = ""
"""The context of the participant itself, beside those of agents that are its tools."""
_MODEL_KEY = re.compile(r"(participants\.\w+\.|speakers\.selector\.)?model")
_FILES_KEY = re.compile(r"(participants\.\w+\.)?sandbox\.files\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What is to be different in a fork. Everything is a text as it stands: inputs are not filled into it."""

    model: str | None = None
    """Of every assistant and of the selector, also of those with one of their own."""
    message: str | None = None
    """What the last turn that is kept said instead."""
    task: str | None = None
    """What was asked instead."""
    instructions: Mapping[str, str] = field(default_factory=dict)
    """By participant."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """Dotted paths of the chat file and their values, such as `limits.turns`; for chats that came from one."""

    def __post_init__(self) -> None:
        for what, text in (("new message", self.message), ("new task", self.task)):
            if text is not None and not text.strip():
                raise UserError(f"the {what} is empty: say what stands in its place")
            try:
                (text or "").encode()
            except UnicodeEncodeError:
                raise UserError(f"the {what} is not UTF-8 text") from None

    def applied(self, chat: Chat) -> Chat:
        """The chat that a fork of one of its runs goes on with; the chat itself where nothing of it is changed.

        Raises UserError, SpecError, ModelError and PlaybookError for what cannot be.
        """
        if chat.source is not None:
            changed = edited_source(chat.source, self)
            return chat if changed == chat.source else chat_from_source(changed)
        if self.sets:
            raise UserError(
                f"{next(iter(self.sets))} is a place in a chat file, and this chat was made of Python objects: "
                "give the changed chat itself, chat=..."
            )
        if self.model is None and not self.instructions:
            return chat
        made = [p.name for p in chat.participants if isinstance(p, Assistant)]
        for name in self.instructions:
            if name not in made:
                hint = did_you_mean(name, made) or f"assistants: {', '.join(made) or 'none'}"
                raise UserError(f"{name!r} is no assistant(...), whose instructions could be others ({hint})")
        if self.model is not None and not made:
            raise UserError("no participant was made by assistant(...): give the changed chat itself, chat=...")
        model = chat.model if self.model is None else self.model
        picks = chat.speakers
        if isinstance(picks, Selector) and self.model is not None:
            picks = replace(picks, model=None)
        people = [self._taking_part(p) for p in chat.participants]
        return replace(chat, participants=people, model=model, speakers=picks)

    def _taking_part(self, participant: Participant) -> Participant:
        if not isinstance(participant, Assistant):
            return participant
        told = self.instructions.get(participant.name, participant.instructions)
        return replace(participant, instructions=told, model=participant.model if self.model is None else None)


NO_EDITS = Edits()


def edited_source(source: Mapping[str, object], edits: Edits) -> dict[str, object]:
    """What the first event of a fork keeps of its chat file. Raises SpecError with everything that is wrong in it,
    UserError for what cannot be set afterwards, ModelError, PlaybookError, TapeError.
    """
    before, texts = ResolvedSpec.from_json(str(source["resolved"])), source["playbooks"]
    if not isinstance(texts, dict):
        raise UserError("the stored chat cannot be read: its playbooks are missing")
    sets = _sets(edits)
    if not sets:
        return dict(source)
    value = _value(json.loads(before.to_json())["chat"])
    if edits.model is not None:
        value = _without_own_models(value)
    chat = _checked(apply_sets(Source("the chat", "", value, {}, {}), sets))
    if tuple(chat.participants) != tuple(before.chat.participants):
        raise UserError("a fork has the participants that the run had: begin a new run for others")
    made = {**source, "resolved": ResolvedSpec(chat).to_json(), "playbooks": _playbooks(chat, texts)}
    tapes = _tapes(chat, source.get("tapes", {}))
    return {**made, "tapes": tapes} if tapes or "tapes" in source else made


def _sets(edits: Edits) -> dict[str, str]:
    """All that changes the chat file, by place."""
    texts = {f"participants.{name}.instructions": text for name, text in edits.instructions.items()}
    texts |= {"task": edits.task} if edits.task is not None else {}
    sets = {**edits.sets, **({"model": edits.model} if edits.model is not None else {})}
    for key in sets:
        if key.partition(".")[0] == "inputs":
            raise UserError(f"--set {key}: inputs were filled in when the run began: begin a new run for others")
        if _FILES_KEY.match(key):
            raise UserError(f"--set {key}: a fork works on the files that the run began with")
        if key == "task":
            raise UserError("--set task: the task was said when the run began: change it with --task")
    models = {key: from_here(text) for key, text in sets.items() if _MODEL_KEY.fullmatch(key)}
    return {**sets, **models, **{key: f'"{text}"' for key, text in texts.items()}}


def _value(stored: object) -> YamlValue:
    """As a chat file is read: lists are tuples."""
    if isinstance(stored, dict):
        return {str(key): _value(item) for key, item in stored.items()}
    if isinstance(stored, list):
        return tuple(_value(item) for item in stored)
    assert stored is None or isinstance(stored, str | int | float | bool)
    return stored


def _without_own_models(value: YamlValue) -> YamlValue:
    if not isinstance(value, dict) or not isinstance(entries := value["participants"], dict):
        return value
    kept: dict[str, YamlValue] = {
        name: {k: v for k, v in entry.items() if k != "model"} if isinstance(entry, dict) else entry
        for name, entry in entries.items()
    }
    picks = value.get("speakers")
    if isinstance(picks, dict) and isinstance(how := picks.get("selector"), dict):
        picks = {"selector": {k: v for k, v in how.items() if k != "model"}}
        return {**value, "participants": kept, "speakers": picks}
    return {**value, "participants": kept}


def _checked(source: Source) -> ChatFile:
    try:
        chat = ChatFile.model_validate(source.value)
    except ValidationError as error:
        problems = [*source.problems, *(finding.problem for finding in findings(error, source))]
    else:
        runs_code = frozenset(n for n, entry in chat.participants.items() if isinstance(entry, ExecutorEntry))
        models = ModelChecks(check_name, _priced)
        checking = Checking(chat, source, tuple(chat.participants), runs_code, frozenset(), models)
        problems = [*source.problems, *check(checking)]
        if not problems:
            return chat
    # there is no file to point into
    raise SpecError(*(replace(each, line=None, column=None, excerpt=None) for each in dict.fromkeys(problems)))


def _priced(model: str | ModelEntry) -> bool:
    return model.price is not None if isinstance(model, ModelEntry) else priced(model)


def _named(chat: ChatFile, prefix: str) -> tuple[str, ...]:
    """The files of that kind that models are named after."""
    models = [asking.model for asking in models_named(chat)]
    named = [model for model in models if isinstance(model, str) and model.startswith(prefix)]
    return tuple(dict.fromkeys(model.removeprefix(prefix).partition("#")[0] for model in named))


def _playbooks(chat: ChatFile, known: Mapping[str, str]) -> dict[str, str]:
    """The text of every playbook that is played: as it was kept, else as it stands in its file now."""
    files = _named(chat, SCRIPTED)
    return {file: known[file] if file in known else find_playbook_from(Path.cwd(), file).text for file in files}


def _tapes(chat: ChatFile, known: object) -> dict[str, object]:
    """What is kept of every tape that is replayed, likewise."""
    if not isinstance(known, dict):
        raise UserError("the stored chat cannot be read: its tapes are missing")
    return {
        **{file: known[file] for file in _named(chat, REPLAY) if file in known},
        **kept_tapes(chat, Path.cwd(), known),
    }


def with_task(events: Sequence[Event], text: str) -> list[Event]:
    """The journal of a run that was asked something else."""
    for at, event in enumerate(events):
        if isinstance(event.data, MessageSaid) and event.data.to is None:
            data = event.data.model_copy(update={"message": reworded(event.data.message, text)})
            return [*events[:at], event._replace(data=data), *events[at + 1 :]]
    raise UserError("the run has no task that could be another")


def with_message(events: Sequence[Event], turn: int, text: str) -> list[Event]:
    """The journal of a run in which that turn, which must be finished, said something else: all others hear that, and
    so does the speaker, as far as its context is journalled.
    """
    at = next(n for n, e in enumerate(events) if isinstance(e.data, TurnFinished) and e.turn == turn)
    event = events[at]
    done = event.data
    assert isinstance(done, TurnFinished)
    said = {
        e.data.key: _content(e.data.result)
        for e in events[:at]
        if e.turn == turn and isinstance(e.data, EffectCompleted)
    }
    contexts = dict(done.contexts)
    if contexts.get(_OWN):  # a context that gained nothing is not asked for anything
        contexts[_OWN] = _respoken(contexts[_OWN], said, AssistantMessage(content=text, source=event.participant))
    data = done.model_copy(update={"reply": reworded(done.reply, text), "contexts": contexts})
    return [*events[:at], event._replace(data=data), *events[at + 1 :]]


def _respoken(added: Sequence[object], said: Mapping[str, object], spoken: AssistantMessage) -> list[object]:
    """What a context gained, with other last words. Words that are not in it, such as the summary of a tool's results
    that AutoGen's assistant replies with, are put at its end.
    """
    last = added[-1]
    if isinstance(last, str):
        own = isinstance(said.get(last), str)
    else:
        own = isinstance(last, dict) and last.get("type") == "AssistantMessage" and isinstance(last["content"], str)
    return [*(added[:-1] if own else added), spoken.model_dump(mode="json")]


def reworded(message: object, text: str) -> object:
    """A message of the same kind and sender with another text; one whose content is no text becomes a plain one. A
    person's approval does not pass to words that they have not seen.
    """
    if isinstance(message, BaseChatMessage):
        if isinstance(getattr(message, "content", None), str):
            return message.model_copy(update={"content": text, "metadata": _unapproved(message.metadata)})
        return TextMessage(content=text, source=message.source)
    if not isinstance(message, dict):
        raise UserError("what was said is no message: its journal is damaged")
    if isinstance(message.get("content"), str):
        return {**message, "content": text, "metadata": _unapproved(message.get("metadata", {}))}
    return TextMessage(content=text, source=str(message.get("source", ""))).model_dump(mode="json")


def _unapproved(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key != DECISION or value not in APPROVED}


def _content(result: object) -> object:
    return result.get("content") if isinstance(result, dict) else getattr(result, "content", None)
