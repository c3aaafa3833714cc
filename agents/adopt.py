"""The one seam with AutoGen's agents: `adopt` gives a twin whose effects go through the journal.

The user's agent is never touched: the twin is a shallow copy with `_model_client` and `_model_context` replaced. Only
`AssistantAgent` itself is adopted. A subclass that overrides how it speaks, and any other agent, keeps its state to
itself: its whole turn is one effect, and its `save_state()` is recorded after each of its turns that changed it, which
costs what that state weighs. Such an agent is not copied: it speaks in one run at a time.
"""

from __future__ import annotations

import copy
from typing import TypeGuard

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import ChatAgent
from autogen_agentchat.messages import BaseChatMessage, StructuredMessage
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import ChatCompletionClient

from moot.agents.context import JournalContext
from moot.agents.executor import ExecutorAgent
from moot.agents.journalled_client import JournalledClient
from moot.agents.models import Model, own_model
from moot.agents.seat import Seat

_ASKING = ("_model_client", "_team", "_agent")
"""Where AutoGen's agents and tools keep a model, or a team or an agent that has one."""
_ASKING_PROVIDERS = ("_client", "_project_client")
"""Where its extensions keep a provider's own client; elsewhere such a name may mean anything."""
_OWN_CONTEXT = ("add_message", "clear", "save_state", "load_state")
_OWN_TURN = ("on_messages", "on_messages_stream", "save_state", "load_state")


def adopt(agent: ChatAgent, model: Model | None = None) -> Seat:
    """A seat for any AutoGen `ChatAgent`. `model` says what its client is, where that is known (name, kind, price)."""
    if isinstance(agent, ExecutorAgent):
        return Seat(agent.name, agent, works=agent)
    if not is_adopted(agent):
        other = Seat(agent.name, agent, state="", keeps_state=type(agent).save_state is not BaseChatAgent.save_state)
        for made in (*agent.produced_message_types, *_structured(agent)):
            if not other.messages.is_registered(made):
                other.messages.register(made)
        return other
    twin = copy.copy(agent)
    context = JournalContext(twin._model_context, twin.name)
    known = model or own_model(agent._model_client)
    twin._model_context = context
    twin._model_client = JournalledClient(twin._model_client, known.price, context)
    seat = Seat(agent.name, twin, contexts={"": context}, model_name=known.name, model_kind=known.kind)
    seat.made_client = known.client if known.made else None
    for made in _structured(twin):
        seat.messages.register(made)
    return seat


def is_adopted(agent: ChatAgent) -> TypeGuard[AssistantAgent]:
    """Whether each model call of an agent is an effect of its own: reserved, priced and recorded."""
    return isinstance(agent, AssistantAgent) and not _overrides(agent)


def client_of(agent: ChatAgent) -> ChatCompletionClient | None:
    """The model client that speaks for an agent, where its calls are seen."""
    return agent._model_client if is_adopted(agent) else None


def spends_unseen(agent: ChatAgent) -> str:
    """How an agent can ask a model without anybody seeing what that costs; empty where nothing says that it does.

    What an agent of the user's own does inside nobody can know: it is only looked at what it holds.
    """
    if is_adopted(agent):
        benches = [getattr(bench, "_tools", None) for bench in agent._workbench or ()]
        tools = [tool for bench in benches if isinstance(bench, list) for tool in bench]
        asking = next((tool.name for tool in tools if _asks(tool)), None)
        return f"its tool {asking!r} asks a model of its own" if asking is not None else ""
    return f"what happens inside {_a(type(agent).__name__)} is not seen" if _asks(agent) else ""


def _asks(thing: object) -> bool:
    """Whether an agent or a tool holds a model, or somebody who does."""
    held = [getattr(thing, name, None) for name in _ASKING]
    if any(kind.__module__.startswith("autogen_ext.") for kind in type(thing).__mro__):
        held += [getattr(thing, name, None) for name in _ASKING_PROVIDERS]
    return any(each is not None for each in held) or _asks_through(getattr(thing, "_wrapped_agent", None))


def _asks_through(wrapped: object) -> bool:
    return wrapped is not None and _asks(wrapped)


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _structured(agent: ChatAgent) -> tuple[type[BaseChatMessage], ...]:
    """What an assistant with an output type answers with: the message factory does not know it."""
    kind = agent._output_content_type if isinstance(agent, AssistantAgent) else None
    return () if kind is None else (StructuredMessage[kind],)  # type: ignore[valid-type]


def _overrides(agent: AssistantAgent) -> bool:
    """Whether the agent, or its context, does something of its own where we would look inside."""
    context = type(agent._model_context)
    return any(getattr(type(agent), method) is not getattr(AssistantAgent, method) for method in _OWN_TURN) or any(
        getattr(context, method) is not getattr(ChatCompletionContext, method) for method in _OWN_CONTEXT
    )
