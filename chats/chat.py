"""A chat, and the loop that runs it: stop? -> who speaks, and why? -> their turns -> record -> again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autogen_agentchat.base import ChatAgent
from autogen_core.models import ChatCompletionClient

from moot.agents.adopt import adopt
from moot.agents.assistant import Assistant
from moot.agents.executor import Executor, ExecutorAgent
from moot.agents.human import Human, HumanAgent
from moot.agents.models import ModelSpec
from moot.agents.playbook import Playbook
from moot.agents.seat import Seat
from moot.agents.tool_policy import ToolPolicy
from moot.chats.check import check_chat
from moot.chats.errors import UserError
from moot.chats.result import ResultSpec
from moot.chats.speakers import AskingPolicy, RoundRobin, SpeakerPolicy
from moot.chats.table import Table
from moot.chats.templates import find_playbook
from moot.termination.limits import Limits
from moot.termination.rules import Rule

if TYPE_CHECKING:
    from moot.chats.run import Run
    from moot.chats.store import Store

Participant = Assistant | Executor | Human | ChatAgent


def _agent(participant: Executor | Human | ChatAgent) -> ChatAgent:
    if isinstance(participant, Human):
        return HumanAgent(participant)
    return ExecutorAgent(participant) if isinstance(participant, Executor) else participant


def _about(participant: Participant) -> str:
    """Who they are, for whoever picks the next speaker."""
    if isinstance(participant, Assistant):
        return participant.description or participant.goal or participant.instructions
    return _agent(participant).description


async def drive(table: Table) -> None:
    """The loop. Returns when the run is finished, or left: it waits for a person, or somebody asked for a pause."""
    while (stop := await table.ended()) is None:
        if await table.left():
            return
        if not table.state.open:  # else a step that was cut off goes on
            stop = await table.choose()
        stop = stop or await table.take_turns()
        if stop is not None:
            break
    await table.finish(stop)


@dataclass(frozen=True)
class Chat:
    """Who talks, who picks the speaker, when it ends and what it may spend. An inert value: `start` makes a run of it.

    `participants` are `assistant(...)`, `executor(...)`, `human(...)` and any AutoGen `ChatAgent`, in order. `model` is
    what every assistant without one of its own is asked with. Raises UserError (or SpecError, for a graph) when
    something does not fit together: two of one name, a stop rule about nobody, no hard limit, a `usd` limit on an
    unpriced model, a tool that nobody has.
    """

    participants: Sequence[Participant]
    speakers: SpeakerPolicy | AskingPolicy = field(default_factory=RoundRobin)
    stop: Rule | None = None
    limits: Limits | None = None
    model: str | ModelSpec | ChatCompletionClient | None = None
    name: str = "chat"
    result: ResultSpec | None = None
    strict: bool = False
    """Whether a turn fails in which, after an interruption, somebody asks for something else than before. Otherwise
    what was recorded is not used, and a warning names the two requests.
    """
    tools: ToolPolicy = field(default_factory=ToolPolicy)
    """Which tools a person must approve, and what becomes of a call that was cut off."""
    playbooks: Callable[[str], Playbook] = find_playbook
    source: dict[str, object] | None = None
    """The resolved chat file, where there is one: stored in the first event, so that the run can be opened by id
    alone.
    """

    def __post_init__(self) -> None:
        check_chat(self)

    @property
    def names(self) -> tuple[str, ...]:
        """The participants' names, in order."""
        return tuple(p.name for p in self.participants)

    def seats(self) -> dict[str, Seat]:
        """A fresh seat for each participant. Raises ModelError."""
        return {p.name: self._seat(p) for p in self.participants}

    def _seat(self, participant: Participant) -> Seat:
        if isinstance(participant, Assistant):
            return participant.seat(self.model, self.playbooks, self.tools)
        return adopt(_agent(participant), tools=self.tools)

    def policy(self) -> SpeakerPolicy:
        """Who picks the speakers of one run: with a client of its own, where it asks a model. Raises ModelError."""
        if isinstance(self.speakers, AskingPolicy):
            return self.speakers.seated(self.model, self.playbooks, {p.name: _about(p) for p in self.participants})
        return self.speakers

    async def start(self, task: str, *, store: Store | Path | str | None = None) -> Run:
        """Begin a run and drive it in the background. Journalled in `store`: a file, a `Store`, or the user's own."""
        from moot.chats.run import start

        return await start(self, task, store)

    async def run(self, task: str, *, store: Store | Path | str | None = None) -> Run:
        """`start` and `finish`: the run, over."""
        run = await self.start(task, store=store)
        try:
            return await run.finish()
        except asyncio.CancelledError:  # nobody else has the run: it must not go on spending
            await run.stop_now("cancelled")
            raise

    def run_sync(self, task: str, *, store: Store | Path | str | None = None) -> Run:
        """`run` for scripts without an event loop. Raises UserError where one is running, as in a notebook."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.run(task, store=store))
        raise UserError("run_sync cannot be used where an event loop runs already: await chat.run(...) instead")
