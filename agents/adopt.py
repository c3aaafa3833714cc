"""The one seam with AutoGen's agents: `adopt` gives a twin whose every effect goes through the journal.

The user's agent is never touched: the twin is a shallow copy in which these are replaced.

    AssistantAgent      _model_client _model_context _workbench _handoff_tools _memory
    CodeExecutorAgent   _model_client _model_context _code_executor _approval_func
    UserProxyAgent      input_func
    AgentTool           _agent: the agent inside is adopted, too; its context is recorded with the one outside

An agent that overrides how it speaks, and any other agent, keeps its state to itself: its whole turn is one effect, and
its `save_state()` is recorded after each of its turns that changed it, which costs what that state weighs. Such an
agent is not copied: it speaks in one run at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.base import ChatAgent
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory
from autogen_agentchat.tools import AgentTool
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import BaseTool, FunctionTool, StaticStreamWorkbench, Workbench

from moot.agents.context import JournalContext
from moot.agents.executor import ExecutorAgent
from moot.agents.function_tools import told_where
from moot.agents.human import HumanAgent
from moot.agents.journalled_client import JournalledClient
from moot.agents.journalled_code import JournalledExecutor, journalled_approval
from moot.agents.journalled_input import journalled_input
from moot.agents.journalled_memory import JournalledMemory
from moot.agents.journalled_tools import (
    JournalledHandoff,
    JournalledStreamWorkbench,
    JournalledWorkbench,
    PlainHandoff,
)
from moot.agents.models import Model, own_model
from moot.agents.people import ask_approval, ask_person
from moot.agents.seat import Seat
from moot.agents.seen import agent_inside, client_of, is_adopted, own_handoffs, said_by, structured, tools_of
from moot.agents.tool_calls import ToolCalls
from moot.agents.tool_policy import ToolPolicy

_NO_POLICY = ToolPolicy()
_READS_TERMINAL = "cancellable_input"
"""AutoGen's function for a `UserProxyAgent` that was given none."""


def adopt(
    agent: ChatAgent,
    model: Model | None = None,
    tools: ToolPolicy = _NO_POLICY,
    *,
    before: Callable[[ChatCompletionClient], ChatCompletionClient] | None = None,
) -> Seat:
    """A seat for any AutoGen `ChatAgent`. `model` says what its client is, where that is known (name, kind, price), and
    `before` what an `AssistantAgent` asks instead of it: a client that asks the one it is given, each time an effect.
    """
    if isinstance(agent, ExecutorAgent):
        return Seat(agent.name, agent, works=agent)
    if isinstance(agent, HumanAgent):
        return Seat(agent.name, agent)
    if not is_adopted(agent):
        other = Seat(agent.name, agent, state="", keeps_state=type(agent).save_state is not BaseChatAgent.save_state)
        for made in (*agent.produced_message_types, *structured(agent)):
            _register(other.messages, made)
        return other
    known = model or _own_model(agent)
    making = _Adoption(tools)
    twin = making.twin(agent, "", known)
    if before is not None and isinstance(twin, AssistantAgent):
        twin._model_client = before(twin._model_client)
    seat = Seat(
        agent.name, twin, contexts=making.contexts, messages=making.messages, executors=making.executors
    )  # fmt: skip
    if known is not None:
        seat.model_name, seat.model_kind = known.name, known.kind
        seat.made_client = known.client if known.made else None
    return seat


