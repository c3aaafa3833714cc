"""What a run of a chat would do, need and cost at most; found out without starting anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypedDict

from moot.agents.approval import Approval
from moot.agents.assistant import Assistant
from moot.agents.errors import ModelError
from moot.agents.executor import Executor
from moot.agents.human import Human
from moot.agents.models import Model, ModelSpec, resolve
from moot.agents.tool_policy import EVERY
from moot.agents.tools import names_of
from moot.chats.chat_file import ChatFile, GraphSection
from moot.chats.selector import Selector
from moot.chats.stop_rules import outcome_of
from moot.cli.words import dollars
from moot.sandbox.docker import Docker
from moot.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

    from moot.chats.build import Loaded
    from moot.chats.chat import Chat

    Asked = str | ModelSpec | ChatCompletionClient


@dataclass(frozen=True, slots=True)
class PlannedBox:
    """The container that code would run in."""

    image: str
    network: str
    memory: str
    cpus: float
    seconds: float
    artifacts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """One participant. `missing` says what keeps an assistant's model from answering, or code from running."""

    name: str
    role: str
    model: str | None = None
    model_kind: str | None = None
    priced: bool | None = None
    missing: str = ""
    runs_code_from: tuple[str, ...] = ()
    sandbox: PlannedBox | None = None
    tools: tuple[str, ...] = ()
    """What an assistant's model may call, as far as that is known without asking anybody."""
    replies: tuple[str, ...] = ()
    """The fields of its replies; none where they are free text."""

    @property
    def words(self) -> str:
        """In one line."""
        if self.role in ("assistant", "selector"):
            kind = "" if self.priced or self.missing else " (unpriced)"
            kind = f" ({self.model_kind})" if self.model_kind in ("scripted", "replayed") else kind
            tools = f", tools: {', '.join(self.tools)}" if self.tools else ""
            replies = f", replies: {', '.join(self.replies)}" if self.replies else ""
            return f"{self.role:<9}  {self.model}{kind}{tools}{replies}{'  NOT READY' if self.missing else ''}"
        if self.role != "executor":
            return self.role
        sources, box = ", ".join(self.runs_code_from) or "everybody", self.sandbox
        if box is None:
            return f"executor   runs code from {sources}: SKIPPED, no sandbox"
        limits = f"network {box.network}, {box.memory}, {box.seconds:g} s a block"
        ready = "  NOT READY" if self.missing else ""
        return f"executor   runs code from {sources} in {box.image} ({limits}){ready}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole. `most_usd` is None where no limit and no price bounds it."""

    chat: str
    task: str
    participants: tuple[Planned, ...]
    speakers: tuple[str, ...]
    stop: tuple[str, ...]
    limits: dict[str, float]
    limits_in_words: str
    most_usd: float | None
    most_usd_why: str
    files: tuple[str, ...]
    asks_people: tuple[str, ...] = ()
    selector: Planned | None = None
    """The model that picks the speakers, where one does."""

    def as_object(self) -> dict[str, object]:
        """For `--json`."""
        return asdict(self)

    @property
    def _asked(self) -> tuple[Planned, ...]:
        return self.participants + ((self.selector,) if self.selector is not None else ())

    def text(self) -> str:
        """For people."""
        cost = (
            f"at most {dollars(self.most_usd)} ({self.most_usd_why})"
            if self.most_usd is not None
            else self.most_usd_why
        )
        return "\n".join(
            [
                f"chat      {self.chat}",
                f"task      {self.task}",
                "who",
                *(f"  {one.name:<12} {one.words}" for one in self.participants),
                "next",
                *(f"  {edge}" for edge in self.speakers),
                *([f"  {'picked by':<12} {self.selector.words}"] if self.selector is not None else []),
                f"stop      {', '.join(self.stop) or 'by limits alone'}",
                f"limits    {self.limits_in_words}",
                f"cost      {cost}",
                f"files     {', '.join(self.files) or 'none'}",
                *(["asks"] if self.asks_people else ["asks      nobody: it runs without a person"]),
                *(f"  {one}" for one in self.asks_people),
                *(f"missing   {one.name}: {one.missing}" for one in self._asked if one.missing),
            ]
        )


async def missing_boxes(chat: Chat) -> dict[str, str]:
    """For each executor whose sandbox is not available: why. Asks the engine, starts nothing."""
    missing = {}
    for one in chat.participants:
        if isinstance(one, Executor) and one.sandbox is not None:
            try:
                await one.sandbox.check()
            except SandboxError as error:
                missing[one.name] = f"the sandbox is not available: {error}"
    return missing


def plan_of(loaded: Loaded, no_box: Mapping[str, str]) -> Plan:
    """The plan of a chat file that was read; `no_box` says of whom the sandbox is missing, and why."""
    chat, file = loaded.chat, loaded.spec.chat
    models = {p.name: _model(p, chat) for p in chat.participants if isinstance(p, Assistant)}
    picks = chat.speakers if isinstance(chat.speakers, Selector) else None
    picked_by = _resolved(picks.model or chat.model, picks.part, chat) if picks is not None else None
    asked = [*models.values(), *([picked_by] if picked_by is not None else [])]
    most, why = most_usd(chat, [m if isinstance(m, Model) else None for m in asked])
    return Plan(
        chat=chat.name,
        task=loaded.task,
        participants=tuple(
            _planned(p.name, p, chat, models.get(p.name, no_box.get(p.name))) for p in chat.participants
        ),
        speakers=_next(file, chat),
        stop=tuple(f"{entry.id} ({outcome_of(entry)})" for entry in file.stop),
        limits=chat.limits.given() if chat.limits is not None else {},
        limits_in_words=chat.limits.words() if chat.limits is not None else "",
        most_usd=most,
        most_usd_why=why,
        files=tuple(str(path) for _, path in loaded.spec.files),
        asks_people=tuple(asks_people(chat)),
        selector=_selector(picks, picked_by, chat) if picks is not None else None,
    )