@dataclass(frozen=True)
class _Adoption:
    """One seat in the making: the agent, and the agents that are its tools."""

    policy: ToolPolicy
    contexts: dict[str, JournalContext] = field(default_factory=dict)
    messages: MessageFactory = field(default_factory=MessageFactory)
    executors: list[JournalledExecutor] = field(default_factory=list)

    def twin(self, agent: ChatAgent, path: str, model: Model | None) -> BaseChatAgent:
        """The agent with its effects journalled. `path` tells its context from those of the others of the seat."""
        for made in structured(agent):
            _register(self.messages, made)
        twin = copy.copy(agent)
        if isinstance(twin, AssistantAgent):
            return self._assistant(twin, path, model)
        if isinstance(twin, CodeExecutorAgent):
            return self._coder(twin, path, model)
        if isinstance(twin, UserProxyAgent):
            return _person(twin)
        raise TypeError(f"{type(agent).__name__} is not adopted")

    def _assistant(self, twin: AssistantAgent, path: str, model: Model | None) -> AssistantAgent:
        twin._model_context = context = self._context(twin, path)
        twin._model_client = JournalledClient(twin._model_client, None if model is None else model.price, context)
        calls = ToolCalls(self.policy, self.messages)
        twin._workbench = [self._workbench(bench, calls, path) for bench in twin._workbench]
        own = own_handoffs(twin)
        twin._handoff_tools = [
            (JournalledHandoff if t.name in own else PlainHandoff)(t, calls) for t in twin._handoff_tools
        ]
        twin._memory = [JournalledMemory(memory) for memory in twin._memory] if twin._memory else twin._memory
        return twin

    def _coder(self, twin: CodeExecutorAgent, path: str, model: Model | None) -> CodeExecutorAgent:
        twin._model_context = context = self._context(twin, path)
        if twin._model_client is not None:
            twin._model_client = JournalledClient(twin._model_client, None if model is None else model.price, context)
        twin._code_executor = executor = JournalledExecutor(twin._code_executor)
        self.executors.append(executor)
        approve = twin._approval_func
        if approve is not None and approve is not ask_approval:
            twin._approval_func = journalled_approval(approve, is_async=twin._approval_func_is_async)
            twin._approval_func_is_async = True
        return twin

    def _context(self, twin: AssistantAgent | CodeExecutorAgent, path: str) -> JournalContext:
        context = self.contexts[path] = JournalContext(twin._model_context, twin.name)
        return context

    def _workbench(self, bench: Workbench, calls: ToolCalls, path: str) -> Workbench:
        tools, agents = tools_of(bench), frozenset[str]()
        if tools is not None:
            agents = frozenset(tool.name for tool in tools if agent_inside(tool) is not None)
            overrides = bench._tool_overrides  # type: ignore[attr-defined]
            bench = type(bench)([self._tool(tool, path) for tool in tools], overrides)  # type: ignore[call-arg]
        if isinstance(bench, StaticStreamWorkbench):
            return JournalledStreamWorkbench(bench, calls, agents)
        return JournalledWorkbench(bench, calls, agents)

    def _tool(self, tool: BaseTool, path: str) -> BaseTool:  # type: ignore[type-arg]
        if isinstance(tool, FunctionTool):
            return told_where(tool)
        inner = agent_inside(tool)
        if inner is None or not isinstance(tool, AgentTool):
            for made in said_by(tool):
                _register(self.messages, made)
            return tool
        below = f"{path}{tool.name}/"
        while below in self.contexts:  # two workbenches may each have a tool of this name
            below = f"{below[:-1]}~/"
        twin = copy.copy(tool)
        twin._agent = twin._task_runner = self.twin(inner, below, _own_model(inner))
        return twin


def _person(twin: UserProxyAgent) -> UserProxyAgent:
    function = twin.input_func
    if getattr(function, "__name__", "") == _READS_TERMINAL and function.__module__.startswith("autogen_agentchat."):
        twin.input_func = ask_person
    elif function is not ask_person:
        twin.input_func = journalled_input(function, is_async=twin._is_async)
    twin._is_async = True
    return twin


def _own_model(agent: ChatAgent) -> Model | None:
    client = client_of(agent)
    return None if client is None else own_model(client)


def _register(messages: MessageFactory, made: type[BaseAgentEvent | BaseChatMessage]) -> None:
    if not messages.is_registered(made):
        messages.register(made)