def asks_people(chat: Chat) -> Iterator[str]:
    """Who will be asked what, in words. What is in doubt after a crash may be asked besides."""
    for one in chat.participants:
        if isinstance(one, Human):
            what = f"to approve what {one.approves} says" if one.approves else "for an answer"
            yield f"{one.name:<12} {what}, when their turn comes"
        elif isinstance(one, Executor) and one.approve != "never" and one.sandbox is not None:
            blocks = "every block of code" if one.approve == "always" else "blocks of code until one runs as it is"
            yield f"{one.approval.ask:<12} about {blocks}, before {one.name} runs it{_may(one.approval)}"
    for tool, approval in chat.tools.approvals.items():
        every = "every other tool" if len(chat.tools.approvals) > 1 else "every tool"
        which = every if tool == EVERY else f"the tool {tool}"
        yield f"{approval.ask:<12} about {which}, before it is called{_may(approval)}"


def _may(approval: Approval) -> str:
    return f": {', '.join(approval.allow)}"


def most_usd(chat: Chat, models: Sequence[Model | None]) -> tuple[float | None, str]:
    """The most a run can cost in US dollars and why; a model that is not ready (None) has no known price."""
    limits, prices = chat.limits, [m.price if m is not None else None for m in models]
    if all(p is not None and not (p.input_per_million or p.output_per_million) for p in prices):
        return 0.0, "no model here costs anything"
    if limits is not None and limits.usd is not None:
        return limits.usd, "limits.usd"
    if limits is not None and limits.tokens is not None and all(p is not None for p in prices):
        dearest = max(max(p.input_per_million, p.output_per_million) for p in prices if p is not None)
        return limits.tokens * dearest / 1_000_000, "limits.tokens at the dearest price"
    return None, "not bounded in dollars: set limits.usd, or limits.tokens with models that have a price"


def _next(file: ChatFile, chat: Chat) -> tuple[str, ...]:
    """Who speaks next, in words."""
    if isinstance(file.speakers, GraphSection):
        return file.speakers.graph
    if not isinstance(chat.speakers, Selector):
        return ("round robin: everybody in turn",)
    again = "anybody may" if chat.speakers.repeats else "nobody may"
    return (f"selector: a model picks by the last {chat.speakers.last} messages; {again} speak twice in a row",)


def _model(assistant: Assistant, chat: Chat) -> Model | str:
    """The model an assistant would ask, or what is missing for that."""
    wanted = assistant.model if assistant.model is not None else chat.model
    return _resolved(wanted, assistant.part or assistant.name, chat)


def _resolved(wanted: Asked | None, part: str, chat: Chat) -> Model | str:
    if wanted is None:
        return "it has no model"
    try:
        return resolve(wanted, part=part, playbooks=chat.playbooks)
    except ModelError as error:
        return str(error)


def _selector(picks: Selector, ready: Model | str | None, chat: Chat) -> Planned:
    if isinstance(ready, Model):
        return Planned("selector", "selector", ready.name, ready.kind, ready.price is not None)
    return Planned("selector", "selector", _called(picks.model or chat.model), missing=ready or "")


def _called(wanted: Asked | None) -> str:
    """The name of a model that is not ready."""
    return wanted if isinstance(wanted, str) else str(getattr(wanted, "model", "none"))


class _Abilities(TypedDict, total=False):
    tools: tuple[str, ...]
    replies: tuple[str, ...]


def _abilities(participant: object) -> _Abilities:
    """What an assistant may call, and the form of its replies."""
    if not isinstance(participant, Assistant):
        return {}
    tools = [name for tool in participant.tools for name in sorted(names_of([tool]) or {"a server's"})]
    fields = participant.reply.kind.model_fields if participant.reply is not None else {}
    return {"tools": tuple(tools), "replies": tuple(fields)}


def _planned(name: str, participant: object, chat: Chat, ready: Model | str | None) -> Planned:
    """`ready` is an assistant's model, or what is missing for a participant to take part."""
    can = _abilities(participant)
    if isinstance(ready, Model):
        return Planned(name, "assistant", ready.name, ready.kind, ready.price is not None, **can)
    if isinstance(participant, Assistant):
        wanted = participant.model if participant.model is not None else chat.model
        return Planned(name, "assistant", _called(wanted), missing=ready or "", **can)
    if isinstance(participant, Executor):
        box = _box(participant)
        return Planned(name, "executor", missing=ready or "", runs_code_from=participant.runs_code_from, sandbox=box)
    return Planned(name, "person" if isinstance(participant, Human) else type(participant).__name__)


def _box(executor: Executor) -> PlannedBox | None:
    spec = executor.sandbox
    if not isinstance(spec, Docker):
        return None
    return PlannedBox(spec.image, spec.network, spec.memory, spec.cpus, spec.timeout_seconds, spec.artifacts)
